"""Reading formulas: precedence climbing over the symbols of a text."""

import re

from goalward.errors import UsageError
from goalward.formal.formula import (
    FALSE,
    LEVELS,
    NOT,
    TRUE,
    Formula,
    atom,
    conjunction,
    disjunction,
    equal,
    equivalence,
    forall,
    implies,
    negation,
)
from goalward.formal.numbers import ZERO, Number, bound, free, number_name, plus, succ, times

_SPELLINGS = {
    "->": "→",
    "/\\": "∧",
    "\\/": "∨",
    "<->": "↔",
    "~": "¬",
    "!": "¬",
    "False": "⊥",
    "True": "⊤",
    "forall": "∀",
}
_TOKEN = re.compile(r"\s*(<->|->|/\\|\\/|[→∧∨↔¬~!()⊥⊤∀,=+*]|[0-9]+|[^\W\d]\w*)")
_MAKERS = {"→": implies, "∧": conjunction, "∨": disjunction, "↔": equivalence}
_LEAF = 100
_DEEPEST = 200
"""Operators inside each other in a formula that is read: a hostile one would else exhaust the stack."""
_LARGEST = 100
"""The largest number that is read: it is as many successors."""


class Reader:
    """A text, and how far it is read; the number variables whose names are known, the innermost last."""

    def __init__(self, text: str, numbers: int) -> None:
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
        self._free = {number_name(level): level for level in range(numbers)}
        self._bound: list[str] = []
        self._unknown: list[tuple[str, int]] = []
        self._equations = "=" in text

    def whole(self) -> Formula:
        """All of it as a formula."""
        found = self._formula(0)
        self._ends()
        return found

    def whole_number(self) -> Number:
        """All of it as a number."""
        found = self._number(0)
        if found is None:
            raise self._error(self._symbols[self._next][1])
        self._ends()
        self._all_known()
        return found

    def _ends(self) -> None:
        symbol, place = self._symbols[self._next]
        if symbol:
            raise self._error(place)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UsageError(f"a formula may not be deeper than {_DEEPEST} operators")

    def _formula(self, least: int) -> Formula:
        self._deeper()
        found, top = self._unary(), _LEAF
        while True:
            op = self._symbols[self._next][0]
            level, left, right = LEVELS.get(op, (-1, 0, 0))
            if level < least or left > top:  # the second keeps a ↔ b ↔ c out
                break
            self._next += 1
            found, top = _MAKERS[op](found, self._formula(right)), level
        self._depth -= 1
        return found

    def _unary(self) -> Formula:
        equation = self._equation() if self._equations else None
        if equation is not None:
            return equation
        symbol, place = self._symbols[self._next]
        self._next += 1
        if symbol == "¬":
            return negation(self._formula(NOT))
        if symbol == "∀":
            return self._every()
        if symbol == "(":
            found = self._formula(0)
            closing, place = self._symbols[self._next]
            if closing != ")":
                raise self._error(place)
            self._next += 1
            return found
        if symbol in ("⊥", "⊤"):
            return FALSE if symbol == "⊥" else TRUE
        if not _is_name(symbol):
            raise self._error(place)
        return atom(symbol)

    def _every(self) -> Formula:
        """∀ n m, F: what comes after the ∀."""
        before = len(self._bound)
        while (symbol := self._symbols[self._next][0]) != ",":
            if not _is_name(symbol):
                raise self._error(self._symbols[self._next][1])
            self._deeper()
            self._bound.append(symbol)
            self._next += 1
        if before == len(self._bound):
            raise self._error(self._symbols[self._next][1])
        self._next += 1
        found = self._formula(0)
        for _ in self._bound[before:]:
            found = forall(found)
            self._depth -= 1
        del self._bound[before:]
        return found

    def _equation(self) -> Formula | None:
        """An equation, if one stands here; else nothing is read."""
        start, depth = self._next, self._depth
        left = self._number(0)
        if left is not None and self._symbols[self._next][0] == "=":
            self._next += 1
            right = self._number(0)
            if right is None:
                raise self._error(self._symbols[self._next][1])
            self._all_known()
            return equal(left, right)
        self._next, self._depth = start, depth
        self._unknown.clear()
        return None

    def _all_known(self) -> None:
        if self._unknown:
            name, place = self._unknown[0]
            raise self._error(place, f"{name} is no number that is known; bind it with ∀ {name}, ...")

    def _number(self, least: int) -> Number | None:
        self._deeper()
        found = self._factor()
        while found is not None:
            op = self._symbols[self._next][0]
            level = {"+": 65, "*": 70}.get(op, -1)
            if level < least:
                break
            self._next += 1
            right = self._number(level + 1)
            if right is None:
                return None
            found = plus(found, right) if op == "+" else times(found, right)
        self._depth -= 1
        return found

    def _factor(self) -> Number | None:
        """A number that needs no parentheses; what has none is looked up where its ∀ is."""
        symbol, place = self._symbols[self._next]
        self._next += 1
        if symbol == "(":
            found = self._number(0)
            if self._symbols[self._next][0] != ")":
                return None
            self._next += 1
            return found
        if symbol.isdigit():
            if len(symbol) > 3 or int(symbol) > _LARGEST:
                raise self._error(place, f"numbers go up to {_LARGEST}")
            number = ZERO
            for _ in range(int(symbol)):
                number = succ(number)
            return number
        if symbol == "succ":
            argument = self._number(100)
            return None if argument is None else succ(argument)
        if not _is_name(symbol):
            self._next -= 1  # it is what stands wrong
            return None
        if symbol in self._bound:
            return bound(self._bound[::-1].index(symbol))
        if symbol in self._free:
            return free(self._free[symbol])
        self._unknown.append((symbol, place))
        return ZERO

    def _error(self, place: int, why: str = "") -> UsageError:
        why = why or "write for example p ∧ q → q ∨ ¬r (or /\\, ->, \\/, ~)"
        return UsageError(f"not a formula: {self._text!r}, at column {place + 1}; {why}")


def _is_name(symbol: str) -> bool:
    return bool(symbol) and symbol not in "→∧∨↔¬()⊥⊤∀,=+*" and not symbol[0].isdigit()


def parse_number(text: str, numbers: int = 0) -> Number:
    """Read a number. Raises UsageError at what is none; `numbers` as for formulas."""
    return Reader(text, numbers).whole_number()
