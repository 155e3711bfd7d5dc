"""What an evaluation found: a record for each question, the numbers that follow from them, and the file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goalward.errors import GoalwardError, UsageError
from goalward.evaluation.statistics import (
    Calibration,
    Interval,
    bootstrap,
    calibration,
    maj_at_k,
    pass_at_k,
    vote_share,
)
from goalward.runs.files import write_json
from goalward.types import BoolArray, Stop

FORMAT = 1
"""The version of the file's layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """How to ask. `samples` extra sampled attempts at each question measure pass@k and maj@k."""

    max_tokens: int = 512
    samples: int = 0
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise UsageError(f"max_tokens = {self.max_tokens}: an answer needs at least one token")
        if self.samples < 0:
            raise UsageError(f"samples = {self.samples}: cannot be negative")
        if self.temperature <= 0:
            raise UsageError(f"temperature = {self.temperature}: sampled attempts need more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One answer to one question.

    answer: what was said in the end, as people compare it, or None; tokens: how many were chosen;
    scores: by metric, None where the grader gave no verdict; correct: by metric, whether the score
    means a right answer (`feedback.grade.is_correct`; no verdict is not correct, and is counted in
    `Summary.no_verdict`); errors: by metric, why there is no verdict, where the grader says.
    """

    text: str
    answer: str | None
    stop: Stop
    tokens: int
    scores: Mapping[str, float | None]
    correct: Mapping[str, bool]
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A question and every attempt at it."""

    id: str
    question: str
    reference: str | None
    greedy: Attempt
    samples: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The numbers. Shares and accuracies are between 0 and 1, each with its 95 % interval over questions.

    accuracy: by metric, the share of greedy answers that are correct; score: by metric, their mean
    score over those with a verdict (None where none has one), which partial credit sets apart from it; pass_at, maj_at:
    by the headline metric, over the sampled attempts; calibration: of the vote of all of them, None with less than two;
    truncated: the share of greedy answers cut at `max_tokens`; tokens: their mean length;
    no_verdict: by metric, how many attempts (greedy and sampled) its grader could not judge.
    """

    questions: int
    accuracy: Mapping[str, Interval]
    score: Mapping[str, float | None]
    pass_at: Mapping[int, Interval]
    maj_at: Mapping[int, Interval]
    calibration: Calibration | None
    truncated: float
    tokens: float
    no_verdict: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One model on one set of questions.

    name: what tables call it ("base"); model, task: what was asked what, in words ("pocket",
    "word_problems test"); step: the optimizer step of the weights; metrics: the headline first.
    """

    name: str
    model: str
    task: str
    step: int
    settings: EvaluationSettings
    metrics: tuple[str, ...]
    records: tuple[Record, ...]

    @property
    def headline(self) -> str:
        """The metric that pass@k, maj@k and paired tests go by."""
        return self.metrics[0]

    def correct(self, metric: str) -> BoolArray:
        """[questions]: is the greedy answer right?"""
        return np.array([record.greedy.correct[metric] for record in self.records], dtype=np.bool_)

    def sampled_correct(self, metric: str) -> BoolArray:
        """[questions, samples]: is the sampled answer right?"""
        return np.array(
            [[sample.correct[metric] for sample in record.samples] for record in self.records], dtype=np.bool_
        )

    @cached_property
    def summary(self) -> Summary:
        """The numbers that follow from the records."""
        greedy = [record.greedy for record in self.records]
        attempts = greedy + [sample for record in self.records for sample in record.samples]
        powers = [2**i for i in range(self.settings.samples.bit_length())]
        return Summary(
            questions=len(self.records),
            accuracy={metric: bootstrap(self.correct(metric)) for metric in self.metrics},
            score={metric: _mean([attempt.scores[metric] for attempt in greedy]) for metric in self.metrics},
            pass_at={k: bootstrap(self._pass_at(k)) for k in powers},
            maj_at={k: bootstrap(self._maj_at(k)) for k in powers if k > 1},
            calibration=self._calibration() if self.settings.samples > 1 else None,
            truncated=float(np.mean([attempt.stop == "length" for attempt in greedy])),
            tokens=float(np.mean([attempt.tokens for attempt in greedy])),
            no_verdict={
                metric: sum(attempt.scores[metric] is None for attempt in attempts) for metric in self.metrics
            },
        )

    def _pass_at(self, k: int) -> NDArray[np.float64]:
        right = [sum(sample.correct[self.headline] for sample in record.samples) for record in self.records]
        return pass_at_k([len(record.samples) for record in self.records], right, k)

    def _maj_at(self, k: int) -> list[float]:
        return [
            maj_at_k(
                [sample.answer for sample in record.samples],
                [sample.correct[self.headline] for sample in record.samples],
                k,
            )
            for record in self.records
        ]

    def _calibration(self) -> Calibration:
        shares = [vote_share([sample.answer for sample in record.samples]) for record in self.records]
        return calibration(shares, self._maj_at(self.settings.samples))

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values; the summary is there for other readers, and comes from the records."""
        return {
            "format": FORMAT,
            "name": self.name,
            "model": self.model,
            "task": self.task,
            "step": self.step,
            "settings": asdict(self.settings),
            "metrics": list(self.metrics),
            "summary": asdict(self.summary),
            "records": [asdict(record) for record in self.records],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Evaluation":
        """The inverse of `to_json`. Raises KeyError, TypeError or AttributeError on anything else."""
        return cls(
            name=value["name"],
            model=value["model"],
            task=value["task"],
            step=value["step"],
            settings=EvaluationSettings(**value["settings"]),
            metrics=tuple(value["metrics"]),
            records=tuple(
                Record(
                    id=row["id"],
                    question=row["question"],
                    reference=row["reference"],
                    greedy=Attempt(**row["greedy"]),
                    samples=tuple(Attempt(**sample) for sample in row["samples"]),
                )
                for row in value["records"]
            ),
        )

    def save(self, path: Path) -> None:
        """Write the file atomically, making its folder. Raises GoalwardError where that cannot be done."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GoalwardError(f"{path.parent}: cannot be made: {error.strerror}") from error
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> "Evaluation":
        """Read what `save` wrote. Raises UsageError naming the file where it is not that."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path}: not an evaluation that goalward wrote ({error!r})") from error


def _mean(scores: list[float | None]) -> float | None:
    verdicts = [score for score in scores if score is not None]
    return float(np.mean(verdicts)) if verdicts else None
