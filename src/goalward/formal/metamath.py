"""The propositional theorems of set.mm, the Metamath Proof Explorer's database of proved theorems.

`python -m goalward.formal.metamath PATH/set.mm` writes `setmm.txt`, the list that is shipped: labels and statements,
without proofs or comments. set.mm is in the public domain (CC0); Debian has it in the package metamath-databases.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

from goalward.errors import UsageError
from goalward.formal.formula import (
    FALSE,
    TRUE,
    Formula,
    atom,
    canonical,
    conjunction,
    disjunction,
    equivalence,
    implies,
    negation,
    parse,
)

VARIABLES: Final = frozenset(["ph", "ps", "ch", "th", "ta", "et", "ze", "si", "rh", "mu", "la", "ka"])
"""The letters that set.mm declares for formulas in its main part; a few mathboxes have their own besides."""
_BINARY = {"->": implies, "<->": equivalence, "/\\": conjunction, "\\/": disjunction}
_CONSTANTS = {"T.": TRUE, "F.": FALSE}
_SYMBOLS = VARIABLES | _BINARY.keys() | _CONSTANTS.keys() | {"(", ")", "-."}


class Assertion(NamedTuple):
    """A proved statement as it stands in a database: what follows |-, and so for each hypothesis."""

    label: str
    symbols: tuple[str, ...]
    hypotheses: tuple[tuple[str, ...], ...]

    @property
    def propositional(self) -> bool:
        """Whether it and its hypotheses are written with ¬ → ↔ ∧ ∨ ⊤ ⊥ and variables for formulas alone."""
        return all(_SYMBOLS.issuperset(part) for part in (self.symbols, *self.hypotheses))


class Theorem(NamedTuple):
    """A closed theorem with its label; its variables are named p, q, r, ... in the order of their occurrence."""

    label: str
    statement: Formula


def theorems(path: str | Path) -> list[Theorem]:
    """The closed propositional theorems of the database at `path`, those equal up to renaming once, in its order.

    a ∧ b ∧ c, which set.mm has with three places, is read as in Lean: a ∧ (b ∧ c); so is ∨. Statements with
    exclusive or, nand, the conditional or the adders are left out, and the four-place ∧ of a mathbox too.
    Raises UsageError where there is no database.
    """
    found: dict[Formula, str] = {}
    for one in assertions(path):
        if one.propositional and not one.hypotheses:
            statement = formula(one.symbols)
            if statement is not None:
                found.setdefault(canonical(statement), one.label)
    return [Theorem(label, statement) for statement, label in found.items()]


def assertions(path: str | Path) -> Iterator[Assertion]:
    """Every proved statement of a Metamath database. Raises UsageError where it is none, saying what is wrong."""
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if "$p" not in text:
        raise UsageError(f"{path}: is no Metamath database, there is no $p in it")
    words = iter(re.sub(r"\$\(.*?\$\)", " ", text, flags=re.DOTALL).split())
    scopes: list[list[tuple[str, ...]]] = [[]]
    label = ""

    def until(end: str) -> tuple[str, ...]:
        taken: list[str] = []
        for word in words:
            if word == end:
                return tuple(taken)
            taken.append(word)
        raise UsageError(f"{path}: ends within {label!r}: there is no {end} to it")

    for word in words:
        match word:
            case "${":
                scopes.append([])
            case "$}" if len(scopes) > 1:
                scopes.pop()
            case "$c" | "$v" | "$d" | "$f" | "$a":
                until("$.")
            case "$e":
                kind, *symbols = until("$.")
                scopes[-1].append(tuple(symbols) if kind == "|-" else (kind, *symbols))
            case "$p":
                kind, *symbols = until("$=")
                until("$.")
                if kind == "|-":
                    yield Assertion(label, tuple(symbols), tuple(one for scope in scopes for one in scope))
            case _ if word.startswith("$"):
                raise UsageError(
                    f"{path}: {word} after {label!r} is not understood (one whole file is wanted)"
                )
            case _:
                label = word


def formula(symbols: Sequence[str]) -> Formula | None:
    """The formula that propositional symbols of set.mm spell, or None: they are none, or have more than three places."""
    place = 0

    def take() -> str:
        nonlocal place
        place += 1
        return symbols[place - 1]

    def read() -> Formula:
        word = take()
        if word in VARIABLES:
            return atom(word)
        if word in _CONSTANTS:
            return _CONSTANTS[word]
        if word == "-.":
            return negation(read())
        if word != "(":
            raise _UnreadableError
        first, op, second = read(), take(), read()
        if op not in _BINARY:
            raise _UnreadableError
        closing = take()
        if closing == op and op in ("/\\", "\\/"):
            second = _BINARY[op](second, read())
            closing = take()
        if closing != ")":
            raise _UnreadableError
        return _BINARY[op](first, second)

    try:
        found = read()
    except (_UnreadableError, IndexError):
        return None
    return found if place == len(symbols) else None


class _UnreadableError(Exception):
    """Symbols that are no formula."""


@cache
def shipped() -> tuple[Theorem, ...]:
    """The 687 theorems of the list that comes with Goalward."""
    lines = resources.files("goalward.formal").joinpath("setmm.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return tuple(Theorem(label, parse(statement)) for label, statement in rows)


def as_list(path: str | Path) -> str:
    """The text of `setmm.txt`, made from the database at `path`."""
    with Path(path).open(encoding="ascii", errors="replace") as file:
        version = file.readline().strip().removeprefix("$(").removesuffix("$)").strip()
    found = theorems(path)
    header = (
        "The closed propositional theorems of set.mm, the Metamath Proof Explorer's database, each once up to the",
        "names of its variables: statements only, in Lean's notation, without proofs. Public domain (CC0).",
        f"Source: {version} https://us.metamath.org",
        "Made with: python -m goalward.formal.metamath PATH/set.mm",
        f"{len(found)} lines: the label in set.mm, a tab, the statement.",
    )
    lines = [f"# {line}" for line in header] + [f"{one.label}\t{one.statement}" for one in found]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(as_list(sys.argv[1]).encode())
    except (IndexError, UsageError) as error:
        sys.exit(f"{error}\nusage: python -m goalward.formal.metamath PATH/set.mm")
