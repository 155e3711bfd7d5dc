"""Put models side by side on the same questions: accuracy with intervals, and who fixed what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from goalward.errors import GoalwardError, UsageError
from goalward.evaluation.evaluation import Evaluation
from goalward.evaluation.saved import comparable, load_evaluations
from goalward.evaluation.statistics import Calibration, Interval, paired_difference, paired_exact

if TYPE_CHECKING:
    from rich.console import Group as Lines

__all__ = [
    "Comparison",
    "Pair",
    "Row",
    "comparable",
    "compare",
    "load_evaluations",
    "markdown",
    "table",
    "to_json",
]


EQUIVALENCE = ("numeric", "math")
"""Metrics that look at what an answer says and not at how it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model's numbers; see `evaluation.Summary` for what each is."""

    name: str
    model: str
    step: int
    accuracy: Mapping[str, Interval]
    pass_at: Mapping[int, Interval]
    maj_at: Mapping[int, Interval]
    calibration: Calibration | None
    truncated: float
    tokens: float
    no_verdict: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Where a difference in the headline metric comes from; the two parts add up to it.

    reasoning: the difference in `metric`, one of EQUIVALENCE: right answers, however written. format: the rest, which is
    answers that are right by `metric` alone and no longer, or newly, are written as the headline metric wants them.
    misread: how many such answers the first and the second model gave.
    """

    metric: str
    reasoning: Interval
    format: Interval
    misread: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Two models by their sampled attempts: the difference in pass@1, and the exact test, both by question."""

    attempts: int
    difference: Interval
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models on the same questions, by the headline metric: how much better is the second?

    difference: of the accuracies, second minus first, with its 95 % interval; fixed: questions only
    the second got right; broken: only the first; p: McNemar's exact test, two-sided; gain: None where the headline is
    itself a metric of what is said, or no such metric was asked for; sampled: None where there are no samples.
    """

    first: str
    second: str
    difference: Interval
    fixed: int
    broken: int
    p: float
    gain: Gain | None
    sampled: Sampled | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Models on the same questions. `pairs` has every two rows, in order: (0, 1), (0, 2), ..., (1, 2), ..."""

    task: str
    questions: int
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]

    @property
    def headline(self) -> str:
        """The metric that pass@k, maj@k and the paired tests go by."""
        return self.metrics[0]

    def against_first(self) -> tuple[Pair | None, ...]:
        """For each row its pair with the first row; None for the first itself."""
        return (None, *self.pairs[: len(self.rows) - 1])


def compare(evaluations: Sequence[Evaluation]) -> Comparison:
    """Compare models that answered the same questions; the first is what the others are held against.

    Raises:
        UsageError: there is nothing to compare, or two evaluations have the same name.
        GoalwardError: questions or headline metrics differ; the message names the first difference.
    """
    if not evaluations:
        raise UsageError("there are no evaluations to compare")
    names = [evaluation.name for evaluation in evaluations]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two of the evaluations to compare are named {doubled!r}")
    first = evaluations[0]
    for other in evaluations[1:]:
        _refuse_other_questions(first, other)
    metrics = tuple(dict.fromkeys(metric for each in evaluations for metric in each.metrics))
    return Comparison(
        task=first.task,
        questions=len(first.records),
        metrics=metrics,
        rows=tuple(_row(evaluation) for evaluation in evaluations),
        pairs=tuple(_pair(a, b) for a, b in combinations(evaluations, 2)),
    )


def _refuse_other_questions(first: Evaluation, other: Evaluation) -> None:
    names = f"{first.name!r} and {other.name!r}"
    if first.headline != other.headline:
        raise GoalwardError(
            f"{names} have different headline metrics ({first.headline!r}, {other.headline!r}): not comparable"
        )
    if len(first.records) != len(other.records):
        raise GoalwardError(
            f"{names} answered {len(first.records)} and {len(other.records)} questions: "
            "only the same questions can be compared"
        )
    for number, (a, b) in enumerate(zip(first.records, other.records, strict=True), start=1):
        if a.id != b.id:
            raise GoalwardError(
                f"{names} answered different questions: number {number} is {a.id!r} there and {b.id!r} here"
            )
        if (a.question, a.reference) != (b.question, b.reference):
            what = "text" if a.question != b.question else "reference"
            raise GoalwardError(f"{names} answered different questions: {a.id!r} has another {what}")


def _row(evaluation: Evaluation) -> Row:
    summary = evaluation.summary
    return Row(
        name=evaluation.name,
        model=evaluation.model,
        step=evaluation.step,
        accuracy=summary.accuracy,
        pass_at=summary.pass_at,
        maj_at=summary.maj_at,
        calibration=summary.calibration,
        truncated=summary.truncated,
        tokens=summary.tokens,
        no_verdict=sum(summary.no_verdict.values()),
    )


def _pair(first: Evaluation, second: Evaluation) -> Pair:
    a, b = first.correct(first.headline), second.correct(second.headline)
    test = paired_exact(a, b)
    return Pair(
        first=first.name,
        second=second.name,
        difference=paired_difference(a, b),
        fixed=test.fixed,
        broken=test.broken,
        p=test.p,
        gain=_gain(first, second),
        sampled=_sampled(first, second),
    )


def _gain(first: Evaluation, second: Evaluation) -> Gain | None:
    headline, shared = first.headline, set(first.metrics) & set(second.metrics)
    metric = next((metric for metric in EQUIVALENCE if metric in shared), None)
    if metric is None or headline in EQUIVALENCE:
        return None
    before, after = (
        (each.correct(metric).astype(int), each.correct(headline).astype(int)) for each in (first, second)
    )
    return Gain(
        metric=metric,
        reasoning=paired_difference(before[0], after[0]),
        format=paired_difference(before[1] - before[0], after[1] - after[0]),
        misread=(int((before[0] > before[1]).sum()), int((after[0] > after[1]).sum())),
    )


def _sampled(first: Evaluation, second: Evaluation) -> Sampled | None:
    attempts = first.settings.samples
    if not attempts or attempts != second.settings.samples:
        return None
    a, b = first.sampled_correct(first.headline), second.sampled_correct(second.headline)
    return Sampled(attempts=attempts, difference=paired_difference(a, b), p=paired_exact(a, b).p)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """For a machine: plain JSON values, shares between 0 and 1."""
    return asdict(comparison)


_DETAILS = ("pass@1", "vote error", "tokens", "cut off", "fixed", "broken")
"""What a table of many models leaves out."""


def table(comparison: Comparison) -> "Lines":
    """For a terminal of 80 characters: a column a model, or a row where there are more than four."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group as Lines
    from rich.table import Table
    from rich.text import Text

    header, rows = _cells(comparison)
    shown = Table(
        title=_title(comparison),
        caption=_caption(comparison),
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    if len(rows) > 4:
        kept = [
            number
            for number, quantity in enumerate(header)
            if quantity not in _DETAILS and not quantity.startswith("maj@")
        ]
        columns = [header[number] for number in kept]
        lines = [[row[number] for number in kept] for row in rows]
        lines = [
            [c.partition(" (")[0] if h == "points" else c for h, c in zip(columns, line, strict=True)]
            for line in lines
        ]
    else:
        columns = ["", *(name for name, *_ in rows)]
        lines = [
            [header[number], *(row[number].replace(" (", "\n(") for row in rows)]
            for number in range(1, len(header))
        ]
    for number, column in enumerate(columns):
        shown.add_column(column, justify="right" if number else "left", no_wrap=len(rows) > 4)
    for line in lines:
        shown.add_row(*line)
    return Lines(shown, *map(Text, notes(comparison)))


def markdown(comparison: Comparison) -> str:
    """For a report: a row a model."""
    header, rows = _cells(comparison)
    lines = [header, ["---" if column == "model" else "---:" for column in header], *rows]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    below = "".join(f"\n- {line}" for line in notes(comparison))
    return f"**{_title(comparison)}**\n\n{body}\n\n{_caption(comparison)}\n{below}\n"


def notes(comparison: Comparison) -> list[str]:
    """What stands below a table: where each gain comes from, and what the samples say; a plain line each."""
    return [
        line
        for pair in comparison.against_first()
        if pair is not None
        for line in _about(pair, comparison.headline)
    ]


def _about(pair: Pair, headline: str) -> Iterator[str]:
    if pair.gain is not None:
        gain = pair.gain
        yield (
            f"{pair.second}: {_points(pair.difference)} by {headline} = {_points(gain.reasoning)} reasoning "
            f"(by {gain.metric}) {_points(gain.format)} format; right but written otherwise: "
            f"{gain.misread[0]} before, {gain.misread[1]} after."
        )
    if pair.sampled is not None:
        sampled = pair.sampled
        yield (
            f"{pair.second}, {sampled.attempts} samples a question: {_points(sampled.difference)} in pass@1, "
            f"p {_chance(sampled.p)} (exact, by question)."
        )


def _title(comparison: Comparison) -> str:
    return f"{comparison.task or 'accuracy'}, {comparison.questions:,} questions"


def _caption(comparison: Comparison) -> str:
    intervals = "Accuracy in % with its 95 % interval."
    if len(comparison.rows) == 1:
        return intervals
    return (
        f"{intervals} Points, fixed, broken and p (McNemar, exact): {comparison.headline} "
        f"against {comparison.rows[0].name!r} on the same questions."
    )


def _cells(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """The header and the rows, as text. Columns with nothing to say are left out."""
    rows = comparison.rows
    passes = list(dict.fromkeys(k for row in rows for k in row.pass_at))
    votes = list(dict.fromkeys(k for row in rows for k in row.maj_at))
    # With many powers of two, people read the ends: one sampled attempt, and the most.
    passes = sorted({min(passes), max(passes)}) if passes else []
    votes = [max(votes)] if votes else []
    paired, silent = len(rows) > 1, any(row.no_verdict for row in rows)
    generated = any(row.tokens for row in rows)  # not where answers were recorded
    header = [
        "model",
        *comparison.metrics,
        *(f"pass@{k}" for k in passes),
        *(f"maj@{k}" for k in votes),
        *(["vote error"] if votes else []),
        *(["tokens", "cut off"] if generated else []),
        *(["no verdict"] if silent else []),
        *(["points", "fixed", "broken", "p"] if paired else []),
    ]
    cells = [
        [
            row.name,
            _interval(row.accuracy[comparison.headline]),
            *(_mean(row.accuracy.get(metric)) for metric in comparison.metrics[1:]),
            *(_mean(row.pass_at.get(k)) for k in passes),
            *(_mean(row.maj_at.get(k)) for k in votes),
            *([_mean(row.calibration.error if row.calibration else None)] if votes else []),
            *([f"{row.tokens:.0f}", f"{100 * row.truncated:.1f}"] if generated else []),
            *([str(row.no_verdict)] if silent else []),
            *(_pair_cells(pair) if paired else []),
        ]
        for row, pair in zip(rows, comparison.against_first(), strict=True)
    ]
    return header, cells


def _pair_cells(pair: Pair | None) -> list[str]:
    if pair is None:
        return ["–"] * 4
    return [_points(pair.difference), str(pair.fixed), str(pair.broken), _chance(pair.p)]


def _points(gain: Interval) -> str:
    return f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"


def _chance(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}"


def _interval(value: Interval) -> str:
    return f"{100 * value.mean:.1f} ({100 * value.low:.1f}–{100 * value.high:.1f})"


def _mean(value: Interval | None) -> str:
    return "–" if value is None else f"{100 * value.mean:.1f}"
