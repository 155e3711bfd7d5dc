"""A run's directory: its recipe, a row of metrics a step, every attempt, and what was finished.

recipe.toml, metrics.jsonl, rollouts.jsonl, evaluations/*.json, checkpoints/step-N/, result.json.
No torch here.
"""

import contextlib
import fcntl
import json
import math
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from goalward.errors import GoalwardError, UsageError
from goalward.runs.files import read_jsonl, write_atomic, write_json
from goalward.types import FloatArray, Group


@dataclass(frozen=True, slots=True)
class Run:
    """One process's hold on a run's (or a stage's) directory. Open it with `Run.open`, in a `with`.

    Killed at any instant, it loses at most the row it was writing: `open` drops a torn last line,
    and `rewind` drops the rows after the checkpoint that training goes on from.
    """

    directory: Path
    lock: int
    """The descriptor of a locked file. The lock ends with the process, however that dies."""

    @classmethod
    def open(cls, directory: Path, recipe_text: str) -> "Run":
        """Create the directory, or resume what another process began in it.

        Raises:
            UsageError: it holds a run of another recipe, or another process is writing to it.
            GoalwardError: it cannot be written.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            run = cls(directory, _lock(directory / ".lock"))
            try:
                _agree(directory / "recipe.toml", recipe_text)
                _drop_torn_line(run.metrics_path)
                _drop_torn_line(run.rollouts_path)
            except BaseException:
                run.close()
                raise
        except OSError as error:
            raise GoalwardError(f"{directory}: cannot be written: {error.strerror}") from error
        return run

    def close(self) -> None:
        """Let go of the directory. Nothing may be recorded afterwards."""
        os.close(self.lock)

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def metrics_path(self) -> Path:
        """One JSON object a step."""
        return self.directory / "metrics.jsonl"

    @property
    def rollouts_path(self) -> Path:
        """One JSON object an attempt; see `rollout_rows`."""
        return self.directory / "rollouts.jsonl"

    @property
    def evaluations(self) -> Path:
        """The folder of the evaluations' files."""
        return self.directory / "evaluations"

    def record(self, step: int, metrics: Mapping[str, float], groups: Sequence[Group]) -> None:
        """Append what happened in `step`. JSON has no NaN or infinity: such a metric is written as null.

        The metrics come last, so that a step with metrics has all its attempts.

        Raises:
            GoalwardError: the disk is full or the like. Whole rows already written stay.
        """
        _append(self.rollouts_path, rollout_rows(step, groups))
        row = {key: _finite(value) for key, value in metrics.items()}
        _append(self.metrics_path, [{"step": step} | row | {"step": step}])

    def metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.jsonl, null read as NaN. Raises UsageError naming a malformed line."""
        return read_metrics(self.metrics_path)

    def rewind(self, step: int) -> None:
        """Forget `step` and all after it, so that a run resumed before `step` writes them once.

        Raises:
            UsageError: a row is malformed; the message names its line.
        """
        _cut_from(self.rollouts_path, step)
        _cut_from(self.metrics_path, step)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Mark the run as finished, with what later stages and readers need to know."""
        write_json(self.directory / "result.json", dict(result))

    def result(self) -> dict[str, Any] | None:
        """What `finish` wrote, or None while the run is unfinished."""
        return read_result(self.directory)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics file, null read as NaN; no file, no rows."""
    if not path.exists():
        return []
    return [
        {key: math.nan if value is None else value for key, value in row.items()}
        for _, row in read_jsonl(path)
    ]


def read_result(directory: Path) -> dict[str, Any] | None:
    """What the run in `directory` finished with, or None while it is unfinished."""
    path = directory / "result.json"
    if not path.exists():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def rollout_rows(step: int, groups: Sequence[Group]) -> Iterator[dict[str, Any]]:
    """The rows of rollouts.jsonl: every attempt with its tokens, log-probabilities and feedback.

    `group` numbers the groups of a step and `index` the attempts of a group; `sampled` is null where
    the policy chose every token of the completion, as it mostly did.
    """
    for number, group in enumerate(groups):
        judged = group.feedback or (None,) * len(group.rollouts)
        for index, (rollout, feedback) in enumerate(zip(group.rollouts, judged, strict=True)):
            yield {
                "step": step,
                "task": group.task.id,
                "group": number,
                "index": index,
                "messages": list(group.task.messages),
                "reference": group.task.reference,
                "prompt": rollout.prompt.tolist(),
                "completion": rollout.completion.tolist(),
                "sampled": None if rollout.sampled.all() else rollout.sampled.tolist(),
                "logprobs": _rounded(rollout.logprobs),
                "text": rollout.text,
                "stop": rollout.stop,
                "version": rollout.version,
                "sources": [list(source) for source in rollout.sources],
                "score": None if feedback is None else _finite(feedback.score),
                "parts": {} if feedback is None else {k: _finite(v) for k, v in feedback.parts.items()},
                "note": "" if feedback is None else feedback.note,
                "error": None if feedback is None else feedback.error,
            }


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _rounded(logprobs: FloatArray | None) -> list[float | None] | None:
    # Five digits are below what fp32 and another kernel change anyway, and halve the file.
    return (
        None if logprobs is None else [_finite(x) for x in np.round(logprobs.astype(np.float64), 5).tolist()]
    )


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
    except BlockingIOError as error:
        holder = os.read(descriptor, 20).decode() or "unknown"
        os.close(descriptor)
        raise UsageError(
            f"{path.parent}: another process (pid {holder}) is writing this run; "
            "wait for it, stop it, or choose another `run=` name"
        ) from error
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _agree(path: Path, recipe_text: str) -> None:
    """Save the recipe of a new run, or make sure that an old one is of the same."""
    if not path.exists():
        write_atomic(path, recipe_text)
        return
    try:
        old = _flat(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    new = _flat(tomllib.loads(recipe_text))
    differing = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if differing:
        shown = "; ".join(f"{key}: {_show(old, key)} there, {_show(new, key)} now" for key in differing[:3])
        more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise UsageError(
            f"{path.parent} holds a run of another recipe ({shown}{more}).\n"
            "Choose another `run=` name, or delete the folder to start anew."
        )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _show(flat: Mapping[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "not set"


def _append(path: Path, rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> None:
    # json.dumps gives every line whole before one byte is written, and a failed write takes its
    # bytes back, so that what follows in the file never joins half a row.
    data = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode()
    try:
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                written = 0
                while written < len(data):
                    written += file.write(memoryview(data)[written:])
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):  # the first error is the one to tell
                    file.truncate(end)
                raise
    except OSError as error:
        raise GoalwardError(f"{path}: cannot be written: {error.strerror}") from error


def _drop_torn_line(path: Path) -> None:
    """Cut what follows the last newline: the row that a killed process had begun."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65_536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        file.truncate(end)


def _cut_from(path: Path, step: int) -> None:
    """Truncate before the first row of `step` or later: rows come in the order of steps.

    One system call, so that a kill leaves the file as it was or as it should be.
    """
    if not path.exists():
        return
    first = next((number for number, row in read_jsonl(path) if row["step"] >= step), None)
    if first is None:
        return
    with path.open("r+b") as file:
        for _ in range(first - 1):
            file.readline()
        file.truncate(file.tell())
