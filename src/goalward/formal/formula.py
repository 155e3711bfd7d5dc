"""Formulas of propositional logic and arithmetic, read and written in Lean's notation.

There is one object for each formula, so that equal means identical: comparing and hashing cost nothing, however
large the formula. Negation is what it is in Lean: ¬a is a → ⊥.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final
from weakref import WeakValueDictionary

from goalward.errors import UsageError
from goalward.formal.numbers import LOST, Change, Number, bound, change, number_name, show_number
from goalward.formal.numbers import normal as normal_number

ATOMS: Final = tuple("pqrstuvwxyzabcdefg")
"""The names that canonical formulas use, in their order; h is for hypotheses."""


class Formula:
    """A proposition: `op` is "atom", "⊥", "⊤", "→", "∧", "∨", "↔", "=" or "∀".

    Only an atom has a name, only "=" has sides. size: how many symbols it has; free: how many number variables around
    it it may name; loose: how many ∀s around it; arithmetic: whether there is a "=" or "∀" in it; scope: how many
    number variables must be around it. Make them with the functions of this module.
    """

    __slots__ = (
        "__weakref__",
        "arithmetic",
        "free",
        "loose",
        "name",
        "op",
        "parts",
        "scope",
        "sides",
        "size",
    )
    op: str
    parts: tuple["Formula", ...]
    name: str
    sides: tuple[Number, ...]
    size: int
    free: int
    loose: int
    scope: int
    arithmetic: bool

    def __str__(self) -> str:
        return show(self)

    def __repr__(self) -> str:
        return f"parse({show(self)!r})"

    def __reduce__(self) -> tuple[object, tuple[str, tuple["Formula", ...], str, tuple[Number, ...]]]:
        return _make, (self.op, self.parts, self.name, self.sides)

    @property
    def negated(self) -> bool:
        """Whether it is ¬a for some a."""
        return self.op == "→" and self.parts[1] is FALSE


_known: WeakValueDictionary[tuple[object, ...], Formula] = WeakValueDictionary()


def _make(
    op: str, parts: tuple[Formula, ...] = (), name: str = "", sides: tuple[Number, ...] = ()
) -> Formula:
    key = (op, name) if name else (op, *parts, *sides)
    found = _known.get(key)
    if found is None:
        found = Formula()
        found.op, found.parts, found.name, found.sides = op, parts, name, sides
        found.size, found.free, found.loose, found.scope, found.arithmetic = 1, 0, 0, 0, False
        for part in parts:
            found.size += part.size
            if part.arithmetic:
                found.arithmetic = True
        if found.arithmetic or sides or op == "∀":
            _look_at_numbers(found)
        _known[key] = found
    return found


def _look_at_numbers(found: Formula) -> None:
    inside: tuple[Formula | Number, ...] = (*found.parts, *found.sides)
    found.arithmetic = True
    found.size = 1 + sum(part.size for part in inside)
    found.free = max(part.free for part in inside)
    found.loose = max(part.loose for part in inside)
    if found.op == "∀":
        found.loose = max(found.loose - 1, 0)
    found.scope = LOST if found.loose else found.free


FALSE: Final = _make("⊥")
TRUE: Final = _make("⊤")


def atom(name: str) -> Formula:
    """A propositional variable."""
    return _make("atom", (), name)


def implies(a: Formula, b: Formula) -> Formula:
    """A → b."""
    return _known.get(("→", a, b)) or _make("→", (a, b))


def negation(a: Formula) -> Formula:
    """¬a, which is a → ⊥."""
    return _make("→", (a, FALSE))


def conjunction(a: Formula, b: Formula) -> Formula:
    """A ∧ b."""
    return _known.get(("∧", a, b)) or _make("∧", (a, b))


def disjunction(a: Formula, b: Formula) -> Formula:
    """A ∨ b."""
    return _known.get(("∨", a, b)) or _make("∨", (a, b))


def equivalence(a: Formula, b: Formula) -> Formula:
    """A ↔ b."""
    return _known.get(("↔", a, b)) or _make("↔", (a, b))


def equal(a: Number, b: Number) -> Formula:
    """A = b."""
    return _make("=", (), "", (a, b))


def forall(body: Formula) -> Formula:
    """∀ n, body: n is `bound(0)` in it, `bound(1)` under a further ∀ ..."""
    return _make("∀", (body,))


# How tightly each operator binds, as in Lean: (its own level, the left side's at least, the right side's at least).
LEVELS: Final = {"↔": (20, 21, 21), "→": (25, 26, 25), "∨": (30, 31, 30), "∧": (35, 36, 35)}
NOT: Final = 40
_EQUAL = 50


def show(formula: Formula) -> str:
    """The formula in Lean's notation, with no more parentheses than it needs."""
    return "".join(symbols(formula, spaced=True))


def symbols(formula: Formula, *, spaced: bool = False) -> Iterator[str]:
    """The formula's text, symbol by symbol; spaced: with spaces around its binary operators."""
    return _symbols(formula, 0, " " if spaced else "", max(formula.free, formula.loose))


def _symbols(formula: Formula, least: int, space: str, levels: int) -> Iterator[str]:
    op = formula.op
    if op == "atom":
        yield formula.name
    elif op == "=":
        a, b = (show_number(side, levels) for side in formula.sides)
        yield f"({a} = {b})" if least > _EQUAL else f"{a} = {b}"
    elif op == "∀":
        yield "(" if least else ""
        yield f"∀ {number_name(levels)}, "
        yield from _symbols(formula.parts[0], 0, space, levels + 1)
        yield ")" if least else ""
    elif not formula.parts:
        yield op
    elif formula.negated:
        yield "¬"
        yield from _symbols(formula.parts[0], NOT, space, levels)
    else:
        level, left, right = LEVELS[op]
        if level < least:
            yield "("
        yield from _symbols(formula.parts[0], left, space, levels)
        yield f"{space}{op}{space}"
        yield from _symbols(formula.parts[1], right, space, levels)
        if level < least:
            yield ")"


def parse(text: str, numbers: int = 0) -> Formula:
    r"""Read a formula; ASCII spellings (->, /\, \/, <->, ~, True, False, forall) are understood too.

    numbers: how many free number variables it may name: n, m, k, ... Raises UsageError, saying where, at what is none.
    """
    from goalward.formal.reading import Reader  # which makes formulas with what is here

    return Reader(text, numbers).whole()


def atoms(formula: Formula) -> tuple[str, ...]:
    """Its variables' names, in the order in which they are first written."""
    found: dict[str, None] = {}
    todo = [formula]
    while todo:
        one = todo.pop()
        if one.op == "atom":
            found.setdefault(one.name)
        todo += reversed(one.parts)
    return tuple(found)


def substitute(formula: Formula, by: Mapping[str, Formula]) -> Formula:
    """The formula with each variable that `by` names replaced."""
    done: dict[Formula, Formula] = {}

    def walk(one: Formula) -> Formula:
        if one.op == "atom":
            return by.get(one.name, one)
        if not one.parts:
            return one
        if one not in done:
            done[one] = _make(one.op, tuple(map(walk, one.parts)))
        return done[one]

    return walk(formula)


def change_numbers(formula: Formula, by: Change, depth: int = 0) -> Formula:
    """The formula with each number in it that `by` replaces replaced; `depth` ∀s are around it already."""
    if not formula.arithmetic:
        return formula
    if formula.op == "=":
        a, b = (change(side, by, depth) for side in formula.sides)
        return equal(a, b)
    depth += formula.op == "∀"
    return _make(formula.op, tuple(change_numbers(part, by, depth) for part in formula.parts))


def at(every: Formula, number: Number) -> Formula:
    """What ∀ n, F says of a number that names no ∀ around it."""
    return change_numbers(
        every.parts[0], lambda one, depth: number if one.op == "bound" and one.index == depth else None
    )


def generalize(formula: Formula, number: Number) -> Formula:
    """∀ n, with n in each place where the number stood."""
    return forall(change_numbers(formula, lambda one, depth: bound(depth) if one is number else None))


def rename_numbers(formula: Formula, numbers: Sequence[Number]) -> Formula:
    """The formula with numbers for its free variables."""
    if not formula.free:
        return formula
    return change_numbers(formula, lambda one, depth: numbers[one.index] if one.op == "free" else None)


def normal(formula: Formula) -> Formula:
    """The formula with each number as far reckoned as it can be. Raises OverflowError where one grows too large."""
    return change_numbers(formula, lambda one, depth: normal_number(one))


def canonical(formula: Formula) -> Formula:
    """The same up to the names of its variables: named p, q, r, ... in the order in which they are first written."""
    names = atoms(formula)
    return substitute(formula, dict(zip(names, map(atom, canonical_names(len(names))), strict=True)))


def canonical_names(count: int) -> tuple[str, ...]:
    """The first `count` names: p, q, r, ..., then p1, q1, ... when the letters are used up."""
    rounds = -(-count // len(ATOMS))
    names = [f"{letter}{turn or ''}" for turn in range(rounds) for letter in ATOMS]
    return tuple(names[:count])


@cache
def _column(index: int, count: int) -> int:
    """The truth values of variable `index` of `count` in all 2^count rows, as the bits of one number."""
    block = (1 << (1 << index)) - 1  # 2^index rows of 1 ...
    width = 2 << index  # ... in every 2^(index + 1)
    return sum(block << (start + width // 2) for start in range(0, 1 << count, width))


def truth_table(formula: Formula, names: Sequence[str]) -> int:
    """The value in every row as the bits of one number; in row i, variable `names[k]` is bit k of i."""
    if formula.arithmetic:
        raise UsageError(
            f"{formula}: no table says whether it is true; tables are for propositional formulas"
        )
    every = (1 << (1 << len(names))) - 1
    columns = {name: _column(index, len(names)) for index, name in enumerate(names)}
    done: dict[Formula, int] = {}

    def walk(one: Formula) -> int:
        if one.op == "atom":
            return columns[one.name]
        if not one.parts:
            return every if one is TRUE else 0
        if one not in done:
            a, b = map(walk, one.parts)
            done[one] = {"→": ~a & every | b, "∧": a & b, "∨": a | b, "↔": ~(a ^ b) & every}[one.op]
        return done[one]

    return walk(formula)


def countermodel(formula: Formula) -> dict[str, bool] | None:
    """Values of its variables that make it false, or None: it is a tautology. Time doubles with each variable."""
    names = atoms(formula)
    rows = 1 << len(names)
    wrong = ~truth_table(formula, names) & ((1 << rows) - 1)
    if not wrong:
        return None
    row = (wrong & -wrong).bit_length() - 1
    return {name: bool(row >> index & 1) for index, name in enumerate(names)}


def is_tautology(formula: Formula) -> bool:
    """Whether it is true whatever its variables are."""
    return countermodel(formula) is None
