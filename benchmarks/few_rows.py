"""How few rows are enough? `recipes/rft.toml` on 10 to 1,000 rows, beside imitation of the same rows' solutions.

    python benchmarks/few_rows.py                              all of it: about 35 minutes on one core
    python benchmarks/few_rows.py --rows 10 30 --seeds 1       a part; what is finished is not done again
    python benchmarks/few_rows.py --table docs/rft-table.md --plot docs/rft.png

Each seed draws its own rows; fewer rows are the beginning of more. A row holds a question, its answer for `rft`, and
two solutions: `terse` as people write them, for `sft`, and `careful`, for the control `sft_careful`. Everybody gets the
same 100 further rows for validation, which decide when to stop and which model to keep, and nothing else. All are
asked the same 500 test questions, which share neither a sentence pattern nor a tuple of numbers with any row.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from goalward.evaluation.evaluation import Evaluation
from goalward.evaluation.statistics import Interval, PairedTest, bootstrap, paired_difference, paired_exact
from goalward.recipe import find_recipe, load_recipe
from goalward.runs.files import write_atomic
from goalward.stages import run_recipe
from goalward.tasks.word_problems import WordProblems

ROWS = (10, 30, 100, 300, 1000)
CONTROL_ROWS = (10, 100, 1000)
SEEDS = (1, 2, 3)
VALIDATION = 100
_IMITATE = ("algorithm=sft", "experience.steps=96", "optimizer.learning_rate=1e-4")
METHODS = {
    "rft": (),
    "sft": (*_IMITATE, "task.demonstration_column=terse"),
    "sft_careful": (*_IMITATE, "task.demonstration_column=careful"),
}
"""Overrides of the recipe. The rate for imitation is the better of two on validation rows of no seed below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One method on one number of rows: right answers [questions, seeds], and the steps of the models kept."""

    right: NDArray[np.bool_]
    steps: tuple[int, ...]

    @property
    def accuracy(self) -> Interval:
        """The mean over seeds, with its interval over questions."""
        return bootstrap(self.right.mean(axis=1))


def write_rows(folder: Path, seed: int) -> None:
    """train.jsonl with the most rows, validation.jsonl and test.jsonl; `seed` draws the first two."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, source in (("train", seed), ("validation", seed), ("test", 0)):
        knobs = {"seed": source, "train": max(ROWS), "validation": VALIDATION}
        terse, careful = (WordProblems(**knobs, style=style).tasks(split) for style in ("terse", "careful"))
        rows = [
            {
                "messages": list(a.messages),
                "reference_answer": a.reference,
                "terse": a.demonstration,
                "careful": b.demonstration,
            }
            for a, b in zip(terse, careful, strict=True)
        ]
        write_atomic(folder / f"{split}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def train(folder: Path, method: str, rows: int, seed: int, console: Console) -> None:
    """Run the recipe on the first `rows` rows of `seed`, or go on with it, or leave it if it is finished."""
    data = folder / f"rows-{seed}"
    if not (data / "test.jsonl").exists():
        write_rows(data, seed)
    few = data / f"train-{rows}.jsonl"
    lines = (data / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    write_atomic(few, "".join(lines[:rows]))
    overrides = [
        f"task.train={few}",
        f"task.validation={data}/validation.jsonl",
        f"task.test={data}/test.jsonl",
        f"run={run_of(folder, method, rows, seed)}",
        f"seed={seed}",
    ]
    run_recipe(load_recipe(find_recipe("rft.toml"), [*overrides, *METHODS[method]]), console)


def run_of(folder: Path, method: str, rows: int, seed: int) -> Path:
    """The folder of one run."""
    return folder / f"{method}-{rows}-{seed}"


def read(folder: Path, method: str, rows: int, seeds: Sequence[int], file: str = "test") -> Cell | None:
    """What the runs found; None unless all seeds are finished."""
    runs = [run_of(folder, method, rows, seed) for seed in seeds]
    if not all((run / "result.json").exists() for run in runs):
        return None
    found = [Evaluation.load(run / "evaluations" / f"{file}.json") for run in runs]
    return Cell(
        right=np.stack([each.correct("strict") for each in found], axis=1),
        steps=tuple(each.step for each in found),
    )


def table(folder: Path, rows: Sequence[int], seeds: Sequence[int]) -> str:
    """The results as Markdown."""
    lines = [
        f"| rows | RFT | SFT, terse | RFT over SFT (points) | p, seeds {', '.join(map(str, seeds))} | p, pooled "
        "| SFT, careful (control) | steps: RFT, SFT |",
        "|---:|---:|---:|---:|---|---:|---:|---|",
    ]
    for count in rows:
        rft, sft, careful = (read(folder, method, count, seeds) for method in METHODS)
        if rft is None or sft is None:
            continue
        gain = paired_difference(sft.right, rft.right)
        each = [paired_exact(sft.right[:, i], rft.right[:, i]) for i in range(len(seeds))]
        lines.append(
            f"| {count:,} | {shown(rft)} | {shown(sft)} | {100 * gain.mean:+.1f} "
            f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}) | {', '.join(map(chance, each))} "
            f"| {chance(paired_exact(sft.right, rft.right))} | {shown(careful)} "
            f"| {', '.join(map(str, rft.steps))}; {', '.join(map(str, sft.steps))} |"
        )
    return "\n".join(lines) + "\n"


def shown(cell: Cell | None) -> str:
    """Accuracy in % with its interval, and that of each seed."""
    if cell is None:
        return "–"
    found = cell.accuracy
    seeds = ", ".join(f"{100 * mean:.1f}" for mean in cell.right.mean(axis=0))
    return f"{100 * found.mean:.1f} ({100 * found.low:.1f}–{100 * found.high:.1f}): {seeds}"


def chance(test: PairedTest) -> str:
    """A p-value as people read it."""
    return "< .001" if test.p < 0.001 else f"{test.p:.3f}"


def plot(folder: Path, rows: Sequence[int], seeds: Sequence[int], path: Path) -> None:
    """Accuracy against the number of rows, a line a method, with intervals and a point a seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.subplots()
    looks = {
        "rft": ("RFT: answers and a grader", "#d0703c"),
        "sft": ("SFT: the same rows' terse solutions", "#4c7fb0"),
        "sft_careful": ("control: SFT on careful solutions", "#5a9a6f"),
    }
    for method, (label, colour) in looks.items():
        cells = {count: cell for count in rows if (cell := read(folder, method, count, seeds))}
        if not cells:
            continue
        found = {count: cell.accuracy for count, cell in cells.items()}
        means = [100 * each.mean for each in found.values()]
        style = ":" if method == "sft_careful" else "-"
        axes.plot(list(found), means, color=colour, label=label, linestyle=style, marker="o", zorder=3)
        low, high = ([100 * getattr(each, side) for each in found.values()] for side in ("low", "high"))
        axes.fill_between(list(found), low, high, color=colour, alpha=0.15, linewidth=0)
        for count, cell in cells.items():
            points = 100 * cell.right.mean(axis=0)
            axes.plot([count] * len(points), points, ".", color=colour, alpha=0.5, markersize=5)
        base = read(folder, method, min(cells), seeds, file="test-step-0")
    assert base is not None  # every run evaluates the model that it starts from
    axes.axhline(100 * base.accuracy.mean, color="#8a929c", linestyle="--", linewidth=1)
    axes.annotate("base", (rows[0], 100 * base.accuracy.mean), xytext=(0, 4), textcoords="offset points")
    axes.set_xscale("log")
    axes.set_xticks(rows, [f"{count:,}" for count in rows])
    axes.minorticks_off()
    axes.set_ylim(0, 100)
    axes.set_xlabel("rows")
    axes.set_ylabel("strict accuracy on 500 test questions (%)")
    axes.set_title(f"How few rows are enough? {len(seeds)} seeds, 95 % intervals over questions", loc="left")
    axes.grid(axis="y", color="#e6e9ed")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path)


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/few_rows"), help="where the runs are kept")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--table", type=Path, help="write the table here too")
    parser.add_argument("--plot", type=Path, help="draw the picture here")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    for seed in arguments.seeds:
        for rows in arguments.rows:
            for method in arguments.methods:
                if method != "sft_careful" or rows in CONTROL_ROWS:
                    train(arguments.folder, method, rows, seed, console)
    found = table(arguments.folder, arguments.rows, arguments.seeds)
    print(found)
    if arguments.table:
        write_atomic(arguments.table, found)
    if arguments.plot:
        plot(arguments.folder, arguments.rows, arguments.seeds, arguments.plot)


if __name__ == "__main__":
    main()
