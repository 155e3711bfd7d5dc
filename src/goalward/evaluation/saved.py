"""Find the evaluations that runs saved."""

import tomllib
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from goalward.errors import UsageError
from goalward.evaluation.evaluation import Evaluation
from goalward.evaluation.recorded import evaluate_recorded


def stages(directory: Path) -> list[tuple[str, Path]]:
    """(name, directory) of each stage that has begun, in the recipe's order.

    A run of one stage is its own only stage, named after its directory.

    Raises:
        UsageError: `directory` is not a run's.
    """
    listed = _read_recipe(directory).get("stages", {})
    if not listed:
        return [(directory.resolve().name, directory)]
    return [(name, directory / name) for name in listed if (directory / name).is_dir()]


def evaluations_of(stage: Path) -> list[Evaluation]:
    """Every evaluation of one stage, by task in the recipe's order, then from first to last step.

    Of two at one step, the one with more samples comes last.
    """
    asked = list(_read_recipe(stage).get("evaluation", {}))

    def place(path: Path) -> tuple[int, str]:
        key = path.stem.partition("-step-")[0]
        return (asked.index(key) if key in asked else len(asked), path.stem)

    found = [Evaluation.load(path) for path in sorted((stage / "evaluations").glob("*.json"), key=place)]
    tasks = list(dict.fromkeys(evaluation.task for evaluation in found))
    return sorted(found, key=lambda each: (tasks.index(each.task), each.step, each.settings.samples))


def load_evaluations(paths: Sequence[Path]) -> list[Evaluation]:
    """The evaluations in files, and the last one on each task of every stage of runs' directories.

    A file of recorded answers (.jsonl) is graded and counts as an evaluation.

    One that comes from a run is named after its stage ("base", "sft", "grpo"), or after the run
    where that has one stage. Where names meet, the run's name comes before them.

    Raises:
        UsageError: a path is neither, or holds no evaluation.
    """
    found = [(path, evaluation) for path in paths for evaluation in _load(path)]
    seen = Counter((evaluation.task, evaluation.name) for _, evaluation in found)
    return [
        replace(evaluation, name=f"{_owner(path)}/{evaluation.name}")
        if seen[evaluation.task, evaluation.name] > 1
        else evaluation
        for path, evaluation in found
    ]


def comparable(evaluations: Iterable[Evaluation]) -> list[list[Evaluation]]:
    """Evaluations grouped into those that can be compared: the same task, questions and headline metric."""
    groups: dict[Hashable, list[Evaluation]] = {}
    for evaluation in evaluations:
        questions = tuple((record.id, record.question, record.reference) for record in evaluation.records)
        groups.setdefault((evaluation.task, evaluation.headline, questions), []).append(evaluation)
    return list(groups.values())


def _load(path: Path) -> list[Evaluation]:
    if path.is_file():
        return [evaluate_recorded(path) if path.suffix == ".jsonl" else Evaluation.load(path)]
    if not path.is_dir():
        raise UsageError(f"{path}: no such run or evaluation")
    last = [
        replace(each[-1], name=name)
        for name, directory in stages(path)
        for each in comparable(evaluations_of(directory))
    ]
    if not last:
        raise UsageError(f"{path}: this run has no evaluations yet")
    return last


def _read_recipe(directory: Path) -> dict[str, Any]:
    recipe = directory / "recipe.toml"
    try:
        return tomllib.loads(recipe.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{directory}: not a run's directory: {recipe.name} cannot be read") from error
    except ValueError as error:
        raise UsageError(f"{recipe}: not valid TOML: {error}") from error


def _owner(path: Path) -> str:
    """What tells two evaluations of one name apart: the run's folder, or the file's own name."""
    return path.resolve().name if path.is_dir() else str(path.with_suffix(""))
