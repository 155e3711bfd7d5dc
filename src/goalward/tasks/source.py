"""Rows from where people keep them: a JSONL or Parquet file, a folder with one a split, or the Hugging Face Hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from goalward.errors import UsageError
from goalward.runs.files import read_jsonl

Row = dict[str, Any]

_SUFFIXES = (".jsonl", ".json", ".parquet")


def read_rows(source: str, split: str, *, config: str | None = None) -> Iterator[tuple[str, Row]]:
    """Yield (where, row) of `source`; `where` names the file and line, or the dataset and row, for errors.

    `source` is a `.jsonl`, `.json` (one object a line) or `.parquet` file, a folder with a file named after
    each split, or a Hub dataset as `owner/name`, `owner/name:config` or `owner/name:config:split`.

    Raises UsageError where it cannot be read, naming the place.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        path = _file_of(path, split)
    if path.suffix in _SUFFIXES and not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    if path.suffix == ".parquet":
        yield from _parquet(path)
    elif path.is_file():
        for line, row in read_jsonl(path):
            yield f"{path}, line {line}", row
    else:
        yield from _hub(source, split, config)


def _file_of(folder: Path, split: str) -> Path:
    for suffix in _SUFFIXES:
        if (folder / f"{split}{suffix}").is_file():
            return folder / f"{split}{suffix}"
    raise UsageError(f"{folder}: no {split}.jsonl in this folder; it should hold one file a split")


def _parquet(path: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow as arrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield f"{path}, row {number}", row
    except (OSError, arrow.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise UsageError(f"{path}: cannot be read: {reason}") from error


def _hub(source: str, split: str, config: str | None) -> Iterator[tuple[str, Row]]:
    from datasets import load_dataset

    name, _, rest = source.partition(":")
    named_config, _, named_split = rest.partition(":")
    try:
        rows = load_dataset(name, named_config or config, split=named_split or split)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"{source}: neither a file or folder here nor to be had from the Hugging Face Hub: {reason}\n"
            f"A local folder with {split}.jsonl in it works too."
        ) from error
    for number, row in enumerate(rows, start=1):
        yield f"{source}, {split} row {number}", dict(row)
