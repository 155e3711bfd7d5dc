"""Pictures: the bar chart of a comparison, and the curves of a training."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goalward.evaluation.compare import Comparison
from goalward.runs.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT = "#2b2f36", "#8a929c"
_BASE = "#a9b1ba"
_COLOURS = ("#4c7fb0", "#d0703c", "#5a9a6f", "#8d6cab", "#c2a23a", "#b5566b", "#4a9ba0")
_DPI = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One small picture: its title, and for each line's label the points (x, y), both [points]."""

    title: str
    lines: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    sparse: bool = False
    """Measured now and then, so each point is marked and none is smoothed away."""


def bar_chart(comparison: Comparison, path: Path) -> None:
    """Draw a bar a model: its accuracy by the headline metric in %, with whiskers for the 95 % interval."""
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke
    from matplotlib.ticker import MaxNLocator

    rows = comparison.rows
    figure = Figure(figsize=(max(8.0, 1.2 * len(rows)), 5.0), dpi=_DPI)
    axes = figure.add_axes((0.085, 0.15, 0.88, 0.67))
    tops = []
    for place, row in enumerate(rows):
        interval = row.accuracy[comparison.headline]
        low, mean, high = 100 * interval.low, 100 * interval.mean, 100 * interval.high
        colour = _BASE if place == 0 and len(rows) > 1 else _COLOURS[(place - 1) % len(_COLOURS)]
        axes.bar(place, mean, width=0.58, color=colour, zorder=2)
        axes.errorbar(
            place, mean, yerr=[[mean - low], [high - mean]], color=_INK, capsize=5, linewidth=1.3, zorder=3
        )
        axes.annotate(
            f"{mean:.1f} %",
            (place, high),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=14,
            fontweight="bold",
            color=_INK,
            path_effects=[withStroke(linewidth=4, foreground="white")],
        )
        tops.append(high)
    names = [textwrap.fill(row.name, 12) for row in rows]
    axes.set_xticks(range(len(rows)), names, fontsize=13 if len(rows) < 6 else 11, va="top")
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.set_ylim(0, max(5.0, 1.15 * max(tops)))
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(0, min(100.0, 1.15 * max(tops)))
    axes.set_yticks([tick for tick in ticks if tick <= min(100.0, axes.get_ylim()[1])])
    axes.yaxis.set_major_formatter("{x:g} %")
    _clean(axes)
    axes.tick_params(axis="x", length=0, labelcolor=_INK)
    figure.text(
        0.02, 0.93, comparison.task or "Accuracy", fontsize=17, fontweight="bold", color=_INK, va="center"
    )
    figure.text(
        0.02,
        0.865,
        f"Accuracy ({comparison.headline}) of greedy answers to {comparison.questions:,} questions, "
        "with 95 % intervals",
        fontsize=11.5,
        color=_FAINT,
        va="center",
    )
    _save(figure, path)


def curves(metrics: Sequence[Mapping[str, float]], path: Path, title: str = "") -> bool:
    """Draw the training's curves, one small picture a quantity. False, and no file, if there are none."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = panels(metrics)
    if not shown:
        return False
    columns = min(len(shown), 2 if len(shown) == 4 else 3)
    lines = math.ceil(len(shown) / columns)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12, wspace=0.03, hspace=0.03)
    figure = Figure(figsize=(4.0 * columns, 2.9 * lines + 0.4), dpi=_DPI, layout=layout)
    figure.suptitle(title or "Training", fontsize=15, fontweight="bold", color=_INK, x=0.01, ha="left")
    for axes, panel in zip(figure.subplots(lines, columns, squeeze=False).flat, shown, strict=False):
        _draw(axes, panel)
    for axes in figure.axes[len(shown) :]:
        axes.remove()
    for axes in figure.axes[-columns:]:
        axes.set_xlabel("step", color=_FAINT)
    _save(figure, path)
    return True


def panels(metrics: Sequence[Mapping[str, float]]) -> list[Panel]:
    """What there is to draw in rows of metrics: only quantities with a finite value."""
    keys = list(dict.fromkeys(key for row in metrics for key in row))
    parts = {key: key.removeprefix("reward/") for key in keys if key.startswith("reward/")}
    accuracies = {key: key.removeprefix("accuracy/") for key in keys if key.startswith("accuracy/")}
    wanted: tuple[tuple[str, Mapping[str, str], bool], ...] = (
        # A single part is the whole: drawing it twice tells nothing.
        ("reward", {"reward": "total"} | (parts if len(parts) > 1 else {}), False),
        ("accuracy on evaluation", accuracies, True),
        ("completion length (tokens)", {"completion_length": "length"}, False),
        ("entropy (nats a token)", {"entropy": "entropy"}, False),
        ("KL to the reference (nats a token)", {"kl": "kl"}, False),
        ("share", {"no_spread_share": "groups without spread", "truncated_share": "cut off"}, False),
    )
    if "reward" not in keys:
        # Imitation: its loss tells what on-policy loss, near 0 throughout, does not; what it imitates
        # has the lengths that it has.
        wanted = (("loss", {"loss": "loss"}, False), wanted[1], wanted[3], wanted[4])
    return [
        Panel(title=title, lines=lines, sparse=sparse)
        for title, names, sparse in wanted
        if (lines := {label: line for key, label in names.items() if (line := _line(metrics, key))[0].size})
    ]


def _line(
    metrics: Sequence[Mapping[str, float]], key: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = [(row["step"], row[key]) for row in metrics if key in row and math.isfinite(row[key])]
    x, y = np.array(points, dtype=np.float64).reshape(-1, 2).T
    return x, y


def _draw(axes: "Axes", panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    for (label, (x, y)), colour in zip(panel.lines.items(), _COLOURS * len(panel.lines), strict=False):
        if panel.sparse:
            axes.plot(x, y, color=colour, marker="o", markersize=4, linewidth=1.6, label=label)
            continue
        window = max(1, len(y) // 20)
        smooth = _smoothed(y, window)
        if window > 1:
            axes.plot(x, y, color=colour, linewidth=0.8, alpha=0.3)
        axes.plot(x, smooth, color=colour, linewidth=1.7, marker="o" if len(x) == 1 else "", label=label)
    axes.set_title(panel.title, loc="left", fontsize=11, color=_INK, pad=8)
    if panel.sparse or panel.title == "share":
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    if panel.title == "share":
        axes.set_ylim(bottom=0, top=max(0.1, axes.get_ylim()[1]))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    if len(panel.lines) > 1:
        axes.legend(fontsize=8.5, frameon=False, labelcolor=_INK)
    _clean(axes)


def _smoothed(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """[n] -> [n]: the mean over the `window` values up to each (fewer at the start)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - window)
    return np.asarray((sums[end] - sums[start]) / (end - start))


def _clean(axes: "Axes") -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.grid(axis="y", color="#e6e9ed", linewidth=0.9, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", colors=_FAINT, length=0)


def _save(figure: "Figure", path: Path) -> None:
    picture = BytesIO()
    figure.savefig(picture, format="png")
    write_atomic(path, picture.getvalue())
