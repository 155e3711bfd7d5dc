"""Statements to practise on: theorems of propositional logic, and what only looks like one.

Everything is drawn from a random.Random, so that a seed gives the same statements again. Formulas that were drawn
earlier are left out up to the names of variables, and so is what is held out for a test.
"""

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Final, NamedTuple

from goalward.formal.formula import (
    ATOMS,
    FALSE,
    TRUE,
    Formula,
    atom,
    canonical,
    conjunction,
    countermodel,
    disjunction,
    equivalence,
    implies,
    negation,
    truth_table,
)

LARGEST: Final = 30
"""Atoms and operators in a statement, unless more are asked for."""
_Join = Callable[[Formula, Formula], Formula]
_BINARY: Final[Sequence[_Join]] = (implies, conjunction, disjunction, equivalence)
_WEIGHTS: Final = (5, 3, 3, 2)
_NEGATED, _CONSTANT = 0.2, 0.02  # the share of operators that are ¬, and of leaves that are ⊤ or ⊥
_POOL = 120
"""Formulas that are compared with each other by truth table, and as many again made of two of them."""


class Refutable(NamedTuple):
    """A statement that is no theorem, and values of its variables that make it false."""

    statement: Formula
    countermodel: Mapping[str, bool]


def random_formula(rng: random.Random, depth: int, names: Sequence[str]) -> Formula:
    """A formula of just `depth` operators inside each other, over some of the variables `names` (two at least).

    The sides of an operator differ: people do not write p ∨ p.
    """
    if depth == 0:
        if rng.random() < _CONSTANT:
            return rng.choice((TRUE, FALSE))
        return atom(rng.choice(names))
    first = random_formula(rng, depth - 1, names)
    if rng.random() < _NEGATED:
        return negation(first)
    second = first
    while second is first:
        second = random_formula(rng, rng.randrange(depth), names)
    [join] = rng.choices(_BINARY, _WEIGHTS)
    return join(first, second) if rng.random() < 0.5 else join(second, first)


def tautologies(rng: random.Random, depth: int = 3) -> Iterator[Formula]:
    """Random formulas of `depth` over two to five variables that happen to be theorems."""
    while True:
        found = random_formula(rng, depth, _some_names(rng))
        if countermodel(found) is None:
            yield found


def consequences(rng: random.Random) -> Iterator[Formula]:
    """Theorems from the truth tables of many small formulas: what follows from what, and what is equivalent.

    The shapes are a ↔ b; a → b; a → b → c and a ∧ b → c where neither premise is enough; and each of the first two
    inside a third formula, such as (c → a) → c → b.
    """
    while True:
        pool = _Pool(rng)
        for _ in range(_POOL):
            shape = rng.choice((pool.equivalent, pool.following, pool.joint))
            found = shape()
            if found is not None:
                yield found


class _Pool:
    """Formulas over the same few variables, with their truth tables; constant ones are left out."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._names = _some_names(rng)
        every = (1 << (1 << len(self._names))) - 1
        small = [random_formula(rng, rng.choice((0, 1, 1, 2)), self._names) for _ in range(_POOL)]
        self._small = list(self._telling(small, every))
        pairs = (rng.sample(self._small, 2) for _ in range(_POOL))
        joined = [rng.choices(_BINARY, _WEIGHTS)[0](a, b) for a, b in pairs]
        self._tables = self._telling(chain(self._small, joined), every)
        self._formulas = list(self._tables)
        self._alike: dict[int, list[Formula]] = {}
        for one, table in self._tables.items():
            self._alike.setdefault(table, []).append(one)

    def _telling(self, formulas: Iterable[Formula], every: int) -> dict[Formula, int]:
        tables = {one: truth_table(one, self._names) for one in formulas}
        return {one: table for one, table in tables.items() if 0 < table < every}

    def equivalent(self) -> Formula | None:
        a = self._rng.choice(self._formulas)
        b = self._rng.choice(self._alike[self._tables[a]])
        if a is b:
            return None
        if self._rng.random() < 0.5:
            return equivalence(a, b)
        join, c = self._rng.choice(_BINARY), self._rng.choice(self._small)
        return equivalence(
            *((join(a, c), join(b, c)) if self._rng.random() < 0.5 else (join(c, a), join(c, b)))
        )

    def following(self) -> Formula | None:
        a = self._rng.choice(self._formulas)
        b = self._choose(self._entailed(self._tables[a]) - {a})
        if b is None:
            return None
        c = self._rng.choice(self._small)
        shapes = (
            implies(negation(b), negation(a)),
            implies(implies(c, a), implies(c, b)),
            implies(implies(b, c), implies(a, c)),
            implies(conjunction(a, c), conjunction(b, c)),
            implies(disjunction(a, c), disjunction(b, c)),
        )
        return implies(a, b) if self._rng.random() < 0.6 else self._rng.choice(shapes)

    def joint(self) -> Formula | None:
        a, b = (self._rng.choice(self._formulas) for _ in range(2))
        ta, tb = self._tables[a], self._tables[b]
        c = (
            self._choose(self._entailed(ta & tb) - self._entailed(ta) - self._entailed(tb))
            if ta & tb
            else None
        )
        if c is None:
            return None
        return implies(a, implies(b, c)) if self._rng.random() < 0.6 else implies(conjunction(a, b), c)

    def _entailed(self, table: int) -> set[Formula]:
        return {one for one, other in self._tables.items() if not table & ~other}

    def _choose(self, among: Collection[Formula]) -> Formula | None:
        """One of them, the smaller the likelier."""
        ordered = [one for one in self._formulas if one in among]  # a set of objects has no order of its own
        if not ordered:
            return None
        return self._rng.choices(ordered, [1 / one.size for one in ordered])[0]


def refutables(rng: random.Random, theorems: Iterator[Formula]) -> Iterator[Refutable]:
    """Statements that are no theorems: each of `theorems` with one symbol changed, where that makes it false."""
    for theorem in theorems:
        statement = _misprint(rng, theorem)
        wrong = countermodel(statement)
        if wrong is not None:
            yield Refutable(statement, wrong)


def _misprint(rng: random.Random, formula: Formula) -> Formula:
    """The formula with another operator or atom at one place, or the sides of an operator exchanged."""
    if formula.op == "atom":
        return atom(rng.choice(ATOMS[:4]))
    if not formula.parts:
        return TRUE if formula is FALSE else FALSE
    a, b = formula.parts
    place = rng.randrange(formula.size)
    if formula.negated:
        return a if place == 0 else negation(_misprint(rng, a))
    join = {"→": implies, "∧": conjunction, "∨": disjunction, "↔": equivalence}[formula.op]
    if place == 0:
        return implies(b, a) if join is implies and rng.random() < 0.5 else rng.choice(_BINARY)(a, b)
    return join(_misprint(rng, a), b) if place <= a.size else join(a, _misprint(rng, b))


def trivial(statement: Formula) -> bool:
    """Whether it needs no thought: a constant, an operator between two equal formulas, or one with a constant side."""
    if not statement.parts:
        return True
    a, b = statement.parts
    return a is b or a in (TRUE, FALSE) or (b in (TRUE, FALSE) and not statement.negated)


def distinct(
    statements: Iterator[Formula], held_out: Collection[Formula] = (), *, largest: int = LARGEST
) -> Iterator[Formula]:
    """The statements in canonical form, each once up to renaming: none that is held out, larger or trivial."""
    seen = {canonical(one) for one in held_out}
    for statement in statements:
        if statement.size > largest or trivial(statement):
            continue
        found = canonical(statement)
        if found not in seen:
            seen.add(found)
            yield found


def take_turns(*streams: Iterator[Formula]) -> Iterator[Formula]:
    """One of each stream, over and over."""
    return (next(stream) for turn in repeat(streams) for stream in turn)


def _some_names(rng: random.Random) -> Sequence[str]:
    return ATOMS[: rng.choice((2, 3, 3, 4, 5))]
