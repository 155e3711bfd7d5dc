"""TOML to a validated, frozen Recipe: every choice of a run, checked before anything loads."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import tomli_w

from goalward.errors import UsageError
from goalward.experience.voters import VoterSettings
from goalward.feedback.build import COMPARE, build_grader, without_labels
from goalward.learning import preference
from goalward.learning.algorithm import Algorithm, Relative
from goalward.learning.imitation import SFT, WEIGHTED, ExpertIteration, RejectionSampling, WeightedImitation
from goalward.learning.offline import OFFLINE
from goalward.learning.policy_gradient import FAMILY, PolicyGradient
from goalward.schema import Place, Table, choose, merge, parse_override, read, read_toml, without
from goalward.stage import EvaluationSpec, Stage
from goalward.tasks.gsm8k import GSM8K
from goalward.tasks.gym import Gym
from goalward.tasks.rewrites import REWRITES
from goalward.tasks.rows import Rows
from goalward.tasks.taskset import TaskSet
from goalward.tasks.theorems import Theorems
from goalward.tasks.word_problems import WordProblems

ALGORITHMS: dict[str, tuple[type, Mapping[str, Any]]] = {
    "sft": (SFT, {}),
    "expert_iteration": (ExpertIteration, {}),
    "rejection_sampling": (RejectionSampling, {}),
    **{name: (WeightedImitation, changes) for name, changes in WEIGHTED.items()},
    **{name: (preference.Preference, changes) for name, changes in preference.FAMILY.items()},
    "kto": (preference.KTO, {}),
    **OFFLINE,
    **{name: (PolicyGradient, changes) for name, changes in FAMILY.items()},
}
REFLECT_ON = 8
"""Sampled attempts that improved answers read from, where none were asked for."""
TASK, ALGORITHM = Place("recipe", ("task",)), Place("recipe", ("algorithm",))
TASKS: dict[str, type] = {
    "gsm8k": GSM8K,
    "word_problems": WordProblems,
    "rows": Rows,
    "gym": Gym,
    "theorems": Theorems,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A validated run: its stages in order, and where it writes. `text` is the resolved TOML, `base` its folder."""

    name: str
    directory: Path
    base: Path
    stages: tuple[Stage, ...]
    text: str

    @property
    def single(self) -> bool:
        """Whether the run has no stages of its own, so that its one stage writes into its directory."""
        return len(self.stages) == 1 and not self.stages[0].name

    def folder(self, stage: Stage) -> Path:
        """Where `stage` writes."""
        return self.directory / stage.name

    def stage_text(self, stage: Stage) -> str:
        """The resolved TOML of one stage."""
        return tomli_w.dumps(_resolved(stage))


def find_recipe(name: str) -> Path:
    """The recipe at path `name`, else the shipped one of that name ("pocket/demo.toml")."""
    package = Path(__file__).parent
    shipped = name.removeprefix("recipes/")
    for folder in (package / "recipes", package.parents[1] / "recipes"):
        if not Path(name).exists() and (folder / shipped).exists():
            return folder / shipped
    return Path(name)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe with `key=value` overrides, which win over the file in every stage.

    Raises UsageError before any model or data is loaded.
    """
    raw = _expand(read_toml(path))
    tables = raw.pop("stages", {"": {}})
    stages = {name: _expand(table) for name, table in tables.items()}
    for text in overrides:
        over = _expand(parse_override(text))
        scoped = over.pop("stages", {})
        for name, table in scoped.items():
            known = choose("stage", name, stages, Place(f"override {text!r}"))
            stages[known] = merge(stages[known], _expand(table))
        raw = merge(raw, over)
        stages = {name: without(table, over) for name, table in stages.items()}
    name = raw.pop("name", path.stem)
    directory = Path(raw.pop("run", f"runs/{name}"))
    read_stages = tuple(
        _with_log(_read_stage(stage, merge(raw, table), path), stages, directory)
        for stage, table in stages.items()
    )
    _check_starts(read_stages, path)
    resolved = {"name": name, "run": str(directory)}
    if list(stages) == [""]:
        resolved |= _resolved(read_stages[0])
    else:
        resolved["stages"] = {stage.name: _resolved(stage) for stage in read_stages}
    return Recipe(
        name=name,
        directory=directory,
        base=path.parent,
        stages=read_stages,
        text=tomli_w.dumps(resolved),
    )


def evaluation_stage(
    model: str, task: str, split: str, samples: int, overrides: Sequence[str], *, reflect: bool = False
) -> Stage:
    """The stage of `goalward evaluate`: one evaluation, with `evaluation.KEY=value` meaning its own keys."""
    table: Table = {"do": "evaluate", "model": {"name": model}, "task": {"name": task}}
    table["evaluation"] = {"split": split, "samples": samples}
    if reflect:
        table["evaluation"] |= {"samples": samples or REFLECT_ON, "reflect": {}}
    for text in overrides:
        table = merge(table, _expand(parse_override(text)))
    table["evaluation"] = {split: table["evaluation"]}
    return _read_stage("", table, Path("goalward evaluate"))


def make_tasks(table: Table, place: Place = TASK) -> TaskSet:
    """The task set that a `[task]` table names."""
    name, knobs = _named(table, TASKS, place)
    return cast(TaskSet, read(TASKS[name], knobs, place))


def make_algorithm(stage: Stage, place: Place = ALGORITHM) -> Algorithm:
    """The algorithm that a stage's `[algorithm]` table names."""
    name, knobs = _named(stage.algorithm, ALGORITHMS, place)
    cls, preset = ALGORITHMS[name]
    if cls is PolicyGradient:
        preset = {"max_tokens": stage.sampling.max_tokens, **preset}
    return cast(Algorithm, read(cls, {**preset, **knobs}, place))


def _named(table: Table, known: Mapping[str, Any], place: Place) -> tuple[str, Table]:
    if "name" not in table:
        raise UsageError(f"{place.at('name')}: is missing; known: {', '.join(known)}")
    knobs = {key: value for key, value in table.items() if key != "name"}
    return choose(place.path[-1], table["name"], known, place.at("name")), knobs


def _expand(table: Table) -> Table:
    """`model = "x"` is short for `model = {name = "x"}`; the same for task, algorithm and a reward part."""
    expanded = {
        key: {"name": value} if key in ("model", "task", "algorithm") and isinstance(value, str) else value
        for key, value in table.items()
    }
    if isinstance(expanded.get("reward"), Mapping):
        expanded["reward"] = {
            part: {"grader": value} if isinstance(value, str) else value
            for part, value in expanded["reward"].items()
        }
    return expanded


def _read_stage(name: str, table: Table, path: Path) -> Stage:
    place = Place(str(path), ("stages", name) if name else ())
    defaults = {"name": name, "task": {"name": "word_problems"}, "algorithm": {"name": "grpo"}}
    stage = read(Stage, merge(defaults, table), place)
    algorithm = make_algorithm(stage, place.at("algorithm"))
    make_tasks(stage.task, place.at("task"))
    graders = [(place.at("reward", key, "grader"), part.grader) for key, part in stage.reward.items()]
    for keys, spec in _questions(stage).items():
        if spec.task is not None:
            make_tasks(spec.task, place.at(*keys, "task"))
        if not spec.metrics:
            raise UsageError(
                f"{place.at(*keys, 'metrics')}: name at least one grader; the first is the headline"
            )
        if spec.reflect is not None and spec.samples < spec.reflect.given:
            raise UsageError(
                f"{place.at(*keys, 'samples')}: {spec.samples}, and an improved answer reads {spec.reflect.given} attempts"
            )
        graders += [(place.at(*keys, "metrics"), metric) for metric in spec.metrics]
    for where, grader in graders:
        try:
            built = build_grader(grader, path.parent)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        if "reward" in where.path and without_labels(built):
            _refuse_labels(stage, place)
    for broken, key, message in _rules(stage, algorithm):
        if broken:
            raise UsageError(f"{place.at(key)}: {message}")
    return stage


def _refuse_labels(stage: Stage, place: Place) -> None:
    """No grader may compare with references where another is to do without."""
    for name, part in stage.reward.items():
        if isinstance(part.grader, str) and part.grader in COMPARE:
            raise UsageError(
                f"{place.at('reward', name)}: {part.grader!r} compares with references, and a recipe that learns "
                "without labels keeps them from the trainer; name it in an evaluation's metrics instead"
            )


def _questions(stage: Stage) -> dict[tuple[str, ...], EvaluationSpec]:
    asked: dict[tuple[str, ...], EvaluationSpec] = {
        ("evaluation", k): spec for k, spec in stage.evaluation.items()
    }
    return asked | ({("validation",): stage.validation} if stage.validation else {})


def _rules(stage: Stage, algorithm: Algorithm) -> Iterator[tuple[bool, str, str]]:
    """Numbers and pairs of settings that cannot work together: (is it so, key, what to do)."""
    experience, sampling = stage.experience, stage.sampling
    yield (
        stage.do == "evaluate" and not stage.evaluation,
        "evaluation",
        "say what to evaluate on, for example [evaluation.test]",
    )
    for name, spec in stage.evaluation.items():
        misplaced = spec.every > 0 or spec.best or spec.patience > 0
        yield misplaced, f"evaluation.{name}", "every, best and patience are for [validation]"
    if stage.do not in ("train", "record"):
        return
    log = experience.log is not None
    yield log and stage.do == "record", "experience.log", "a log is made of new attempts; leave it out"
    yield (
        experience.stitch is not None and not log,
        "experience.stitch",
        "name what to stitch in experience.log",
    )
    unused = experience.proofs is not None and (log or algorithm.source != "demonstrations")
    yield unused, "experience.proofs", "worked solutions are for what imitates them; use algorithm = 'sft'"
    foreign = experience.proofs is not None and stage.task.get("name") != "theorems"
    yield foreign, "experience.proofs", "it is theorems that have proofs; use task = 'theorems'"
    again = stage.do == "record" and algorithm.rounds > 1
    yield again, "algorithm", "dynamic sampling has no use in a log, which wants failures too; use grpo"
    yield (
        log and isinstance(algorithm, PolicyGradient),
        "algorithm",
        "it learns from the policy's own fresh attempts; on a log use for example rejection_sampling or dpo",
    )
    yield (
        isinstance(algorithm, Relative) and stage.learner.minibatches > 1,
        "learner.minibatches",
        "this algorithm weighs the whole step by one policy; leave it at 1",
    )
    if algorithm.source == "attempts" and not log:
        yield (
            not stage.reward,
            "reward",
            "attempts need feedback; name a grader, as in reward.answer = 'strict'",
        )
        yield sampling.temperature == 0, "sampling.temperature", "greedy attempts are all the same; use 1.0"
    if isinstance(algorithm, PolicyGradient):
        alone = experience.group_size < 2
        yield alone, "experience.group_size", "attempts are compared with each other; at least 2 a group"
        cut = sampling.top_p < 1 or sampling.top_k > 0
        yield (
            cut,
            "sampling",
            "top_p and top_k sample from another policy than the one that learns; leave them out",
        )
    yield experience.prompts < 1, "experience.prompts", "at least one task a step"
    yield experience.group_size < 1, "experience.group_size", "at least one attempt a task"
    yield experience.steps is not None and experience.steps < 1, "experience.steps", "at least one step"
    yield (
        experience.proofs is not None and experience.proofs < 1,
        "experience.proofs",
        "at least one expansion",
    )
    yield experience.epochs <= 0, "experience.epochs", "must be above 0"
    yield not 0 <= experience.max_error_share <= 1, "experience.max_error_share", "a share, from 0 to 1"
    yield sampling.max_tokens < 1, "sampling.max_tokens", "at least one token"
    yield sampling.temperature < 0, "sampling.temperature", "must not be below 0"
    yield not 0 < sampling.top_p <= 1, "sampling.top_p", "must be above 0 and at most 1"
    for key in ("voters", "contrast"):
        others: VoterSettings | None = getattr(experience, key)
        if others is not None:
            yield others.size < 1, f"experience.{key}.size", "at least one attempt a task"
            yield not 0 <= others.decay < 1, f"experience.{key}.decay", "a share, from 0 to less than 1"
            known = not others.rewrite or others.rewrite in REWRITES or ".py:" in others.rewrite
            yield not known, f"experience.{key}.rewrite", f"{', '.join(REWRITES)} or file.py:function"
    slow = {
        each.decay for each in (experience.voters, experience.contrast) if each and each.policy == "average"
    }
    yield len(slow) > 1, "experience.contrast.decay", "there is one moving average: give both the same decay"
    again = experience.reflect is not None and experience.reflect.hindsight
    yield (
        again and isinstance(algorithm, PolicyGradient),
        "experience.reflect.hindsight",
        "nothing new is sampled, which this algorithm needs; use rejection_sampling",
    )
    yield stage.guards.window < 1, "guards.window", "at least one step"
    yield stage.optimizer.learning_rate <= 0, "optimizer.learning_rate", "must be above 0"
    yield not 0 <= stage.optimizer.warmup <= 1, "optimizer.warmup", "a share of all steps, from 0 to 1"
    yield stage.learner.minibatches < 1, "learner.minibatches", "at least one"
    yield stage.learner.micro_batch_tokens < 1, "learner.micro_batch_tokens", "at least one token"
    yield stage.checkpoint.every < 1, "checkpoint.every", "at least one step"
    yield stage.checkpoint.keep < 1, "checkpoint.keep", "at least one"
    if stage.validation is not None:
        validation = stage.validation
        yield validation.every < 1, "validation.every", "validate after how many steps? At least 1"
        yield validation.patience < 0, "validation.patience", "how often without a better one? At least 0"
        hasty = validation.patience > 0 and not validation.best
        yield hasty, "validation.patience", "the last model is then not the best; set validation.best = true"


def _with_log(stage: Stage, stages: Iterable[str], directory: Path) -> Stage:
    """The stage with the folder of the earlier stage that its log names, if it names one."""
    named = stage.experience.log
    if named is None or named not in itertools.takewhile(lambda name: name != stage.name, stages):
        return stage
    settings = dataclasses.replace(stage.experience, log=str(directory / named))
    return dataclasses.replace(stage, experience=settings)


def _check_starts(stages: Sequence[Stage], path: Path) -> None:
    """Every `start` names an earlier stage that trains."""
    trained: list[str] = []
    for stage in stages:
        if stage.start is not None:
            place = Place(str(path), ("stages", stage.name, "start"))
            choose("earlier stage that trains,", stage.start, trained, place)
        if stage.do == "train":
            trained.append(stage.name)


def _resolved(stage: Stage) -> Table:
    """The stage with every default written out."""
    table = dataclasses.asdict(stage)
    del table["name"]
    table["task"] |= dataclasses.asdict(cast(Any, make_tasks(stage.task)))
    table["algorithm"] |= dataclasses.asdict(cast(Any, make_algorithm(stage)))
    return cast(Table, _without_none(table))


def _without_none(value: Any) -> Any:
    """TOML has no null; what is left out is the default."""
    if isinstance(value, Mapping):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list | tuple) else value
