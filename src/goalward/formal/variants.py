"""Theorems near a theorem: what to practise on when one resists (test-time RL, as AlphaProof does it)."""

from collections.abc import Callable, Collection, Iterator
from typing import Final

from goalward.errors import UsageError
from goalward.formal.formula import (
    ATOMS,
    Formula,
    atom,
    atoms,
    canonical,
    conjunction,
    disjunction,
    equivalence,
    implies,
    is_tautology,
    negation,
    substitute,
)
from goalward.formal.proof import statement_goal
from goalward.formal.statements import trivial
from goalward.formal.tactics import Goal, moves

MOST_ATOMS: Final = 12
"""Truth tables of more take too long for thousands of variants."""
_Join = Callable[[Formula, Formula], Formula]
_JOINS: Final[dict[str, _Join]] = {"→": implies, "∧": conjunction, "∨": disjunction, "↔": equivalence}


def variants(
    statement: Formula, held_out: Collection[Formula] = (), *, largest: int | None = None
) -> Iterator[Formula]:
    """Theorems near `statement`, which is one, the nearest first: each once, in canonical form.

    One step away are the goals that a tactic makes of it, its instances (two variables become one, a variable becomes
    a small formula), its generalisations (a part becomes a variable), and what comes of one part that is
    commuted, curried, contraposed, halved (a ↔ b to a → b) or left out, where that is a theorem; then two steps, and
    so on. Of those as near, the ones of a size near to the statement's come first. The statement itself, what is held
    out, trivial ones and what has more than `largest` atoms and operators (as it is: half as many again) are left out.
    It ends when there are no more. Raises UsageError where the statement has more than 12 variables.
    """
    if len(atoms(statement)) > MOST_ATOMS:
        raise UsageError(
            f"variants are made of theorems with up to {MOST_ATOMS} variables; {statement} has more"
        )
    start = canonical(statement)
    limit = start.size + max(start.size // 2, 4) if largest is None else largest
    seen = {start}
    out = {canonical(one) for one in held_out}
    level = [start]
    while level:
        following: list[Formula] = []
        for one in level:
            for near in _neighbours(one):
                if near.size > limit or len(atoms(near)) > MOST_ATOMS:
                    continue
                found = canonical(near)
                if found not in seen:
                    seen.add(found)
                    if not trivial(found) and is_tautology(found):
                        following.append(found)
        following.sort(key=lambda one: abs(one.size - start.size))  # sorting is stable: no order by chance
        yield from (one for one in following if one not in out)
        level = following


def as_statement(goal: Goal) -> Formula:
    """A goal as one formula: its hypotheses imply its target."""
    statement = goal.target
    for known in reversed(goal.hypotheses):
        statement = implies(known, statement)
    return statement


def _neighbours(statement: Formula) -> Iterator[Formula]:
    """What one step makes of the statement, theorems or not."""
    yield from sorted(map(as_statement, _goals(statement)), key=lambda one: (one.size, str(one)))
    names = atoms(statement)
    for name in names:
        others = [atom(other) for other in names if other != name]
        for other in others:
            yield substitute(statement, {name: other})
        own = atom(name)
        for other in [*others, atom(_fresh(names))]:
            for small in (conjunction(own, other), disjunction(own, other), implies(own, other)):
                yield substitute(statement, {name: small})
        yield substitute(statement, {name: negation(own)})
    fresh = atom(_fresh(names))
    for part in dict.fromkeys(_parts(statement)):
        if part.parts and part is not statement:
            yield _replaced(statement, part, fresh)
    yield from _changed(statement)


def _goals(statement: Formula) -> set[Goal]:
    """The goals after one tactic, and after `intro` and one more: those that show the inside of an implication."""
    found: set[Goal] = set()
    for text, move in moves(statement_goal(statement)):
        found.update(move.goals)
        if text == "intro":
            found.update(goal for inner in move.goals for _, after in moves(inner) for goal in after.goals)
    return found


def _changed(formula: Formula) -> Iterator[Formula]:
    """The formula with one of its parts, or itself, put otherwise."""
    if not formula.parts:
        return
    yield from _otherwise(formula)
    a, b = formula.parts
    join = _JOINS[formula.op]
    yield from (join(one, b) for one in _changed(a))
    if not formula.negated:
        yield from (join(a, one) for one in _changed(b))


def _otherwise(formula: Formula) -> Iterator[Formula]:
    """Other formulas that have to do with this one, equivalent or weaker or stronger."""
    a, b = formula.parts
    yield a
    if formula.negated:
        return
    yield b
    if formula.op == "→":
        yield implies(negation(b), negation(a))
        if a.op == "∧":
            yield implies(a.parts[0], implies(a.parts[1], b))
        if b.op == "→":
            yield implies(conjunction(a, b.parts[0]), b.parts[1])
            yield implies(b.parts[0], implies(a, b.parts[1]))
    else:
        yield _JOINS[formula.op](b, a)
    if formula.op == "↔":
        yield implies(a, b)
        yield implies(b, a)
        yield equivalence(negation(a), negation(b))
    if formula.op in ("∧", "∨") and a.op == formula.op:
        join = _JOINS[formula.op]
        yield join(a.parts[0], join(a.parts[1], b))


def _parts(formula: Formula) -> Iterator[Formula]:
    yield formula
    for part in formula.parts:
        yield from _parts(part)


def _replaced(formula: Formula, part: Formula, by: Formula) -> Formula:
    """The formula with `by` wherever `part` stands in it."""
    if formula is part:
        return by
    if not formula.parts:
        return formula
    return _JOINS[formula.op](*(_replaced(one, part, by) for one in formula.parts))


def _fresh(names: Collection[str]) -> str:
    """A name that is none of `names`, few enough that a letter is left."""
    return next(name for name in ATOMS if name not in names)
