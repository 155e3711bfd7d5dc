"""Theorems that somebody stated in Lean, such as miniF2F's, to be proved by who has Lean and their library."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from goalward.errors import UsageError
from goalward.tasks.source import read_rows

_START = re.compile(r"^(?:theorem|lemma)\s+(\S+)", re.MULTILINE)
_END = re.compile(r"\s*:=\s*(?:by\s+sorry|sorry|by)?\s*\Z")
_COMMENT = re.compile(r"/-.*?-/|--[^\n]*", re.DOTALL)


class LeanStatement(NamedTuple):
    """`theorem NAME ... : ...`, without the `:=` and what follows; header: what comes before, such as imports."""

    name: str
    statement: str
    header: str


def lean_statements(source: str, split: str) -> Iterator[LeanStatement]:
    """The statements of a `.lean` file, or of rows with `formal_statement` and perhaps `name`, `header` and `split`.

    Rows come from whatever `read_rows` reads; those of another `split` are left out. In a `.lean` file a theorem
    starts a line, and its proof is `sorry`; what stands before the first one is the header of all. Never tried on
    Mathlib itself: whether a statement compiles shows when Lean reads it. Raises UsageError, with the place.
    """
    if source.endswith(".lean"):
        yield from _from_file(Path(source))
        return
    for where, row in read_rows(source, split):
        if row.get("split", split) != split:
            continue
        text = row.get("formal_statement")
        if not isinstance(text, str) or (start := _START.search(text)) is None:
            raise UsageError(
                f"{where}: `formal_statement` is not a text with a line that starts with `theorem NAME`"
            )
        header = row.get("header") or text[: start.start()]
        yield _statement(where, text[start.start() :], str(row.get("name") or start[1]), header.strip())


def _from_file(path: Path) -> Iterator[LeanStatement]:
    try:
        text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    starts = list(_START.finditer(text))
    if not starts:
        raise UsageError(f"{path}: no line starts with `theorem NAME`")
    ends = [start.start() for start in starts[1:]] + [len(text)]
    header = text[: starts[0].start()].strip()
    for start, end in zip(starts, ends, strict=True):
        yield _statement(f"{path}, theorem {start[1]}", text[start.start() : end], start[1], header)


def _statement(where: str, text: str, name: str, header: str) -> LeanStatement:
    end = _END.search(text)
    if end is None:
        raise UsageError(f"{where}: the statement should end in `:= by sorry`, `:= sorry` or `:=`")
    return LeanStatement(name, text[: end.start()], header)
