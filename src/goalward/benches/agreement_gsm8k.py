"""Four models' recorded answers to GSM8K's test questions: which one is right, asked of the answers alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from goalward.errors import UsageError
from goalward.evaluation.statistics import Interval, PairedTest, bootstrap, paired_difference, paired_exact
from goalward.feedback.agreement import ballot
from goalward.feedback.build import build_grader
from goalward.feedback.grade import is_correct, recorded
from goalward.feedback.judge import judge_all
from goalward.feedback.reliability import ReliabilityVote, dawid_skene
from goalward.runs.files import read_jsonl
from goalward.types import Group, Message, Task

Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to choose among the recorded answers.

    accuracy: the share of questions where the chosen answer is right; a tie counts as tossing a coin;
    difference: to the best single model, over the same questions; test: McNemar's, None where ties were tossed.
    """

    name: str
    accuracy: Interval
    difference: Interval
    test: PairedTest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the benchmark found. reliability: by model, as estimated without labels; truth: as it is."""

    questions: int
    methods: tuple[Method, ...]
    reliability: Mapping[str, float]
    truth: Mapping[str, float]


def agreement_gsm8k(folder: Path) -> Found:
    """Choose one of each question's recorded answers by agreement, and only then look at what is right.

    folder: holds `solutions.jsonl`, a row a question: `question`, `ground_truth`, and a table with `solution` for
    each model, as published with GSM8K. Raises UsageError where it does not.
    """
    models, groups, truths = _read(folder / "solutions.jsonl")
    numeric = build_grader("numeric")
    # From here to `right`, nothing knows the truth: the tasks have no reference.
    choices = [ballot(group.task, group.rollouts, numeric).choices for group in groups]
    beliefs = judge_all(groups, ReliabilityVote(equal=numeric))
    weighted = [_best([one.score for one in row]) for row in beliefs]
    plain = [_most(row) for row in choices]
    sources = dawid_skene(choices).sources

    known = [
        Group(task=Task(id=g.task.id, messages=g.task.messages, reference=truth), rollouts=g.rollouts)
        for g, truth in zip(groups, truths, strict=True)
    ]
    right = np.array([[is_correct(one) for one in row] for row in judge_all(known, numeric)], float)
    single = {model: right[:, place] for place, model in enumerate(models)}
    best = max(single, key=lambda model: single[model].mean())
    values = {
        "a model at random": right.mean(axis=1),
        f"maj@{len(models)}": _chosen(right, plain),
        "reliability-weighted vote": _chosen(right, weighted),
        f"best single: {best}": single[best],
        "any of them (ceiling)": right.max(axis=1),
    }
    return Found(
        questions=len(groups),
        methods=tuple(_method(name, own, single[best]) for name, own in values.items()),
        reliability=dict(zip(models, map(float, sources), strict=True)),
        truth={model: float(own.mean()) for model, own in single.items()},
    )


def _read(path: Path) -> tuple[list[str], list[Group], list[str]]:
    models: list[str] = []
    groups: list[Group] = []
    truths: list[str] = []
    for line, row in read_jsonl(path):
        where = f"{path}, line {line}"
        models = models or [name for name, value in row.items() if isinstance(value, dict)]
        texts = [_text(row.get(model), "solution", f"{where}: {model}") for model in models]
        message = Message(role="user", content=_text(row, "question", where))
        groups.append(
            Group(
                task=Task(id=f"{path.name}:{line}", messages=(message,)), rollouts=tuple(map(recorded, texts))
            )
        )
        truths.append(_text(row, "ground_truth", where))
    if len(models) < 2:
        raise UsageError(f"{path}: expected a table with `solution` for each of at least two models")
    return models, groups, truths


def _text(row: Any, column: str, where: str) -> str:
    if not isinstance(row, dict) or not isinstance(row.get(column), str):
        raise UsageError(f"{where}: no text in {column!r}")
    return str(row[column])


def _most(choices: Sequence[int | None]) -> list[int]:
    """The places of the answers with most votes; several where they are tied."""
    votes = [0 if choice is None else list(choices).count(choice) for choice in choices]
    return [place for place, count in enumerate(votes) if count == max(votes) and count]


def _best(scores: Sequence[float | None]) -> list[int]:
    judged = {place: score for place, score in enumerate(scores) if score is not None}
    return [max(judged, key=lambda place: judged[place])] if judged else []


def _chosen(right: Shares, places: Sequence[Sequence[int]]) -> Shares:
    return np.array([row[list(own)].mean() if own else 0.0 for row, own in zip(right, places, strict=True)])


def _method(name: str, values: Shares, best: Shares) -> Method:
    whole = bool(np.isin(values, (0, 1)).all())
    return Method(
        name=name,
        accuracy=bootstrap(values),
        difference=paired_difference(best, values),
        test=paired_exact(best == 1, values == 1) if whole else None,
    )


def table(found: Found) -> Table:
    """For a terminal."""
    shown = Table(title=f"{found.questions} questions, no labels but to count", title_justify="left")
    for column in ("method", "right", "95 %", "against the best single model", "p"):
        shown.add_column(column, justify="left" if column == "method" else "right")
    for each in found.methods:
        shown.add_row(
            each.name,
            f"{each.accuracy.mean:.1%}",
            f"{each.accuracy.low:.1%} to {each.accuracy.high:.1%}",
            f"{100 * each.difference.mean:+.1f} [{100 * each.difference.low:+.1f}, {100 * each.difference.high:+.1f}]",
            f"{each.test.p:.2g}" if each.test else "–",
        )
    trust = ", ".join(
        f"{name} {value:.0%} ({found.truth[name]:.0%})" for name, value in found.reliability.items()
    )
    shown.caption = f"reliability as estimated (as it is): {trust}"
    return shown
