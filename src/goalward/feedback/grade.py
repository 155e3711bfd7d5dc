"""Scoring recorded answers: a JSONL file of responses and references, graded line by line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from goalward.errors import UsageError
from goalward.feedback.grader import Grader
from goalward.feedback.judge import judge_all
from goalward.runs.files import read_jsonl
from goalward.types import Feedback, Group, Message, Rollout, Task

RESPONSE = ("response", "completion", "output", "text")
REFERENCE = ("reference", "reference_answer", "answer", "ground_truth", "solution")
QUESTION = ("question", "prompt")
SHOWN = 5
"""Rows with an error that are shown to people."""


def is_correct(feedback: Feedback) -> bool:
    """Whether the answer is right, which need not be what the reward adds up to.

    A grader with a part named "answer" says so in that part (the essay's: format 1 + answer 2); any other says
    it in its score. Right means 1 or more; without a verdict nothing is right.
    """
    score = feedback.parts.get("answer", feedback.score)
    return feedback.error is None and score is not None and score >= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedRow:
    """One row of the file with its feedback; `line` counts from 1."""

    line: int
    correct: bool
    feedback: Feedback


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeReport:
    """What a file of recorded answers is worth.

    `correct` of `count` rows are right (see `is_correct`). `mean_score` and `parts` (means by name) are over the
    rows that have a verdict; None where none has. `errors` rows could not be graded; `row_errors` says why, by line.
    """

    file: str
    count: int
    correct: int
    mean_score: float | None
    parts: Mapping[str, float]
    rows: tuple[GradedRow, ...] = field(repr=False)

    @property
    def accuracy(self) -> float:
        """The share of all rows that is right; rows without a verdict count as not right."""
        return self.correct / self.count

    @property
    def row_errors(self) -> dict[int, str]:
        """Why a row could not be graded, by its line."""
        return {row.line: error for row in self.rows if (error := row.feedback.error) is not None}

    @property
    def errors(self) -> int:
        """How many rows could not be graded."""
        return len(self.row_errors)

    def to_json(self) -> dict[str, Any]:
        """The report, ready for JSON: of its rows those that could not be graded."""
        names = ("file", "count", "correct", "accuracy", "mean_score", "parts", "errors")
        row_errors = [{"line": line, "error": error} for line, error in self.row_errors.items()]
        return {**{name: getattr(self, name) for name in names}, "row_errors": row_errors}

    def table(self) -> str:
        """The report as lines for people."""
        lines = [f"{self.file}: {self.correct:,} of {self.count:,} correct ({self.accuracy:.1%})"]
        if self.mean_score is not None:
            parts = ", ".join(f"{name} {mean:.3f}" for name, mean in self.parts.items())
            lines.append(f"mean score {self.mean_score:.3f}" + (f" ({parts})" if parts else ""))
        if self.errors:
            lines.append(f"{self.errors:,} could not be graded:")
            lines += [f"{self.file}, line {n}: {e}" for n, e in islice(self.row_errors.items(), SHOWN)]
        if self.errors > SHOWN:
            lines.append(f"and {self.errors - SHOWN:,} more (--json has them all)")
        return "\n".join(lines)


def grade_file(
    path: Path, grader: Grader, *, response: str | None = None, reference: str | None = None
) -> GradeReport:
    """Grade every row of a JSONL file.

    `response` and `reference` name the columns; without them the first of RESPONSE and of REFERENCE that the
    row has is taken. A reference that holds "####" (GSM8K's) is what stands behind it. All other columns go to
    the task's info. Raises UsageError naming the file and line where a row is not what it should be.
    """
    groups = read_answers(path, response=response, reference=reference)
    judged = judge_all(list(groups.values()), grader)
    return _report(
        path,
        tuple(
            GradedRow(line=line, correct=is_correct(feedback), feedback=feedback)
            for line, (feedback,) in zip(groups, judged, strict=True)
        ),
    )


def read_answers(
    path: Path, *, response: str | None = None, reference: str | None = None
) -> dict[int, Group]:
    """By its line, each row of a JSONL file as a group of one attempt; as `grade_file`."""
    responses, references = (response,) if response else RESPONSE, (reference,) if reference else REFERENCE
    groups = {line: _group(path, line, row, responses, references) for line, row in read_jsonl(path)}
    if not groups:
        raise UsageError(f"{path}: there is no row in it to grade")
    return groups


def recorded(text: str) -> Rollout:
    """A rollout of text alone, as graders see it: without tokens, so nothing to learn from."""
    none = np.zeros(0, dtype=np.int32)
    return Rollout(
        prompt=none, completion=none, sampled=none.astype(np.bool_), logprobs=None, text=text, stop="recorded"
    )


def _group(
    path: Path, line: int, row: Mapping[str, Any], response: tuple[str, ...], reference: tuple[str, ...]
) -> Group:
    where = f"{path}, line {line}"
    answer_column = _column(row, response, "response", where)
    reference_column = _column(row, reference, "reference", where)
    text, wanted = row[answer_column], row[reference_column]
    if not isinstance(text, str):
        raise UsageError(f"{where}: {answer_column!r} should be text, found {type(text).__name__}")
    if isinstance(wanted, bool) or not isinstance(wanted, (str, int, float)):
        raise UsageError(
            f"{where}: {reference_column!r} should be text or a number, found {type(wanted).__name__}"
        )
    question = next((row[name] for name in QUESTION if isinstance(row.get(name), str)), "")
    task = Task(
        id=f"{path.name}:{line}",
        messages=(Message(role="user", content=question),),
        reference=str(wanted).rpartition("####")[2].strip(),
        # A grader file may call the reference by its own name, as in {{ item.reference_answer }}.
        info={name: value for name, value in row.items() if name not in (answer_column, "reference")},
    )
    return Group(task=task, rollouts=(recorded(text),))


def _column(row: Mapping[str, Any], names: tuple[str, ...], what: str, where: str) -> str:
    for name in names:
        if name in row:
            return name
    raise UsageError(
        f"{where}: no {what} here: looked for {', '.join(names)}; there is {', '.join(row) or 'nothing'}"
    )


def _report(path: Path, rows: tuple[GradedRow, ...]) -> GradeReport:
    feedback = [row.feedback for row in rows]
    scores = [one.score for one in feedback if one.score is not None]
    names = dict.fromkeys(name for one in feedback for name in one.parts)
    return GradeReport(
        file=str(path),
        count=len(rows),
        correct=sum(row.correct for row in rows),
        mean_score=sum(scores) / len(scores) if scores else None,
        parts={name: _mean([one.parts[name] for one in feedback if name in one.parts]) for name in names},
        rows=rows,
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
