"""Recorded experience, failures included: any run's rollouts.jsonl, or rows of prompt, response and reward.

The file is read once, row by row, and only where each row begins is remembered (some 30 bytes), so a log
may be larger than memory.
"""

import json
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike
from rich.table import Table

from goalward.errors import UsageError
from goalward.experience.experience import Order
from goalward.experience.rows import LONGEST, Recorded, read_row
from goalward.models.chat import Chat
from goalward.tasks.source import read_rows
from goalward.types import Group, Rollout, Task

_LONGEST_LINE = 2**26
"""Bytes in one line; beyond, it is not even parsed."""


class RecordedLog:
    """The rows of a log, checked and found again by number."""

    def __init__(self, source: Path) -> None:
        """Read and check every row. Raises UsageError naming the file and the line of the first bad one."""
        if source.is_dir() and (source / "rollouts.jsonl").is_file():
            source = source / "rollouts.jsonl"
        if not source.is_file():
            raise UsageError(f"{source}: there is no such log; it is a file, or the folder of a run")
        self.source = source
        self._parquet = source.suffix == ".parquet"
        self._file = _as_jsonl(source) if self._parquet else source.open("rb")
        weakref.finalize(self, self._file.close)
        self._offsets, self._lines, self._scores = array("q"), array("q"), array("d")
        self._by_task: dict[str, list[int]] = {}
        self._tokens = 0
        self._responses: set[int] = set()
        for offset, line, text in _lines(self._file, self._where):
            row = self._parse(text, line)
            self._by_task.setdefault(row.task.id, []).append(len(self._offsets))
            self._offsets.append(offset)
            self._lines.append(line)
            self._scores.append(np.nan if row.feedback.score is None else row.feedback.score)
            self._tokens += row.rollout.completion.size if row.rollout else len(row.response) // 4
            self._responses.add(hash((row.task.id, row.response)))
        if not self._offsets:
            raise UsageError(f"{source}: there are no rows in it")
        self.tasks = list(self._by_task)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._offsets)

    def attempts(self, task: str) -> list[Recorded]:
        """All rows of one task, in the log's order."""
        return [self.row(number) for number in self._by_task[task]]

    def row(self, number: int) -> Recorded:
        """The row `number`, counted from 0."""
        self._file.seek(self._offsets[number])
        return self._parse(self._file.readline(), self._lines[number])

    def where(self, number: int) -> str:
        """The place of row `number`, for messages."""
        return self._where(self._lines[number])

    def report(self) -> dict[str, float]:
        """Coverage and spread in numbers; those of the scores are absent where there are none.

        tokens: of completions, or characters / 4 where the log has text only; scored: rows with a verdict;
        distinct: different responses; solved: tasks where an attempt has the log's best score; spread: tasks
        whose attempts differ in score, which is what pairs and baselines live on.
        """
        scores = np.asarray(self._scores)
        scored = scores[~np.isnan(scores)]
        by_task = [s[~np.isnan(s)] for s in (scores[rows] for rows in self._by_task.values())]
        found = {
            "rows": len(self),
            "tasks": len(self.tasks),
            "tokens": self._tokens,
            "distinct": len(self._responses),
            "scored": scored.size,
        }
        if not scored.size:
            return found
        return found | {
            "best": float(scored.max()),
            "mean": float(scored.mean()),
            "worst": float(scored.min()),
            "deviation": float(scored.std()),
            "solved": sum(bool((each == scored.max()).any()) for each in by_task),
            "spread": sum(each.size > 1 and bool(each.min() < each.max()) for each in by_task),
        }

    def _where(self, line: int) -> str:
        return f"{self.source}, {'row' if self._parquet else 'line'} {line}"

    def _parse(self, text: bytes, line: int) -> Recorded:
        where = self._where(line)
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            cut = "" if text.endswith(b"\n") else " (the file seems to be cut off here)"
            raise UsageError(f"{where}: not valid JSON{cut}: {error}") from error
        if not isinstance(row, dict):
            raise UsageError(f"{where}: expected a JSON object, found {type(row).__name__}")
        return read_row(row, where)


class Log:
    """A log as an Experience: each draw is a task with all its recorded attempts and their feedback."""

    def __init__(
        self, log: RecordedLog, chat: Chat, *, vocabulary: int, context: int | None, seed: int
    ) -> None:
        """`vocabulary` and `context` are the policy's: a row that it cannot read is an error at its line."""
        self.cursor = 0
        self._log = log
        self._chat = chat
        self._vocabulary = vocabulary
        self._context = min(context or LONGEST, LONGEST)
        self._order = Order(len(log.tasks), seed)
        self._same_words()

    def __len__(self) -> int:
        """The number of tasks."""
        return len(self._log.tasks)

    def collect(self, count: int, *, version: int) -> list[Group]:
        """The next `count` tasks with what was recorded; `version` does not matter, it is the past."""
        indices = self._order.take(self.cursor, count)
        self.cursor += count
        return [self.group(index) for index in indices]

    def group(self, index: int) -> Group:
        """All attempts at the log's task number `index`."""
        rows = self._log.attempts(self._log.tasks[index])
        return Group(
            task=rows[0].task,
            rollouts=tuple(self.rollout(row) for row in rows),
            feedback=tuple(row.feedback for row in rows),
        )

    def rollout(self, row: Recorded) -> Rollout:
        """One attempt in this policy's tokens. Raises UsageError where the policy could not read it."""
        rollout = row.rollout or recorded_rollout(row.task, row.response, self._chat)
        length = rollout.prompt.size + rollout.completion.size
        if length > self._context:
            raise UsageError(
                f"{self._log.source}: an attempt at task {row.task.id!r} has {length:,} tokens, prompt included; "
                f"the model takes {self._context:,}"
            )
        largest = int(max(rollout.prompt.max(), rollout.completion.max()))
        if largest >= self._vocabulary:
            raise UsageError(
                f"{self._log.source}: task {row.task.id!r} has token {largest}, and the model knows "
                f"{self._vocabulary}; the log is of another model"
            )
        return rollout

    def _same_words(self) -> None:
        """Tokens of another tokenizer are mostly valid ids of this one: compare a row's tokens with its text."""
        row = self._log.row(0)
        rollout = self.rollout(row)
        if row.rollout is None or rollout.stop == "stop":  # a stop string is in the tokens only
            return
        read = self._chat.text(rollout.completion)
        if read.strip() != rollout.text.strip():
            raise UsageError(
                f"{self._log.where(0)}: its tokens read {read[:40]!r} to this model and {rollout.text[:40]!r} in the "
                "log: they are another tokenizer's; give a log of prompt, response and reward"
            )


def recorded_rollout(task: Task, response: str, chat: Chat) -> Rollout:
    """A response that somebody else wrote, in this policy's tokens, with the end token."""
    completion = chat.completion(response)
    return Rollout(
        prompt=chat.prompt(task.messages),
        completion=completion,
        sampled=np.ones(completion.shape, np.bool_),
        logprobs=None,
        text=response,
        stop="recorded",
    )


def table(report: Mapping[str, float]) -> Table:
    """A report of a log, for people."""
    shown = Table("what", "value")
    for name, value in report.items():
        shown.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:,.3f}")
    return shown


def effective_sample_size(log_ratios: ArrayLike) -> float:
    """(sum w)^2 / sum w^2 of the weights w = exp(log_ratios), [n]: how many of n attempts speak for a policy.

    log_ratios: log pi(y) - log mu(y), of whole attempts. n where pi is the policy that recorded them; near 1
    where one attempt outweighs all others (Kong 1992). 0 for no attempts.
    """
    ratios = np.asarray(log_ratios, float)
    if not ratios.size:
        return 0.0
    weights = np.exp(ratios - ratios.max())
    return float(weights.sum() ** 2 / (weights**2).sum())


def _lines(file: BinaryIO, where: Callable[[int], str]) -> Iterator[tuple[int, int, bytes]]:
    """(offset, number from 1, bytes) of every line that is not blank."""
    offset = number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise UsageError(f"{where(number)}: over {_LONGEST_LINE // 2**20} MiB in one row")
        if line.strip():
            yield offset, number, line
        offset += len(line)


def _as_jsonl(source: Path) -> BinaryIO:
    """A Parquet file's rows as lines of a temporary file, which has any row at hand."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the log
    try:
        for _, row in read_rows(str(source), "train"):
            spool.write(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n")
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return spool
