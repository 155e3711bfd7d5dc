"""Proofs as trees of tactics: read, checked, written as scripts, and turned into terms for the kernel."""

from collections.abc import Iterator
from typing import NamedTuple

from goalward.formal.formula import Formula, parse
from goalward.formal.goal import Build, Environment, Goal, TacticError
from goalward.formal.kernel import Term, check
from goalward.formal.tactics import run

EMPTY = Environment((), 0)


class Proof(NamedTuple):
    """A tactic, and a proof of each goal that it leaves."""

    tactic: str
    parts: tuple["Proof", ...] = ()

    @property
    def size(self) -> int:
        """How many tactics it has."""
        return 1 + sum(part.size for part in self.parts)

    @property
    def lines(self) -> Iterator[str]:
        """Its tactics as a script: each works on the first goal that is open."""
        yield self.tactic
        for part in self.parts:
            yield from part.lines


def statement_goal(statement: Formula) -> Goal:
    """What is to be shown at the start."""
    return Goal((), statement)


def read_statement(question: str) -> Formula:
    """The statement of a question such as "⊢ p ∧ q → q". Raises UsageError."""
    return parse(question.strip().removeprefix("⊢"))


def steps(goal: Goal, proof: Proof) -> Iterator[tuple[Goal, str, Proof]]:
    """Each goal that the proof meets, the tactic it uses, and what is proved there. Raises TacticError."""
    todo = [(goal, proof)]
    while todo:
        now, left = todo.pop()
        yield now, left.tactic, left
        goals = run(now, left.tactic).goals
        if len(goals) != len(left.parts):
            raise TacticError(f"{left.tactic!r} leaves {len(goals)} goals, not {len(left.parts)}")
        todo += zip(reversed(goals), reversed(left.parts), strict=True)


def term(goal: Goal, proof: Proof, env: Environment = EMPTY) -> Term:
    """The proof as a term for the kernel. Raises TacticError where a tactic does not apply."""
    move = run(goal, proof.tactic)
    if len(move.goals) != len(proof.parts):
        raise TacticError(f"{proof.tactic!r} leaves {len(move.goals)} goals, not {len(proof.parts)}")

    def build(part: Proof, left: Goal) -> Build:
        return lambda inner: term(left, part, inner)

    return move.proof(env, [build(part, left) for part, left in zip(proof.parts, move.goals, strict=True)])


def verify(statement: Formula, proof: Proof) -> Term:
    """The term that the kernel accepted. Raises TacticError or ProofError."""
    try:
        found = term(statement_goal(statement), proof)
    except RecursionError:
        raise TacticError("the proof is too deep") from None
    check(found, statement)
    return found


def read_script(statement: Formula, script: str) -> Proof:
    """A script's tactics, one a line or parted by ";", as a tree. Raises TacticError, saying which line does not do."""
    lines = [line.strip() for row in script.splitlines() for line in row.split(";")]
    lines = [line for line in lines if line]
    place = 0

    def read(goal: Goal) -> Proof:
        nonlocal place
        if place == len(lines):
            raise TacticError(f"the script ends, and {goal} is still to be shown")
        line = lines[place]
        place += 1
        try:
            move = run(goal, line)
        except TacticError as error:
            raise TacticError(f"line {place}: {error}") from error
        return Proof(line, tuple(map(read, move.goals)))

    try:
        found = read(statement_goal(statement))
    except RecursionError:
        raise TacticError(f"line {place}: the proof is too deep") from None
    if place < len(lines):
        raise TacticError(f"line {place + 1}: {lines[place]!r}: all is shown already")
    return found
