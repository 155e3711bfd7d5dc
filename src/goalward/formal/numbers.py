"""Natural numbers: 0, successors, sums, products and variables, and what they come to by the equations of + and *.

One object for each, as with formulas. A variable that a ∀ binds is a number that says how many ∀s lie between it and
its own (de Bruijn's index), so that names never clash; a variable that is free says which of those around it is meant.
"""

from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

LOST: Final = 1 << 30
"""The scope of what has a bound variable without its ∀: no surroundings are enough."""

_LARGEST = 2000
_LETTERS = "nmkijl"


class Number:
    """A term of arithmetic: `op` is "0", "succ", "+", "*", "free" or "bound"; only a variable has an index.

    size: how many symbols it has; free: how many variables around it it may name; loose: how many ∀s around it it
    may name. Make them with the functions of this module.
    """

    __slots__ = ("__weakref__", "free", "index", "loose", "op", "parts", "size")
    op: str
    parts: tuple["Number", ...]
    index: int
    size: int
    free: int
    loose: int

    def __str__(self) -> str:
        return show_number(self)

    def __repr__(self) -> str:
        return f"<number {self}>"

    def __reduce__(self) -> tuple[object, tuple[str, tuple["Number", ...], int]]:
        return _make, (self.op, self.parts, self.index)

    @property
    def scope(self) -> int:
        """How many number variables must be around it."""
        return LOST if self.loose else self.free


_known: WeakValueDictionary[tuple[str, tuple[Number, ...], int], Number] = WeakValueDictionary()


def _make(op: str, parts: tuple[Number, ...] = (), index: int = 0) -> Number:
    key = (op, parts, index)
    found = _known.get(key)
    if found is None:
        found = Number()
        found.op, found.parts, found.index = key
        found.size = 1 + sum(part.size for part in parts)
        found.free = index + 1 if op == "free" else max((part.free for part in parts), default=0)
        found.loose = index + 1 if op == "bound" else max((part.loose for part in parts), default=0)
        _known[key] = found
    return found


ZERO: Final = _make("0")


def succ(a: Number) -> Number:
    """The number after a."""
    return _make("succ", (a,))


def plus(a: Number, b: Number) -> Number:
    """A + b."""
    return _make("+", (a, b))


def times(a: Number, b: Number) -> Number:
    """A * b."""
    return _make("*", (a, b))


def free(level: int) -> Number:
    """The variable around it that `level` others are outside of."""
    return _make("free", (), level)


def bound(index: int) -> Number:
    """The variable of the ∀ that `index` others are inside of."""
    return _make("bound", (), index)


Change = Callable[[Number, int], "Number | None"]
"""What stands in a number's place under so many ∀s; None: look into its parts."""


def change(number: Number, by: Change, depth: int) -> Number:
    """The number with each part that `by` replaces replaced."""
    found = by(number, depth)
    if found is not None or not number.parts:
        return number if found is None else found
    return _make(number.op, tuple(change(part, by, depth) for part in number.parts))


def normal(number: Number) -> Number:
    """What it comes to by a + 0 = a, a + succ b = succ (a + b), a * 0 = 0 and a * succ b = a * b + a.

    Raises OverflowError where that is too large to write down.
    """
    if not number.parts:
        return number
    parts = tuple(map(normal, number.parts))
    if number.op == "succ":
        return succ(*parts)
    a, b = parts
    if number.op == "+":
        return _sum(a, b)
    rest, steps = _peel(b)
    found = ZERO if rest is ZERO else times(a, rest)
    for _ in range(steps):
        found = _sum(found, a)
    return found


def _sum(a: Number, b: Number) -> Number:
    rest, steps = _peel(b)
    found = a if rest is ZERO else plus(a, rest)
    if found.size + steps > _LARGEST:
        raise OverflowError("a number is too large")
    for _ in range(steps):
        found = succ(found)
    return found


def _peel(number: Number) -> tuple[Number, int]:
    """What it is the successor of, and how many times."""
    steps = 0
    while number.op == "succ":
        number = number.parts[0]
        steps += 1
    return number, steps


def number_name(level: int) -> str:
    """What the variable of this level is called: n, m, k, i, j, l, then n1, m1, ..."""
    turn, place = divmod(level, len(_LETTERS))
    return f"{_LETTERS[place]}{turn or ''}"


def number_level(name: str) -> int:
    """The level of the variable of this name, -1 where it is none."""
    place, turn = _LETTERS.find(name[:1]), name[1:] or "0"
    level = int(turn) * len(_LETTERS) + place if name and turn.isdecimal() and len(turn) < 6 else -1
    return level if place >= 0 and level >= 0 and number_name(level) == name else -1


def show_number(number: Number, levels: int = 0, *, inner: int = 0) -> str:
    """In Lean's notation. levels: that of the next ∀, so that bound variables have names.

    inner: how tightly what stands around it binds: 66 and 71 to the right of + and *, 100 for an argument.
    """
    match number.op:
        case "free":
            return number_name(number.index)
        case "bound":
            return number_name(levels - 1 - number.index)
        case "+" | "*" as op:
            level = 65 if op == "+" else 70
            a, b = number.parts
            found = f"{show_number(a, levels, inner=level)} {op} {show_number(b, levels, inner=level + 1)}"
            return f"({found})" if inner > level else found
    rest, steps = _peel(number)
    if rest is ZERO:
        return str(steps)
    found = f"succ {show_number(number.parts[0], levels, inner=100)}"
    return f"({found})" if inner >= 100 else found
