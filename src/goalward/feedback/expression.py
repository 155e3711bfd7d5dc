"""Arithmetic over named scores, parsed and never evaluated as code: `0.8 * answer + 0.2 * min(format, 1)`."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from goalward.errors import GoalwardError, UsageError, unknown_name

FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "log": math.log,
}
"""`log` is the natural logarithm; `min` and `max` take two numbers or more, the others one."""

NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>{NAME.pattern})|(?P<sign>\S))"
)
_DEEPEST = 50

Values = Mapping[str, float]
Formula = Callable[[Values], float]


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed formula; `names` are the scores it reads."""

    text: str
    names: frozenset[str]
    _formula: Formula

    def __call__(self, values: Values) -> float:
        """The value, finite. Raises GoalwardError for a division by zero, a root of a negative number and the like."""
        try:
            value = self._formula(values)
        except ZeroDivisionError:
            raise GoalwardError(f"calculate_output divides by zero: {self.text}") from None
        except (ValueError, OverflowError, TypeError):  # TypeError: a power that is complex
            raise GoalwardError(f"calculate_output has no value here: {self.text}") from None
        if isinstance(value, complex) or not math.isfinite(value):
            raise GoalwardError(f"calculate_output has no value here: {self.text}")
        return float(value)


def parse_expression(text: str) -> Expression:
    """Read `+ - * / ^`, brackets, numbers, names and FUNCTIONS; `^` binds tightest, and to the right.

    Raises UsageError that says what is wrong at which column.
    """
    parser = _Parser(text)
    formula = parser.sum(0)
    parser.expect("")
    return Expression(text, frozenset(parser.names), formula)


class _Parser:
    """One pass from left to right; a method for each strength of binding."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()
        self._advance(0)

    def sum(self, depth: int) -> Formula:
        terms = [("+", self._product(depth))]
        while self.next in ("+", "-"):
            terms.append((self._take(), self._product(depth)))
        return terms[0][1] if len(terms) == 1 else lambda values: _added(terms, values)

    def expect(self, token: str) -> None:
        if self.next != token:
            wanted = repr(token) if token else "an operator or the end"
            raise self._error(f"expected {wanted}")
        self._take()

    def _product(self, depth: int) -> Formula:
        factors = [("*", self._signed(depth))]
        while self.next in ("*", "/"):
            factors.append((self._take(), self._signed(depth)))
        return factors[0][1] if len(factors) == 1 else lambda values: _multiplied(factors, values)

    def _signed(self, depth: int) -> Formula:
        if self.next not in ("+", "-"):
            return self._power(depth)
        sign, inner = self._take(), self._signed(self._deeper(depth))
        return inner if sign == "+" else lambda values: -inner(values)

    def _power(self, depth: int) -> Formula:
        base = self._atom(depth)
        if self.next != "^":
            return base
        self._take()
        exponent = self._signed(self._deeper(depth))
        return lambda values: float(base(values)) ** float(exponent(values))

    def _atom(self, depth: int) -> Formula:
        if self.kind == "number":
            number = float(self._take())
            return lambda values: number
        if self.kind == "name":
            column, name = self.column, self._take()
            if self.next == "(":
                return self._call(name, column, depth)
            self.names.add(name)
            return lambda values: values[name]
        if self.next != "(":
            raise self._error("expected a number, a name or '('")
        self._take()
        inner = self.sum(self._deeper(depth))
        self.expect(")")
        return inner

    def _call(self, name: str, column: int, depth: int) -> Formula:
        if name not in FUNCTIONS:
            raise UsageError(f"column {column}: {unknown_name('function', name, FUNCTIONS)}")
        self._take()
        arguments = [self.sum(self._deeper(depth))]
        while self.next == ",":
            self._take()
            arguments.append(self.sum(self._deeper(depth)))
        self.expect(")")
        if (len(arguments) > 1) != (name in ("min", "max")):
            takes = "two numbers or more" if name in ("min", "max") else "one number"
            raise UsageError(f"column {column}: {name} takes {takes}, found {len(arguments)}")
        function = FUNCTIONS[name]
        return lambda values: function(*(argument(values) for argument in arguments))

    def _take(self) -> str:
        token = self.next
        self._advance(self._end)
        return token

    def _advance(self, start: int) -> None:
        match = _TOKEN.match(self.text, start)
        if match is None:
            self.kind, self.next, self.column, self._end = "", "", len(self.text) + 1, len(self.text)
            return
        self.kind = match.lastgroup or ""
        self.next, self.column, self._end = match[self.kind], match.start(self.kind) + 1, match.end()

    def _deeper(self, depth: int) -> int:
        if depth >= _DEEPEST:
            raise self._error(f"more than {_DEEPEST} levels of brackets")
        return depth + 1

    def _error(self, message: str) -> UsageError:
        found = repr(self.next) if self.next else "the end"
        return UsageError(f"column {self.column}: {message}, found {found}")


def _added(terms: Sequence[tuple[str, Formula]], values: Values) -> float:
    return sum(term(values) if sign == "+" else -term(values) for sign, term in terms)


def _multiplied(factors: Sequence[tuple[str, Formula]], values: Values) -> float:
    product = 1.0
    for sign, factor in factors:
        product = product * factor(values) if sign == "*" else product / factor(values)
    return product
