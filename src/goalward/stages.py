"""A recipe's stages, one after another, each once: a run that was killed goes on where it stood."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

from rich.console import Console

from goalward.engines.engine import Request, Sampling
from goalward.engines.native import NativeEngine
from goalward.errors import UsageError
from goalward.evaluation.compare import compare, table
from goalward.evaluation.evaluation import Evaluation
from goalward.evaluation.report import write_report
from goalward.evaluation.saved import comparable, load_evaluations
from goalward.experience.log import RecordedLog
from goalward.loop import chosen, record, train
from goalward.models.load import ModelConfig, load_policy
from goalward.models.policy import Policy
from goalward.recipe import Recipe
from goalward.runs import checkpoint
from goalward.runs.progress import Bar, Progress
from goalward.runs.run import Run, read_result
from goalward.stage import Stage
from goalward.wiring import Parts, build, examine, weigh_log


def run_recipe(recipe: Recipe, console: Console) -> None:
    """Run every stage that is not finished yet, then write the report.

    Raises GoalwardError or UsageError; what was written stays, and the same command goes on.
    """
    if recipe.single:
        with Run.open(recipe.directory, recipe.text) as run:
            _run_stage(recipe, recipe.stages[0], run, console)
    else:
        with Run.open(recipe.directory, recipe.text):
            for stage in recipe.stages:
                with Run.open(recipe.folder(stage), recipe.stage_text(stage)) as run:
                    _run_stage(recipe, stage, run, console)
    console.print(f"Report: {write_report(recipe.directory)}")
    chart = recipe.directory / "comparison.png"
    if chart.exists():
        console.print(f"Chart:  {chart}")


def final_model(directory: Path) -> Path:
    """The model that a finished training run made. Raises UsageError where there is none."""
    result = read_result(directory)
    if not result or "model" not in result:
        raise UsageError(f"{directory}: holds no finished training run")
    return directory / str(result["model"])


def evaluate_model(stage: Stage) -> Evaluation:
    """Ask one model, apart from any run, the questions of the stage's only evaluation."""
    [(key, spec)] = stage.evaluation.items()
    policy = load_policy(stage.model)
    with Bar(f"{stage.model.name}: {key}") as bar:
        name = f"{stage.model.name}, reflecting" if spec.reflect else stage.model.name
        return examine(stage, spec, Path(), policy, NativeEngine(policy), name=name, progress=bar)


def sample_size(recorded: RecordedLog, model: str) -> float:
    """How many of the log's rows speak for `model`, as `wiring.weigh_log` counts them."""
    return weigh_log(load_policy(ModelConfig(name=resolve_model(model))), recorded)


def converse(model: str, temperature: float, max_tokens: int, console: Console) -> None:
    """Answer questions from standard input, one a line, until an empty one."""
    policy = load_policy(ModelConfig(name=resolve_model(model)))
    engine = NativeEngine(policy)
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens)
    for turn in count():
        try:
            question = console.input("[bold]> [/bold]").strip()
        except EOFError:
            return
        if not question:
            return
        prompt = policy.chat.prompt(({"role": "user", "content": question},))
        [[answer]] = engine.generate([Request(prompt=prompt, streams=(turn,))], sampling, seed=0)
        console.print(answer.text, markup=False, highlight=False)


def resolve_model(name: str) -> str:
    """`name`, or the final model of the finished run in the folder `name`."""
    return str(final_model(Path(name))) if (Path(name) / "result.json").exists() else name


def _run_stage(recipe: Recipe, stage: Stage, run: Run, console: Console) -> None:
    if run.result() is not None:
        console.print(f"{stage.name or recipe.name}: finished before")
        return
    work: dict[str, Callable[[Recipe, Stage, Run, Console], dict[str, object]]] = {
        "train": _train,
        "record": _record,
        "evaluate": _evaluate,
        "compare": _compare,
    }
    run.finish(work[stage.do](recipe, stage, run, console))


def _train(recipe: Recipe, stage: Stage, run: Run, console: Console) -> dict[str, object]:
    parts = _practise(recipe, stage, run, console)
    steps, best, validated = parts.learner.step, chosen(stage, parts), parts.validated
    model = checkpoint.of_step(run.directory, steps if best is None else best)
    policy = parts.policy if best in (None, steps) else None
    del parts  # two models at once may be more than the device holds
    policy = policy or load_policy(replace(stage.model, name=str(model)))
    _examine_all(recipe, stage, run, policy, console, step=checkpoint.step_of(model))
    result = {"model": str(model.relative_to(run.directory)), "steps": steps}
    return result if best is None else result | {"best": best, "validated": validated}


def _practise(recipe: Recipe, stage: Stage, run: Run, console: Console) -> Parts:
    """Train to the end; the parts as they then are."""
    name = stage.name or recipe.name
    parts = build(stage, recipe.base, _start(recipe, stage), checkpoint.latest(run.directory))
    if recipe.single and parts.learner.step == 0:  # what the report calls before and after
        _examine_all(recipe, stage, run, parts.policy, console, step=0, file="{}-step-0.json")
    with Progress(parts.steps, name) as bar:

        def validate() -> dict[str, float]:
            spec = stage.validation
            assert spec is not None
            found = examine(
                stage, spec, recipe.base, parts.policy, parts.engine, name=name, progress=bar.evaluating
            )
            return {f"accuracy/{metric}": i.mean for metric, i in found.summary.accuracy.items()}

        train(stage, run, parts, bar, validate)
    return parts


def _record(recipe: Recipe, stage: Stage, run: Run, console: Console) -> dict[str, object]:
    parts = build(stage, recipe.base, _start(recipe, stage), None)
    with Progress(parts.steps, stage.name or recipe.name) as bar:
        record(stage, run, parts, bar)
    return {"steps": parts.steps}


def _evaluate(recipe: Recipe, stage: Stage, run: Run, console: Console) -> dict[str, object]:
    policy = load_policy(replace(stage.model, name=_start(recipe, stage), lora=None))
    _examine_all(recipe, stage, run, policy, console, step=0)
    return {}


def _compare(recipe: Recipe, stage: Stage, run: Run, console: Console) -> dict[str, object]:
    for evaluations in comparable(load_evaluations([recipe.directory])):
        console.print(table(compare(evaluations)))
    return {}


def _examine_all(
    recipe: Recipe,
    stage: Stage,
    run: Run,
    policy: Policy,
    console: Console,
    *,
    step: int,
    file: str = "{}.json",
) -> None:
    engine = NativeEngine(policy)
    name = stage.name or recipe.name
    for key, spec in stage.evaluation.items():
        path = run.evaluations / file.format(key)
        if path.exists():
            continue
        asked = f"{name}, step {step}: {key}" if stage.do == "train" else f"{name}: {key}"
        with Bar(asked) as bar:
            found = examine(stage, spec, recipe.base, policy, engine, name=name, step=step, progress=bar)
        found.save(path)
        accuracy = found.summary.accuracy[found.headline]
        console.print(
            f"{asked}: {found.headline} accuracy {accuracy.mean:.1%} "
            f"[{accuracy.low:.1%}, {accuracy.high:.1%}] on {len(found.records)} questions"
        )


def _start(recipe: Recipe, stage: Stage) -> str:
    if stage.start is None:
        return stage.model.name
    [earlier] = [other for other in recipe.stages if other.name == stage.start]
    return str(final_model(recipe.folder(earlier)))
