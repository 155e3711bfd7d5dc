"""A search for a proof as a picture: goals in boxes, tactics on the lines between them, the proof on top.

It reads like a chess game with variations. From a goal, lines fan out to the tactics that were tried (one of them has
to do); behind a tactic a bracket joins the goals that it leaves (all of them have to).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goalward.errors import UsageError
from goalward.experience.search import Search
from goalward.experience.search_graph import Fork, State, Tree, Twig, graph, prune, state, visits
from goalward.runs.files import write_atomic, write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _FAINT, _PAPER = "#2b2f36", "#8a929c", "#ffffff"
_FILL = {"proved": "#eef6f0", "open": _PAPER, "waiting": "#f6f7f9", "given up": "#f9ecef"}
_EDGE = {"proved": "#5a9a6f", "open": "#4c7fb0", "waiting": "#d3d8de", "given up": "#b5566b"}
_PROOF, _PROOF_FILL = "#3d8455", "#d9eedf"
_MEANING = {
    "proved": "proved",
    "open": "looked at, still open",
    "waiting": "not looked at",
    "given up": "given up: nothing left to try",
}
_READING = "A dot: all its goals are needed. To go: tactics that the search expects."
_TEXT, _SMALL, _LABEL = 9.0, 6.8, 8.2
"""Sizes of type, in points: goals, what is known of them, tactics."""
_LINE = 1.42
_PAD, _ROW, _FAN, _BRACKET = 6.0, 9.0, 26.0, 20.0
"""Points: inside a box, between rows, from a goal to its tactics, from a tactic to its goals."""
_DPI = 120
MOST = 40
"""Goals in a picture; a proof with more is drawn whole."""
FORMATS = (".json", ".svg", ".png")


def write_search(found: Search, path: Path, *, most: int = MOST) -> str:
    """Write the search to a file: .json with all of it, .svg or .png as a picture. Returns a line on what is in it.

    Raises UsageError for another kind of file, GoalwardError where it cannot be written.
    """
    check_format(path)
    if path.suffix == ".json":
        write_json(path, graph(found))
        return f"{path}: {len(found.nodes):,} goals"
    tree = prune(found, most)
    write_atomic(path, picture(found, tree, path.suffix[1:]))
    if tree.drawn < len(found.nodes):
        return f"{path}: {tree.drawn} of {len(found.nodes):,} goals, the proof and the most visited"
    return f"{path}: all {tree.drawn} goals"


def check_format(path: Path) -> None:
    """Raise UsageError where a search cannot be written as this kind of file."""
    if path.suffix not in FORMATS:
        raise UsageError(f"{path}: a search is written as {', '.join(FORMATS)}; name such a file")


@dataclass(slots=True)
class _Place:
    """Where a goal's box stands: its left side, its middle's height (down from the top), its measures; points."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where all stands. ends: the height of the tactics that leave no goal; numbers: of goals that stand for themselves elsewhere."""

    places: dict[Twig, _Place]
    ends: dict[Fork, float]
    numbers: dict[object, int]
    height: float


def picture(found: Search, tree: Tree, kind: str) -> bytes:
    """Draw `tree`, which shows a part of `found`; kind: "svg" or "png"."""
    import matplotlib
    from matplotlib.figure import Figure

    layout = lay_out(tree.root)
    title, subtitle = str(found.statement), _subtitle(found, tree)
    kinds = list(dict.fromkeys(state(twig.node) for twig in layout.places))
    head, foot, side = 52.0, 32.0, 16.0
    right = [place.x + place.width for place in layout.places.values()]
    right += [_end(layout.places[twig], fork) + 10 for twig in layout.places for fork in twig.tactics]
    width = max(*right, _width(title, 15), _width(subtitle, 9.5), _width(_READING, 8), _legend_width(kinds))
    rows = 1 if _legend_width(kinds) + _width(_READING, 8) < width else 2
    foot += 16 * (rows - 1)
    size = (width + 2 * side, head + layout.height + foot)
    figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=_DPI, facecolor=_PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-side, width + side)
    axes.set_ylim(layout.height + foot, -head)
    axes.set_axis_off()
    axes.text(0, -33, title, fontsize=14, fontweight="bold", color=_INK, va="center", parse_math=False)
    axes.text(0, -15, subtitle, fontsize=9.5, color=_FAINT, va="center", parse_math=False)
    for twig, place in layout.places.items():
        _draw_box(axes, twig, place, layout.numbers)
        for fork in twig.tactics:
            goals = [layout.places[goal] for goal in fork.goals]
            _draw_fork(axes, fork, place, goals, goals[0].y if goals else layout.ends[fork])
    bottom = layout.height + foot - 14
    _legend(axes, kinds, bottom - 16 * (rows - 1))
    at = 0 if rows > 1 else _legend_width(kinds)
    axes.text(at, bottom, _READING, fontsize=8, color=_FAINT, va="center", parse_math=False)
    out = BytesIO()
    # The same search gives the same file: no date, and names in the SVG that do not change.
    with matplotlib.rc_context({"svg.hashsalt": "goalward"}):
        figure.savefig(out, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return out.getvalue()


def _subtitle(found: Search, tree: Tree) -> str:
    size = found.proof.size if found.proof else 0
    result = f"proved in {size} tactics" if size else "not proved"
    cost = f"{found.expansions:,} goals looked at"
    rest = len(found.nodes) - tree.drawn
    left_out = (
        f"{tree.drawn} of the {len(found.nodes):,} that were met are drawn, the most visited" if rest else ""
    )
    return "; ".join(filter(None, (result, cost, left_out)))


def _numbers(root: Twig) -> dict[object, int]:
    """A number for each goal that is drawn in one place and stands for itself in others."""
    again: dict[object, None] = {}
    todo = [root]
    while todo:
        twig = todo.pop(0)
        if twig.again:
            again.setdefault(twig.node)
        todo += [goal for fork in twig.tactics for goal in fork.goals]
    return {node: number for number, node in enumerate(again, start=1)}


def _lines(twig: Twig, numbers: dict[object, int]) -> list[str]:
    """A box's text: hypotheses, and what is to be shown."""
    if twig.again:
        return [f"= goal {numbers[twig.node]}"]
    goal = twig.node.goal
    return [*(f"h{at}: {one}" for at, one in enumerate(goal.hypotheses, start=1)), f"⊢ {goal.target}"]


def _note(twig: Twig, numbers: dict[object, int]) -> str:
    """What is known of a goal, in small type."""
    if twig.again:
        return ""
    node = twig.node
    number = f"goal {numbers[node]}" if node in numbers else ""
    if state(node) == "waiting":
        return number
    came = f"{visits(node)} visit{'s' * (visits(node) != 1)}"
    far = f"{node.left:.3g} to go" if state(node) == "open" else ""
    hidden = f"{twig.hidden} more tactic{'s' * (twig.hidden != 1)}" if twig.hidden else ""
    return " · ".join(filter(None, (number, came, far, hidden)))


@cache
def _width(text: str, size: float) -> float:
    """Of a line of text, in points."""
    from matplotlib.textpath import TextPath

    extents = TextPath((0, 0), text, size=size, usetex=False).get_extents() if text.strip() else None
    return 1.04 * float(extents.x1) if extents else 0.0


def _box(twig: Twig, numbers: dict[object, int]) -> tuple[float, float]:
    lines, note = _lines(twig, numbers), _note(twig, numbers)
    width = max(*(_width(line, _TEXT) for line in lines), _width(note, _SMALL))
    height = len(lines) * _TEXT * _LINE + (_SMALL * _LINE if note else 0)
    return width + 2 * _PAD, height + 1.2 * _PAD


def _end(place: _Place, fork: Fork) -> float:
    """Where the name of a tactic ends that leaves no goal."""
    return place.x + place.width + _FAN + _width(fork.branch.text, _LABEL) + 8


def _gap(forks: Sequence[Fork]) -> float:
    """From a column of goals to the next one: room for the longest tactic between them."""
    return _FAN + max((_width(fork.branch.text, _LABEL) for fork in forks), default=0.0) + 8 + _BRACKET


def lay_out(root: Twig) -> _Layout:
    """Columns by depth; each goal level with the first that it leads to, all as high as there is room."""
    numbers = _numbers(root)
    columns: list[list[Twig]] = [[root]]
    while columns[-1]:
        columns.append([goal for twig in columns[-1] for fork in twig.tactics for goal in fork.goals])
    places: dict[Twig, _Place] = {}
    ends: dict[Fork, float] = {}
    x = 0.0
    for column in columns[:-1]:
        for twig in column:
            places[twig] = _Place(x, 0.0, *_box(twig, numbers))
        x += max(places[twig].width for twig in column) + _gap([f for twig in column for f in twig.tactics])
    floor = [-_ROW] * (len(columns) + 1)
    """How far down each column is taken."""

    def room(twig: Twig, column: int) -> float:
        """The height at which a goal can stand, with those that stand level with it."""
        own = floor[column] + _ROW + places[twig].height / 2
        first = twig.tactics[0] if twig.tactics else None
        if first is None:
            return own
        return max(
            own, room(first.goals[0], column + 1) if first.goals else floor[column + 1] + _ROW + _LABEL
        )

    def put(twig: Twig, column: int, y: float) -> None:
        places[twig].y = y
        floor[column] = y + places[twig].height / 2
        for fork in twig.tactics:
            if not fork.goals:  # it ends here
                y = ends[fork] = y if fork is twig.tactics[0] else floor[column + 1] + _ROW + _LABEL
                floor[column + 1] = y + _LABEL
            for goal in fork.goals:
                level = fork is twig.tactics[0] and goal is fork.goals[0]
                y = y if level else room(goal, column + 1)
                put(goal, column + 1, y)
        floor[column] = max(floor[column], y)  # no line of others crosses those from here

    put(root, 0, room(root, 0))
    return _Layout(places, ends, numbers, max(floor))


def _draw_box(axes: "Axes", twig: Twig, place: _Place, numbers: dict[object, int]) -> None:
    from matplotlib.patches import FancyBboxPatch

    kind = state(twig.node)
    axes.add_patch(
        FancyBboxPatch(
            (place.x, place.y - place.height / 2),
            place.width,
            place.height,
            boxstyle="round,pad=0,rounding_size=4",
            facecolor=_PROOF_FILL if twig.in_proof else _FILL[kind],
            edgecolor=_PROOF if twig.in_proof else _EDGE[kind],
            linewidth=2.0 if twig.in_proof else 1.0,
            linestyle=(0, (2.5, 2)) if twig.again else "solid",
            zorder=3,
        )
    )
    quiet = kind == "waiting" or twig.again
    y = place.y - place.height / 2 + 0.6 * _PAD
    for line in _lines(twig, numbers):
        axes.text(
            place.x + _PAD,
            y + _TEXT * _LINE / 2,
            line,
            fontsize=_TEXT,
            color=_FAINT if quiet and not twig.in_proof else _INK,
            va="center_baseline",
            parse_math=False,
            zorder=4,
        )
        y += _TEXT * _LINE
    axes.text(
        place.x + _PAD,
        y + _SMALL * _LINE / 2,
        _note(twig, numbers),
        fontsize=_SMALL,
        color=_PROOF if twig.in_proof else _FAINT,
        va="center_baseline",
        parse_math=False,
        zorder=4,
    )


def _draw_fork(axes: "Axes", fork: Fork, start: _Place, ends: list[_Place], level: float) -> None:
    """A tactic's line at height `level`, from its goal to those that it leaves, or to its end."""
    colour = _PROOF if fork.in_proof else "#b9c1ca"
    width = 2.6 if fork.in_proof else 0.9 + 0.35 * float(np.log2(1 + fork.branch.visits))
    line: dict[str, Any] = {
        "color": colour,
        "linewidth": width,
        "zorder": 2.5 if fork.in_proof else 2,
        "solid_capstyle": "round",
    }
    x = start.x + start.width
    label = ends[0].x - _BRACKET if ends else _end(start, fork)
    turn, soft = x + _FAN / 3, min(_FAN / 4, abs(level - start.y))
    if soft:  # down the trunk, and round the corner
        corner = np.linspace(0, np.pi / 2, 9)
        axes.plot(
            [x, turn, *(turn + soft * (1 - np.cos(corner))), label],
            [start.y, start.y, *(level - soft * (1 - np.sin(corner))), level],
            **line,
        )
    else:
        axes.plot([x, label], [level, level], **line)
    axes.text(
        label - 4,
        level,
        fork.branch.text,
        fontsize=_LABEL,
        fontweight="bold" if fork.in_proof else "normal",
        color=_PROOF if fork.in_proof else _INK,
        ha="right",
        va="center",
        parse_math=False,
        zorder=5,
        bbox={"facecolor": _PAPER, "edgecolor": "none", "pad": 1.2},
    )
    if not ends:
        axes.plot([label, label + 5], [level, level], **line)
        axes.plot([label + 5], [level], marker="s", markersize=6, color=colour, zorder=3)
        return
    joint = label + _BRACKET / 2
    axes.plot([label, joint], [level, level], **line)
    if len(ends) > 1:
        axes.plot([joint, joint], [level, ends[-1].y], **line)
        axes.plot([joint], [level], marker="o", markersize=5, color=colour, zorder=3)
    for end in ends:
        axes.plot([joint, end.x], [end.y, end.y], **line)


def _legend(axes: "Axes", kinds: Sequence[State], y: float) -> None:
    x = 0.0
    for fill, edge, meaning in _samples(kinds):
        axes.plot([x + 4], [y], marker="s", markersize=7, markerfacecolor=fill, markeredgecolor=edge)
        axes.text(x + 13, y, meaning, fontsize=8, color=_INK, va="center")
        x += 30 + _width(meaning, 8.0)


def _legend_width(kinds: Sequence[State]) -> float:
    return sum(30 + _width(meaning, 8.0) for _, _, meaning in _samples(kinds))


def _samples(kinds: Sequence[State]) -> list[tuple[str, str, str]]:
    """(fill, edge, meaning) of each kind of box there is."""
    proof = [(_PROOF_FILL, _PROOF, "the proof")] if "proved" in kinds else []
    return proof + [
        (_FILL[kind], _EDGE[kind], meaning) for kind, meaning in _MEANING.items() if kind in kinds
    ]
