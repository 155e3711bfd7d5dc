"""set.mm's closed propositional theorems: what needs no learning, and what models add at equal expansions."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from goalward.evaluation.statistics import Interval, bootstrap
from goalward.experience.by_size import search_by_size
from goalward.experience.prover import PolicyGuide
from goalward.experience.search import Found, SearchSettings, find_proofs
from goalward.experience.walks import walks
from goalward.formal.export import lean_statement, lean_term
from goalward.formal.formula import Formula
from goalward.formal.lean import Job
from goalward.formal.lean_find import ask_lean
from goalward.formal.metamath import shipped
from goalward.formal.proof import Proof, read_script, statement_goal, verify
from goalward.formal.tactics import moves
from goalward.models.load import ModelConfig, load_policy

BUDGETS = (16, 64)
LONGEST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One way to look for proofs. proved: its share of all theorems; None where it met only the hard ones.

    hard: the labels of those that neither control proves and it does.
    """

    name: str
    proved: Interval | None
    hard: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All lines; hard: labels of the theorems that neither control proves.

    judged: distinct proofs, each accepted by the kernel; lean: what Lean said to them.
    """

    lines: list[Line]
    hard: tuple[str, ...]
    judged: int
    lean: str


class Ways:
    """What each way proved of the theorems, and the proofs themselves."""

    def __init__(self) -> None:
        self.proofs: dict[tuple[Formula, Proof], None] = {}
        self.rows: list[tuple[str, list[bool], bool]] = []
        self._theorems = shipped()

    @property
    def statements(self) -> list[Formula]:
        """Of the theorems, in order."""
        return [theorem.statement for theorem in self._theorems]

    def add(self, name: str, found: Sequence[Proof | None], *, whole: bool = True) -> None:
        """A row: the proof that was found of each theorem; whole: whether all of them were looked at."""
        self.proofs |= {
            (s, one): None for s, one in zip(self.statements, found, strict=True) if one is not None
        }
        self.rows.append((name, [one is not None for one in found], whole))

    def study(self, hard: Sequence[int]) -> Study:
        """Everything judged, and each row in figures; hard: places of the theorems that no control proves."""
        terms = [(statement, verify(statement, proof)) for statement, proof in self.proofs]
        return Study(
            lines=[
                Line(
                    name=name,
                    proved=bootstrap(np.array(won)) if whole else None,
                    hard=tuple(self._theorems[place].label for place in hard if won[place]),
                )
                for name, won, whole in self.rows
            ],
            hard=tuple(self._theorems[place].label for place in hard),
            judged=len(terms),
            lean=verdict([Job(statement=lean_statement(s), body=lean_term(t, s)) for s, t in terms]),
        )


def study(
    models: Sequence[str], attempts: int, most: int, *, hardest: bool, say: Callable[[str], None] = print
) -> Study:
    """Controls, and each model's walk and searches. All proofs go through the kernel, and Lean if there is one.

    hardest: let models search what no control proves for as long as the control did.
    """
    ways = Ways()
    say("random tactics")
    luck = random.Random(0)  # noqa: S311
    tries = [[random_walk(one, luck) for _ in range(attempts)] for one in ways.statements]
    ways.add("random tactics, 1 attempt", [each[0] for each in tries])
    ways.add(f"random tactics, {attempts} attempts", [next(filter(None, each), None) for each in tries])
    say("search by size")
    sized = [search_by_size(one, most) for one in ways.statements]
    for budget in (*BUDGETS, most):
        ways.add(
            f"best first by size, {budget}",
            [one.proof if one.expansions <= budget else None for one in sized],
        )
    hard = [place for place, one in enumerate(sized) if not one.proved and not any(tries[place])]
    for model in models:
        guide = PolicyGuide(load_policy(ModelConfig(name=model)))
        say(f"{model}: one attempt")
        scripts = walks(ways.statements, guide, longest=LONGEST)
        ways.add(
            f"{model}: one attempt",
            [
                read_script(s, "\n".join(t)) if t else None
                for s, t in zip(ways.statements, scripts, strict=True)
            ],
        )
        say(f"{model}: puct, {max(BUDGETS)}")
        found = find_proofs(ways.statements, guide, SearchSettings(budget=max(BUDGETS), method="puct"))
        for budget in BUDGETS:
            ways.add(f"{model}: puct, {budget}", [within(one, budget) for one in found])
        if hardest:
            say(f"{model}: puct, {most}, {len(hard)} hard theorems")
            settings = SearchSettings(budget=most, method="puct")
            long = find_proofs([ways.statements[place] for place in hard], guide, settings)
            proofs = {place: one.proof for place, one in zip(hard, long, strict=True)}
            ways.add(
                f"{model}: puct, {most}, hard ones",
                [proofs.get(place) for place in range(len(ways.statements))],
                whole=False,
            )
    say("the judges")
    return ways.study(hard)


def within(found: Found, budget: int) -> Proof | None:
    """The proof, if so many expansions are enough: what a search does does not hang on what it may spend."""
    return found.proof if found.expansions <= budget else None


def random_walk(statement: Formula, luck: random.Random) -> Proof | None:
    """The proof that tactics which apply, drawn at random, come to."""
    goals, script = [statement_goal(statement)], []
    for _ in range(LONGEST):
        tactics = list(moves(goals[0]))
        if not tactics:
            return None
        text, move = luck.choice(tactics)
        script.append(text)
        goals = [*move.goals, *goals[1:]]
        if not goals:
            return read_script(statement, "\n".join(script))
    return None


def verdict(jobs: Sequence[Job]) -> str:
    """How many proofs Lean accepts, in words; or why it was not asked."""
    found = ask_lean(jobs)
    if isinstance(found, str):
        return found
    return f"accepted {sum(one.status == 'ok' for one in found)} of {len(found)}"


def table(found: Study) -> Table:
    """The lines, and the judges' words below."""
    drawn = Table(
        title="set.mm's 687 closed propositional theorems",
        caption=f"hard: of the {len(found.hard)} that no control proves. "
        f"Kernel: accepted all {found.judged} distinct proofs; Lean: {found.lean}",
    )
    for column in ("way", "proved", "95 %", "hard"):
        drawn.add_column(column, justify="left" if column == "way" else "right", overflow="fold")
    for line in found.lines:
        share = f"{line.proved.mean:.1%}" if line.proved else ""
        between = f"{line.proved.low:.1%} to {line.proved.high:.1%}" if line.proved else ""
        drawn.add_row(line.name, share, between, str(len(line.hard)))
    return drawn
