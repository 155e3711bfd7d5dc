"""Reading rows and writing files so that a reader never sees half of one."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from goalward.errors import GoalwardError, UsageError


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, row) of a JSONL file, skipping blank lines.

    Raises UsageError naming the file and the line of the first row that is not a JSON object.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise UsageError(f"{path}, line {number}: not valid JSON: {error}") from error
                if not isinstance(row, dict):
                    raise UsageError(
                        f"{path}, line {number}: expected a JSON object, found {type(row).__name__}"
                    )
                yield number, row
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: to a neighbour first, flushed to disk, then renamed.

    Raises GoalwardError (disk full, no permission); what stood at `path` is then untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with neighbour.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        neighbour.replace(path)
    except OSError as error:
        neighbour.unlink(missing_ok=True)
        raise GoalwardError(f"{path}: cannot be written: {error.strerror}") from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN is refused: no other reader would take it."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
