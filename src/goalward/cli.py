"""The command line: thin, and the only place that turns errors into exit statuses."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from goalward.bench import bench
from goalward.errors import GoalwardError, UsageError

if TYPE_CHECKING:
    from goalward.recipe import Recipe

app = typer.Typer(
    help="Make language models better by practice: act, get feedback, learn from it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(bench, name="bench")
console = Console()

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings that win over the file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

# Imports stand inside the commands: torch and transformers take seconds, and `--help` should not.


@app.command()
def demo(overrides: Overrides = None) -> None:
    """Base, SFT and GRPO on word problems with the pocket model, compared in one chart; minutes on a laptop.

    Example: goalward demo seed=1
    """
    from goalward.stages import run_recipe

    found = _recipe("pocket/demo.toml", overrides)
    _use_free_cores()
    run_recipe(found, console)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe: a TOML file.")], overrides: Overrides = None
) -> None:
    """Run a recipe; the same command resumes it where it was stopped.

    Example: goalward train recipes/gsm8k/grpo.toml model=pocket experience.steps=3
    """
    from goalward.stages import run_recipe

    found = _recipe(str(recipe), overrides)
    _use_free_cores()
    run_recipe(found, console)


@app.command()
def preflight(
    recipe: Annotated[Path, typer.Argument(help="A recipe: a TOML file.")],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Before a run: does its grader tell right from wrong, can anything be learned, how long, how much memory?

    Exit status 1 where the grader cannot or nothing can. Example: goalward preflight recipes/pocket/grpo.toml
    """
    from goalward.preflight import preflight as look
    from goalward.preflight import table

    checked = _recipe(str(recipe), overrides)
    _use_free_cores()
    found = look(checked)
    _show([each.to_json() for each in found] if as_json else table(found), as_json)
    problems = [line for each in found for line in each.problems()]
    if problems:
        more = f" (and {len(problems) - 1} more, above)" if len(problems) > 1 else ""
        raise GoalwardError(f"{problems[0]}{more}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A Hub name, a folder, a finished run, or `pocket`.")],
    task: Annotated[
        str, typer.Option(help="The task set: gsm8k, word_problems, rows or gym.")
    ] = "word_problems",
    split: Annotated[str, typer.Option(help="Its split.")] = "test",
    samples: Annotated[int, typer.Option(help="Sampled attempts a question, for pass@k and maj@k.")] = 0,
    reflect: Annotated[
        bool, typer.Option("--reflect", help="Ask for an improved answer that reads sampled ones.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Where to save the records.")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model the questions of a task set and say how many it answers.

    Example: goalward evaluate pocket --task gsm8k task.path=data/gsm8k evaluation.size=100
    """
    from goalward.evaluation.compare import compare, table, to_json
    from goalward.recipe import evaluation_stage
    from goalward.stages import evaluate_model, resolve_model

    stage = evaluation_stage(resolve_model(model), task, split, samples, overrides or [], reflect=reflect)
    _use_free_cores()
    found = evaluate_model(stage)
    if output:
        found.save(output)
    _show(to_json(compare([found])) if as_json else table(compare([found])), as_json)


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders or evaluation files; the first is the base.")
    ],
    chart: Annotated[Path | None, typer.Option(help="Draw the bar chart into this PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put evaluations on the same questions side by side, with intervals and exact paired tests.

    Example: goalward compare runs/demo --chart chart.png
    """
    from goalward.evaluation import compare as comparing
    from goalward.evaluation.plots import bar_chart
    from goalward.evaluation.saved import comparable, load_evaluations

    found = [comparing.compare(group) for group in comparable(load_evaluations(runs))]
    if chart:
        bar_chart(found[0], chart)
    if as_json:
        _show([comparing.to_json(each) for each in found], as_json)
    else:
        console.print(*map(comparing.table, found), sep="\n")


@app.command()
def grade(
    file: Annotated[Path, typer.Argument(help="JSONL rows with `response` and `reference`.")],
    grader: Annotated[
        str, typer.Option(help="A built-in grader, a grader file (.json, .toml), or file.py:function.")
    ] = "numeric",
    as_json: AsJson = False,
) -> None:
    """Score recorded answers.

    Example: goalward grade answers.jsonl --grader essay --json
    """
    from goalward.feedback.build import build_grader
    from goalward.feedback.grade import grade_file

    report = grade_file(file, build_grader(grader))
    _show(report.to_json() if as_json else report.table(), as_json)


@app.command()
def log(
    file: Annotated[Path, typer.Argument(help="JSONL or Parquet rows, or a run's folder.")],
    model: Annotated[
        str | None, typer.Option(help="Also: for how many of its attempts does the log speak?")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check recorded attempts row by row, and say what there is to learn from them.

    Example: goalward log runs/grpo --model pocket
    """
    from goalward.experience.log import RecordedLog, table
    from goalward.stages import sample_size

    recorded = RecordedLog(file)
    found = recorded.report() | ({"effective_sample_size": sample_size(recorded, model)} if model else {})
    _show(found if as_json else table(found), as_json)


@app.command()
def chat(
    model: Annotated[
        str, typer.Argument(help="A Hub name, a folder, a finished run, or `pocket`.")
    ] = "pocket",
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(help="The longest answer.")] = 256,
) -> None:
    """Ask a model questions, one a line; an empty line ends.

    Example: goalward chat pocket
    """
    from goalward.stages import converse

    _use_free_cores()
    converse(model, temperature, max_tokens, console)


@app.command()
def prove(
    statement: Annotated[
        str, typer.Argument(help="A formula of propositional logic, such as 'p ∧ q → q ∧ p'.")
    ],
    model: Annotated[
        str,
        typer.Option(help="Who guides the search: prover (ships with Goalward), a folder, a finished run."),
    ] = "prover",
    budget: Annotated[int, typer.Option(min=1, help="Goals to expand.")] = 1000,
    practise: Annotated[
        int,
        typer.Option(min=0, help="Rounds of practice on variants, where the model's search finds no proof."),
    ] = 0,
    tree: Annotated[
        Path | None,
        typer.Option(help="Write what was searched: all of it as .json, a picture as .svg or .png."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search for a proof; prints it, its Lean term, and the verdicts of the kernel and of Lean.

    Exit status 1 where none is found. Example: goalward prove "p ∧ q → q ∧ p" --tree tree.svg
    """
    from goalward.experience.search import SearchSettings
    from goalward.prove import prove, text
    from goalward.stages import resolve_model

    _use_free_cores()
    found = prove(
        statement,
        resolve_model(model),
        SearchSettings(budget=budget, method="puct"),
        rounds=practise,
        tree=tree,
        say=lambda line: print(line, file=sys.stderr),
    )
    if as_json:
        print(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
    else:
        console.print(text(found), markup=False, highlight=False, soft_wrap=True)
    if found.verdict == "open":
        raise GoalwardError("no proof was found, and nothing refutes it")


def main() -> None:
    """Run the command line. Exit status: 0, 1 (it failed) or 2 (what was asked for makes no sense)."""
    try:
        app()
    except GoalwardError as error:
        print(f"goalward: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        print("\ngoalward: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(130)


def _use_free_cores() -> None:
    import torch

    from goalward.kernels.build import find_compiler
    from goalward.models.threads import use_free_cores

    if not torch.cuda.is_available():
        print(use_free_cores(), file=sys.stderr)
        if find_compiler() is None:
            print(
                "CPU: no C++ compiler; with one (g++ or clang++) small models are twice as fast",
                file=sys.stderr,
            )


def _recipe(name: str, overrides: list[str] | None) -> "Recipe":
    from goalward.recipe import find_recipe, load_recipe

    return load_recipe(find_recipe(name), overrides or [])


def _show(found: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        console.print(found)
