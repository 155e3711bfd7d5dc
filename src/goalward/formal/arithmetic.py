"""Tactics for natural numbers. Like the others they are not trusted."""

from collections.abc import Iterator, Sequence

from goalward.errors import UsageError
from goalward.formal.formula import (
    Formula,
    at,
    equal,
    forall,
    generalize,
    normal,
)
from goalward.formal.goal import Build, Environment, Goal, Move, Scope, TacticError
from goalward.formal.kernel import Absurd, At, Every, Induction, Injective, Never, Rewrite, Same, Term
from goalward.formal.numbers import ZERO, Number, bound, free, number_level, number_name, succ
from goalward.formal.numbers import normal as normal_number
from goalward.formal.reading import parse_number


def intro(goal: Goal) -> Move | None:
    """Take any number for the variable of a ∀; it gets the first name that is free."""
    if goal.target.op != "∀":
        return None
    level = goal.numbers
    left = goal._replace(target=at(goal.target, free(level)))
    return Move((left,), lambda env, parts: Every(parts[0](env.with_number(level))))


def rfl(goal: Goal) -> Move | None:
    """Both sides come to the same by the equations of + and *."""
    if goal.target.op != "=":
        return None
    a, b = goal.target.sides
    try:
        if normal_number(a) is not normal_number(b):
            return None
    except OverflowError:
        return None
    return Move((), lambda env, parts: Same(env.number(a)))


def induction(goal: Goal, level: int) -> Move | None:
    """Show it for 0, and for succ n where it is known for n; no hypothesis may speak of n."""
    n = free(level)
    if not _names(goal.target, n) or any(_names(one, n) for one in goal.hypotheses):
        return None
    motive = generalize(goal.target, n)
    step = Scope(goal, len(goal.hypotheses), (goal.target,), at(motive, succ(n)))
    base = goal._replace(target=at(motive, ZERO))

    def proof(env: Environment, parts: Sequence[Build]) -> Term:
        inside = env.with_number(level)
        following = Every(step.bind(inside, parts[1]))
        return At(Induction(env.formula(motive), parts[0](env), following), env.number(n))

    return Move((base, step.goal), proof)


def rewrite(goal: Goal, place: int, *, back: bool) -> Move | None:
    """With a hypothesis a = b: show the target with b for every a; back: with a for every b."""
    known = goal.hypotheses[place]
    if known.op != "=":
        return None
    a, b = reversed(known.sides) if back else known.sides
    motive = occurrences(goal.target, a)
    if motive is None:
        return None

    def proof(env: Environment, parts: Sequence[Build]) -> Term:
        equation = env.proofs[place] if back else _turned(env.number(a), env.proofs[place])
        return Rewrite(env.formula(motive), equation, parts[0](env))

    return Move((goal._replace(target=at(motive, b)),), proof)


def occurrences(target: Formula, number: Number) -> Formula | None:
    """∀ n, with n in each place of the number; None: it has none.

    Where the target has none, it is looked for in the target as far reckoned as it can be: 0 + succ n has 0 + n then.
    """
    if _names(target, number):
        return generalize(target, number)
    try:
        target, number = normal(target), normal_number(number)
    except OverflowError:
        return None
    return generalize(target, number) if _names(target, number) else None


def specialize(goal: Goal, place: int, number: Number) -> Move | None:
    """With a hypothesis ∀ n, F: go on with F for this number in its place."""
    known = goal.hypotheses[place]
    if known.op != "∀":
        return None
    scope = Scope(goal, place, (at(known, number),), goal.target)
    return Move(
        (scope.goal,),
        lambda env, parts: parts[0](scope.inside(env, (At(env.proofs[place], env.number(number)),))),
    )


def injection(goal: Goal, place: int) -> Move | None:
    """With a hypothesis succ a = succ b: go on with a = b in its place; one of 0 and a successor shows all."""
    known = goal.hypotheses[place]
    if known.op != "=":
        return None
    try:
        a, b = map(normal_number, known.sides)
    except OverflowError:
        return None
    if a.op == b.op == "succ":
        scope = Scope(goal, place, (equal(a.parts[0], b.parts[0]),), goal.target)
        return Move(
            (scope.goal,),
            lambda env, parts: parts[0](scope.inside(env, (Injective(env.proofs[place]),))),
        )
    if {a.op, b.op} != {"0", "succ"}:
        return None

    def proof(env: Environment, parts: Sequence[Build]) -> Term:
        equation = env.proofs[place]
        if a is ZERO:
            equation = _turned(env.number(known.sides[0]), equation)
        return Absurd(env.formula(goal.target), Never(equation))

    return Move((), proof)


def _turned(a: Number, equation: Term) -> Term:
    """From a = b: b = a."""
    return Rewrite(forall(equal(bound(0), a)), equation, Same(a))


def _names(formula: Formula, number: Number) -> bool:
    return generalize(formula, number).parts[0] is not formula


def run(goal: Goal, name: str, argument: str, places: Sequence[str]) -> Move | None:
    """What a tactic for numbers makes of a goal; `places` are its hypotheses' names. None: it is none, or not here.

    Raises TacticError where it names a number that is none.
    """
    if name == "rfl" and not argument:
        return rfl(goal)
    if name == "induction" and 0 <= number_level(argument) < goal.numbers:
        return induction(goal, number_level(argument))
    back = argument.startswith(("←", "<-"))
    named = argument.removeprefix("←").removeprefix("<-").strip()
    if name == "rw" and named in places:
        return rewrite(goal, places.index(named), back=back)
    if name == "injection" and argument in places:
        return injection(goal, places.index(argument))
    subject, word, text = argument.partition(" with ")
    if name == "specialize" and word and subject.strip() in places:
        try:
            number = parse_number(text, goal.numbers)
        except UsageError as error:
            raise TacticError(f"'specialize {argument}': {error}") from error
        return specialize(goal, places.index(subject.strip()), number)
    return None


NAMES = ("rfl", "induction", "rw", "injection")
"""What these tactics are called, besides `intro` and `specialize h with a number`."""


def candidates(goal: Goal, places: Sequence[str]) -> Iterator[tuple[str, Move | None]]:
    """Those that say all that is needed to try them."""
    yield "rfl", rfl(goal)
    for level in range(goal.numbers):
        yield f"induction {number_name(level)}", induction(goal, level)
    for place, known in enumerate(goal.hypotheses):
        if known.op == "=":
            yield f"rw {places[place]}", rewrite(goal, place, back=False)
            yield f"rw ← {places[place]}", rewrite(goal, place, back=True)
            yield f"injection {places[place]}", injection(goal, place)
