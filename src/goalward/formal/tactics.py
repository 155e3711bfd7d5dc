"""Tactics: how a proof is found, goal by goal. Nothing here is trusted; the kernel judges what comes out.

A goal is what is known and what is to be shown. A tactic replaces it by goals from which it follows, and builds the
proof of the one from proofs of the others. Hypotheses are named by their place: h1, h2, ...
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from goalward.errors import UsageError
from goalward.formal import arithmetic
from goalward.formal.formula import FALSE, TRUE, Formula, implies, negation, parse
from goalward.formal.goal import Build, Environment, Scope
from goalward.formal.goal import Goal as Goal
from goalward.formal.goal import Move as Move
from goalward.formal.goal import TacticError as TacticError
from goalward.formal.kernel import (
    Absurd,
    App,
    Back,
    Both,
    Either,
    Equivalent,
    ExcludedMiddle,
    First,
    Forth,
    Fun,
    Left,
    Right,
    Second,
    Term,
    Trivial,
    Var,
)

MOST_HYPOTHESES = 16
"""A tactic that would give a goal more does not apply, so that every goal can be written down."""


Tactic: TypeAlias = Callable[[Goal], Move | None]
Named: TypeAlias = Callable[[Goal, int], Move | None]
"""With the place of a hypothesis, from 0. None: it does not apply."""


def assumption(goal: Goal) -> Move | None:
    """What is to be shown is known."""
    return exact(goal, goal.hypotheses.index(goal.target)) if goal.target in goal.hypotheses else None


def exact(goal: Goal, place: int) -> Move | None:
    """It is this that is known."""
    if goal.hypotheses[place] is not goal.target:
        return None
    return Move((), lambda env, parts: env.proofs[place])


def intro(goal: Goal) -> Move | None:
    """Assume the left side of an implication (of ¬a: a), or take any number for the variable of a ∀."""
    if goal.target.op != "→":
        return arithmetic.intro(goal)
    scope = Scope(goal, len(goal.hypotheses), goal.target.parts[:1], goal.target.parts[1])
    return Move((scope.goal,), lambda env, parts: scope.bind(env, parts[0]))


def by_contra(goal: Goal) -> Move | None:
    """Assume the opposite, and show ⊥: by excluded middle."""
    target = goal.target
    if target is FALSE:
        return None
    scope = Scope(goal, len(goal.hypotheses), (negation(target),), FALSE)

    def proof(env: Environment, parts: Sequence[Build]) -> Term:
        shown = env.formula(target)
        holds = Fun(shown, Var(env.depth))
        return Either(
            ExcludedMiddle(shown), holds, scope.bind(env, lambda inner: Absurd(shown, parts[0](inner)))
        )

    return Move((scope.goal,), proof)


def exfalso(goal: Goal) -> Move | None:
    """Show ⊥ instead."""
    if goal.target is FALSE:
        return None
    return Move(
        (goal._replace(target=FALSE),), lambda env, parts: Absurd(env.formula(goal.target), parts[0](env))
    )


def constructor(goal: Goal) -> Move | None:
    """Show both sides of a ∧ b, both directions of a ↔ b, or ⊤."""
    if goal.target is TRUE:
        return Move((), lambda env, parts: Trivial())
    if goal.target.op not in ("∧", "↔"):
        return None
    make = Both if goal.target.op == "∧" else Equivalent
    one, two = (goal._replace(target=half) for half in halves(goal.target))
    return Move((one, two), lambda env, parts: make(parts[0](env), parts[1](env)))


def halves(whole: Formula) -> tuple[Formula, Formula]:
    """What there is in a ∧ b, or in a ↔ b: both its directions."""
    a, b = whole.parts
    return (a, b) if whole.op == "∧" else (implies(a, b), implies(b, a))


def left(goal: Goal) -> Move | None:
    """Show the left side of a ∨ b."""
    if goal.target.op != "∨":
        return None
    a, b = goal.target.parts
    return Move((goal._replace(target=a),), lambda env, parts: Left(parts[0](env), env.formula(b)))


def right(goal: Goal) -> Move | None:
    """Show the right side of a ∨ b."""
    if goal.target.op != "∨":
        return None
    a, b = goal.target.parts
    return Move((goal._replace(target=b),), lambda env, parts: Right(env.formula(a), parts[0](env)))


def apply(goal: Goal, place: int) -> Move | None:
    """From a hypothesis a → b → ... → target: show a, b, ..."""
    due: list[Formula] = []
    rest = goal.hypotheses[place]
    while rest is not goal.target:
        if rest.op != "→":
            return None
        due.append(rest.parts[0])
        rest = rest.parts[1]

    def proof(env: Environment, parts: Sequence[Build]) -> Term:
        found = env.proofs[place]
        for part in parts:
            found = App(found, part(env))
        return found

    return Move(tuple(goal._replace(target=one) for one in due), proof)


def cases(goal: Goal, place: int) -> Move | None:
    """Take a hypothesis apart: a ∧ b and a ↔ b into two, a ∨ b into two goals, and with ⊥ all is shown."""
    known = goal.hypotheses[place]
    if known is FALSE:
        return Move((), lambda env, parts: Absurd(env.formula(goal.target), env.proofs[place]))
    if known.op in ("∧", "↔"):
        first, second = (First, Second) if known.op == "∧" else (Forth, Back)
        scope = Scope(goal, place, halves(known), goal.target)

        def proof(env: Environment, parts: Sequence[Build]) -> Term:
            whole = env.proofs[place]
            return parts[0](scope.inside(env, (first(whole), second(whole))))

        return Move((scope.goal,), proof)
    if known.op == "∨":
        one, two = (Scope(goal, place, (side,), goal.target) for side in known.parts)
        return Move(
            (one.goal, two.goal),
            lambda env, parts: Either(env.proofs[place], one.bind(env, parts[0]), two.bind(env, parts[1])),
        )
    return None


def specialize(goal: Goal, place: int) -> Move | None:
    """From a hypothesis a → b: show a, and go on with b in its place."""
    known = goal.hypotheses[place]
    if known.op != "→":
        return None
    a, b = known.parts
    scope = Scope(goal, place, (b,), goal.target)
    return Move(
        (goal._replace(target=a), scope.goal),
        lambda env, parts: App(scope.bind(env, parts[1]), App(env.proofs[place], parts[0](env))),
    )


def have(goal: Goal, formula: Formula) -> Move:
    """Show `formula` first, and go on with it."""
    scope = Scope(goal, len(goal.hypotheses), (formula,), goal.target)
    return Move(
        (goal._replace(target=formula), scope.goal),
        lambda env, parts: App(scope.bind(env, parts[1]), parts[0](env)),
    )


PLAIN: dict[str, Tactic] = {
    "assumption": assumption,
    "intro": intro,
    "constructor": constructor,
    "left": left,
    "right": right,
    "exfalso": exfalso,
    "by_contra": by_contra,
}
NAMED: dict[str, Named] = {"exact": exact, "apply": apply, "cases": cases, "specialize": specialize}
_PLACES = tuple(f"h{place}" for place in range(1, MOST_HYPOTHESES + 1))
_TEXTS = {name: [f"{name} {place}" for place in _PLACES] for name in NAMED}


def run(goal: Goal, text: str) -> Move:
    """What the tactic `text` makes of a goal: "intro", "apply h2", "have p ∨ ¬p".

    Raises TacticError, in words, where it is no tactic or does not apply.
    """
    name, _, argument = text.strip().partition(" ")
    argument = argument.strip()
    move: Move | None = None
    if name in PLAIN and not argument:
        move = PLAIN[name](goal)
    elif name in NAMED and argument in _PLACES[: len(goal.hypotheses)]:
        move = NAMED[name](goal, _PLACES.index(argument))
    elif name == "have" and argument:
        try:
            move = have(goal, parse(argument.removeprefix(":"), goal.numbers))
        except UsageError as error:
            raise TacticError(f"{text!r}: {error}") from error
    else:
        move = arithmetic.run(goal, name, argument, _PLACES[: len(goal.hypotheses)])
    if move is None and name in NAMED and argument.partition(" ")[0] not in _PLACES[: len(goal.hypotheses)]:
        raise TacticError(f"{text!r}: names no hypothesis of {goal}")
    if move is None and name not in (*PLAIN, *NAMED, "have", *arithmetic.NAMES):
        known = ", ".join([*PLAIN, *NAMED, "have", *arithmetic.NAMES])
        raise TacticError(f"{text!r}: is no tactic; known: {known}")
    if move is None or not _writable(move):
        raise TacticError(f"{text!r}: does not apply to {goal}")
    return move


def moves(goal: Goal) -> Iterator[tuple[str, Move]]:
    """Every tactic that applies and does not come back to the goal itself, each result once; `have` is left out."""
    seen: set[tuple[Goal, ...]] = {(goal,)}
    for text, move in _candidates(goal):
        if move is not None and move.goals not in seen and goal not in move.goals and _writable(move):
            seen.add(move.goals)
            yield text, move


def _candidates(goal: Goal) -> Iterator[tuple[str, Move | None]]:
    for name, tactic in PLAIN.items():
        yield name, tactic(goal)
    for name, named in NAMED.items():
        if name != "exact":  # what it closes, `assumption` closes
            for place in range(len(goal.hypotheses)):
                yield _TEXTS[name][place], named(goal, place)
    if goal.arithmetic:
        yield from arithmetic.candidates(goal, _PLACES)


def _writable(move: Move) -> bool:
    return all(len(goal.hypotheses) <= MOST_HYPOTHESES for goal in move.goals)
