"""Put models side by side on the same questions: accuracy with intervals, and who fixed what."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from goalward.errors import GoalwardError, UsageError
from goalward.evaluation.evaluation import Evaluation
from goalward.evaluation.saved import comparable, load_evaluations
from goalward.evaluation.statistics import Interval, paired_difference, paired_exact

if TYPE_CHECKING:
    from rich.table import Table

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model's numbers; see `evaluation.Summary` for what each is."""

    name: str
    model: str
    step: int
    accuracy: Mapping[str, Interval]
    pass_at: Mapping[int, Interval]
    maj_at: Mapping[int, Interval]
    truncated: float
    tokens: float
    no_verdict: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two models on the same questions, by the headline metric: how much better is the second?

    difference: of the accuracies, second minus first, with its 95 % interval; fixed: questions only
    the second got right; broken: only the first; p: McNemar's exact test, two-sided.
    """

    first: str
    second: str
    difference: Interval
    fixed: int
    broken: int
    p: float


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
    )


def to_json(comparison: Comparison) -> dict[str, Any]:
    """For a machine: plain JSON values, shares between 0 and 1."""
    return asdict(comparison)


_DETAILS = ("pass@1", "tokens", "cut off", "fixed", "broken")
"""What a table of many models leaves out."""


def table(comparison: Comparison) -> "Table":
    """For a terminal of 80 characters: a column a model, or a row where there are more than four."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

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
    return shown


def markdown(comparison: Comparison) -> str:
    """For a report: a row a model."""
    header, rows = _cells(comparison)
    lines = [header, ["---" if column == "model" else "---:" for column in header], *rows]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"**{_title(comparison)}**\n\n{body}\n\n{_caption(comparison)}\n"


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
    header = [
        "model",
        *comparison.metrics,
        *(f"pass@{k}" for k in passes),
        *(f"maj@{k}" for k in votes),
        "tokens",
        "cut off",
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
            f"{row.tokens:.0f}",
            f"{100 * row.truncated:.1f}",
            *([str(row.no_verdict)] if silent else []),
            *(_pair_cells(pair) if paired else []),
        ]
        for row, pair in zip(rows, comparison.against_first(), strict=True)
    ]
    return header, cells


def _pair_cells(pair: Pair | None) -> list[str]:
    if pair is None:
        return ["–"] * 4
    gain = pair.difference
    points = f"{100 * gain.mean:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    return [points, str(pair.fixed), str(pair.broken), "< .001" if pair.p < 0.001 else f"{pair.p:.3f}"]


def _interval(value: Interval) -> str:
    return f"{100 * value.mean:.1f} ({100 * value.low:.1f}–{100 * value.high:.1f})"


def _mean(value: Interval | None) -> str:
    return "–" if value is None else f"{100 * value.mean:.1f}"
