"""A stitched solution drawn with its sources: which lines come from whom, and where the two met."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from goalward.benches.stitch_gsm8k import Problem, example
from goalward.errors import GoalwardError
from goalward.experience.equations import Worked

_COLOURS = ("#b2182b", "#2166ac")
"""Of the failed beginning and of the right end."""


def draw(problems: Sequence[Problem], path: Path) -> None:
    """The shortest new and right solution that begins with a failed one, beside its two sources, as a PNG.

    Raises GoalwardError where there is none.
    """
    found = example(problems)
    if found is None:
        raise GoalwardError("there is no new and right solution that begins with a failed one")
    problem, stitched, begun, end = found
    cut = stitched.pieces[0][1]
    join = stitched.pieces[1][0][1]
    figure = Figure(figsize=(11, 3), layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(problem.question, 120)), fontsize=10, parse_math=False)
    columns = [
        (f"{begun.name}: wrong", _paint(begun, range(cut), _COLOURS[0])),
        (
            "stitched: right, and in no log",
            [
                (_text(begun, range(cut)), _COLOURS[0]),
                (_text(end, range(join, len(end.equations))), _COLOURS[1]),
            ],
        ),
        (f"{end.name}: right", _paint(end, range(join, len(end.equations)), _COLOURS[1])),
    ]
    for place, (title, parts) in enumerate(columns, start=1):
        axes = figure.add_subplot(1, 3, place)
        axes.set_axis_off()
        axes.set_title(title, fontsize=10, fontweight="bold")
        height = 0.97
        for text, colour in parts:
            lines = [piece for line in text.strip().splitlines() for piece in textwrap.wrap(line, 40)]
            axes.text(
                0.0,
                height,
                "\n".join(lines),
                color=colour,
                fontsize=9,
                va="top",
                transform=axes.transAxes,
                parse_math=False,
            )
            height -= 0.105 * len(lines) + 0.02
    known = sorted({equation.value for equation in begun.equations[:cut]})
    figure.supxlabel(
        f"Joined where both have computed {', '.join(f'{value:g}' for value in known)}.", fontsize=10
    )
    figure.savefig(path, dpi=130)


def _paint(worked: Worked, taken: range, colour: str) -> list[tuple[str, str]]:
    """The solution in parts; what was taken in colour, the rest in grey."""
    cuts = [range(taken.start), taken, range(taken.stop, len(worked.equations))]
    return [(_text(worked, part), colour if part is taken else "0.45") for part in cuts if len(part)]


def _text(worked: Worked, places: range) -> str:
    """The text of some equations; with the last one, what follows it."""
    text = "".join(worked.equations[place].text for place in places)
    return text + (worked.ending if len(places) and places.stop == len(worked.equations) else "")
