"""Formulas of propositional logic, read and written in Lean's notation.

There is one object for each formula, so that equal means identical: comparing and hashing cost nothing, however
large the formula. Negation is what it is in Lean: ¬a is a → ⊥.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Final
from weakref import WeakValueDictionary

from goalward.errors import UsageError

ATOMS: Final = tuple("pqrstuvwxyzabcdefg")
"""The names that canonical formulas use, in their order; h is for hypotheses."""


class Formula:
    """A proposition: `op` is "atom", "⊥", "⊤", "→", "∧", "∨" or "↔"; only an atom has a name.

    size: how many atoms and operators it has. Make them with the functions of this module.
    """

    __slots__ = ("__weakref__", "name", "op", "parts", "size")
    op: str
    parts: tuple["Formula", ...]
    name: str
    size: int

    def __str__(self) -> str:
        return show(self)

    def __repr__(self) -> str:
        return f"parse({show(self)!r})"

    def __reduce__(self) -> tuple[object, tuple[str, tuple["Formula", ...], str]]:
        return _make, (self.op, self.parts, self.name)

    @property
    def negated(self) -> bool:
        """Whether it is ¬a for some a."""
        return self.op == "→" and self.parts[1] is FALSE


_known: WeakValueDictionary[tuple[str, tuple[Formula, ...], str], Formula] = WeakValueDictionary()


def _make(op: str, parts: tuple[Formula, ...] = (), name: str = "") -> Formula:
    key = (op, parts, name)
    found = _known.get(key)
    if found is None:
        found = Formula()
        found.op, found.parts, found.name = key
        found.size = 1 + sum(part.size for part in parts)
        _known[key] = found
    return found


FALSE: Final = _make("⊥")
TRUE: Final = _make("⊤")


def atom(name: str) -> Formula:
    """A propositional variable."""
    return _make("atom", (), name)


def implies(a: Formula, b: Formula) -> Formula:
    """A → b."""
    return _make("→", (a, b))


def negation(a: Formula) -> Formula:
    """¬a, which is a → ⊥."""
    return _make("→", (a, FALSE))


def conjunction(a: Formula, b: Formula) -> Formula:
    """A ∧ b."""
    return _make("∧", (a, b))


def disjunction(a: Formula, b: Formula) -> Formula:
    """A ∨ b."""
    return _make("∨", (a, b))


def equivalence(a: Formula, b: Formula) -> Formula:
    """A ↔ b."""
    return _make("↔", (a, b))


# How tightly each operator binds, as in Lean: (its own level, the left side's at least, the right side's at least).
_LEVELS = {"↔": (20, 21, 21), "→": (25, 26, 25), "∨": (30, 31, 30), "∧": (35, 36, 35)}
_NOT, _LEAF = 40, 100
_SPELLINGS = {"->": "→", "/\\": "∧", "\\/": "∨", "<->": "↔", "~": "¬", "!": "¬", "False": "⊥", "True": "⊤"}
_TOKEN = re.compile(r"\s*(<->|->|/\\|\\/|[→∧∨↔¬~!()⊥⊤]|[^\W\d]\w*)")
_DEEPEST = 200
"""Operators inside each other in a formula that is read: a hostile one would else exhaust the stack."""


def show(formula: Formula) -> str:
    """The formula in Lean's notation, with no more parentheses than it needs."""
    return "".join(symbols(formula, spaced=True))


def symbols(formula: Formula, *, spaced: bool = False) -> Iterator[str]:
    """The formula's text, symbol by symbol; spaced: with spaces around its binary operators."""
    return _symbols(formula, 0, " " if spaced else "")


def _symbols(formula: Formula, least: int, space: str) -> Iterator[str]:
    op = formula.op
    if op == "atom":
        yield formula.name
    elif not formula.parts:
        yield op
    elif formula.negated:
        yield "¬"
        yield from _symbols(formula.parts[0], _NOT, space)
    else:
        level, left, right = _LEVELS[op]
        if level < least:
            yield "("
        yield from _symbols(formula.parts[0], left, space)
        yield f"{space}{op}{space}"
        yield from _symbols(formula.parts[1], right, space)
        if level < least:
            yield ")"


def parse(text: str) -> Formula:
    r"""Read a formula; ASCII spellings (->, /\, \/, <->, ~, True, False) are understood too.

    Raises UsageError, saying where, at what is none.
    """
    return _Reader(text).whole()


class _Reader:
    """Precedence climbing over the symbols of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._symbols: list[tuple[str, int]] = []
        place = 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if match is None:
                raise self._error(place)
            symbol = match[1]
            self._symbols.append((_SPELLINGS.get(symbol, symbol), match.start(1)))
            place = match.end()
        self._symbols.append(("", len(text)))
        self._next = 0
        self._depth = 0

    def whole(self) -> Formula:
        found = self._formula(0)
        symbol, place = self._symbols[self._next]
        if symbol:
            raise self._error(place)
        return found

    def _formula(self, least: int) -> Formula:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UsageError(f"a formula may not be deeper than {_DEEPEST} operators")
        found, top = self._unary(), _LEAF
        while True:
            op = self._symbols[self._next][0]
            level, left, right = _LEVELS.get(op, (-1, 0, 0))
            if level < least or left > top:  # the second keeps a ↔ b ↔ c out
                break
            self._next += 1
            found, top = _make(op, (found, self._formula(right))), level
        self._depth -= 1
        return found

    def _unary(self) -> Formula:
        symbol, place = self._symbols[self._next]
        self._next += 1
        if symbol == "¬":
            return negation(self._formula(_NOT))
        if symbol == "(":
            found = self._formula(0)
            closing, place = self._symbols[self._next]
            if closing != ")":
                raise self._error(place)
            self._next += 1
            return found
        if symbol in ("⊥", "⊤"):
            return _make(symbol)
        if not symbol or symbol in ")→∧∨↔":
            raise self._error(place)
        return atom(symbol)

    def _error(self, place: int) -> UsageError:
        return UsageError(
            f"not a formula: {self._text!r}, at column {place + 1}; write for example p ∧ q → q ∨ ¬r (or /\\, ->, \\/, ~)"
        )


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
