"""Before a run: can its grader tell right from wrong, can anything be learned, how long and how much memory."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group as Lines
from rich.table import Table

from goalward.engines.engine import Engine
from goalward.engines.native import NativeEngine
from goalward.experience.summary import summarise
from goalward.loop import lessons, peak_memory, practise
from goalward.models.load import load_policy
from goalward.models.policy import Policy
from goalward.probes import GraderCheck, check_grader, format_rate
from goalward.recipe import Recipe, make_tasks
from goalward.stage import EvaluationSpec, Stage
from goalward.types import Example, Group, Rollout, Task
from goalward.wiring import Parts, build, examine

PROBED = 200
"""Tasks whose reference answers, and wrong ones made of them, are graded."""
TIMED = 3
"""Steps that are timed, after one to warm up."""
ASKED = 64
"""Questions of each evaluation that are timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What can be known before a stage runs.

    seconds, memory_gb: a forecast; grader: None where nobody grades, or no task has a reference;
    attempts: as `summarise` tells; scores: how often each was given; useful_share: groups that teach something.
    """

    stage: str
    seconds: float
    memory_gb: float
    grader: GraderCheck | None = None
    attempts: dict[str, float] = field(default_factory=dict)
    scores: dict[float, int] = field(default_factory=dict)
    useful_share: float | None = None
    steps: int = 0

    def problems(self) -> list[str]:
        """Why this stage should not run as it is, a plain line each."""
        found = list(self.grader.problems()) if self.grader else []
        if self.useful_share == 0:
            found.append(
                "no group of attempts teaches anything by its scores: there is nothing to learn from"
            )
        return [f"{self.stage}: {line}" if self.stage else line for line in found]

    def to_json(self) -> dict[str, Any]:
        """For a machine."""
        return {
            **asdict(self),
            "scores": {str(k): v for k, v in self.scores.items()},
            "problems": self.problems(),
        }


def preflight(recipe: Recipe) -> list[Preflight]:
    """Look at every stage of `recipe` that trains or evaluates. Nothing is written.

    A stage that starts from an earlier one's model is measured with the recipe's own model in its place.
    """
    return [_stage(recipe, stage) for stage in recipe.stages if stage.do != "compare"]


def _stage(recipe: Recipe, stage: Stage) -> Preflight:
    if stage.do == "evaluate":
        policy = load_policy(replace(stage.model, lora=None))
        seconds = _evaluating(recipe, stage, stage.evaluation.values(), policy, NativeEngine(policy))
        return Preflight(stage=stage.name, seconds=seconds, memory_gb=peak_memory())
    parts = build(stage, recipe.base, stage.model.name, None)
    tasks = make_tasks(stage.task).tasks(stage.experience.split)
    check = None
    if parts.grader is not None and parts.watch is None and any(task.reference for task in tasks[:PROBED]):
        check = check_grader(tasks[:PROBED], parts.grader)
    groups, a_step = _training(stage, parts)
    asked = list(stage.evaluation.values()) * (2 if recipe.single else 1)
    if stage.validation:
        asked += [stage.validation] * (
            math.ceil(parts.steps / stage.validation.every) + stage.validation.best
        )
    asking = _evaluating(recipe, stage, asked, parts.policy, parts.engine)
    _longest(stage, parts, tasks)
    judged = [f.score for group in groups for f in group.feedback if f.score is not None]
    return Preflight(
        stage=stage.name,
        grader=check,
        attempts=summarise(groups) | {"format_rate": format_rate(groups)},
        scores=dict(sorted(Counter(round(score, 3) for score in judged).items())),
        useful_share=float(np.mean([parts.algorithm.useful(group) for group in groups])),
        steps=parts.steps,
        seconds=parts.steps * a_step + asking,
        memory_gb=peak_memory(),
    )


def _training(stage: Stage, parts: Parts) -> tuple[list[Group], float]:
    """All attempts of some steps, and the seconds that a step takes."""
    seen: list[Group] = []
    took = []
    for step in range(min(1 + TIMED, parts.steps)):
        start = time.perf_counter()
        groups, _ = practise(stage, parts, step)
        parts.learner.update(parts.algorithm.credit(lessons(groups, parts.algorithm)), parts.algorithm)
        took.append(time.perf_counter() - start)
        seen += groups
    return seen, float(np.mean(took[1:] or took))


def _evaluating(
    recipe: Recipe, stage: Stage, specs: Iterable[EvaluationSpec], policy: Policy, engine: Engine
) -> float:
    """Seconds that all questions of all `specs` will take, from some of them; a spec may come several times."""
    seconds = 0.0
    known: dict[int, float] = {}
    for spec in specs:
        if id(spec) not in known:
            count = len(make_tasks(spec.task or stage.task).tasks(spec.split)[: spec.size])
            asked = min(ASKED, count)
            start = time.perf_counter()
            examine(stage, replace(spec, size=asked), recipe.base, policy, engine, name="preflight")
            known[id(spec)] = (time.perf_counter() - start) * count / asked
        seconds += known[id(spec)]
    return seconds


def _longest(stage: Stage, parts: Parts, tasks: Sequence[Task]) -> None:
    """One update on as many of the longest sequences as a micro-batch holds: what memory must suffice for."""
    limit = stage.experience.max_prompt_tokens or math.inf
    prompts = [p for task in tasks if (p := parts.policy.chat.prompt(task.messages)).size <= limit]
    prompt = max(prompts, key=len)
    completion = np.zeros(stage.sampling.max_tokens, np.int32)
    ones = np.ones(completion.size, np.float32)
    rollout = Rollout(
        prompt=prompt,
        completion=completion,
        sampled=ones.astype(np.bool_),
        logprobs=None,
        text="",
        stop="length",
    )
    budget, whole = stage.learner.micro_batch_tokens, int(prompt.size + completion.size)
    packed = parts.policy.lean(whole) is not None  # then the prompt stands there once
    count = max(1, (budget - prompt.size) // completion.size if packed else budget // whole)
    example = Example(rollout=rollout, advantage=ones, weight=(ones / (count * ones.size)).astype(np.float32))
    parts.learner.update([example] * count, parts.algorithm)


def table(found: Sequence[Preflight]) -> Lines:
    """For a terminal."""
    return Lines(*(line for each in found for line in _lines(each)))


def _lines(each: Preflight) -> list[Any]:
    lines: list[Any] = [f"[bold]{each.stage or 'run'}[/bold]"]
    if each.grader is not None:
        shown = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in ("answers", "graded", "mean score", "as high as the right one", "errors"):
            shown.add_column(column, justify="left" if column == "answers" else "right")
        for kind, probed in each.grader.kinds.items():
            mean = "–" if probed.mean is None else f"{probed.mean:.3f}"
            shown.add_row(kind, str(probed.count), mean, f"{probed.as_high:.1%}", str(probed.errors))
        lines += [
            shown,
            f"{1e3 * each.grader.seconds:.2f} ms an answer, {1e3 * each.grader.worst_seconds:.1f} ms the slowest ({each.grader.worst})",
        ]
    if each.scores:
        most = max(each.scores.values())
        lines += [f"{score:8g} {'█' * max(1, round(30 * n / most))} {n}" for score, n in each.scores.items()]
        told = each.attempts
        lines.append(
            f"attempts: reward {told.get('reward', 0):.3f}, {told['no_spread_share']:.0%} of the groups without spread, "
            f"{told['truncated_share']:.0%} cut off, {told['format_rate']:.0%} with an answer tag, "
            f"{told['completion_length']:.0f} tokens"
        )
    steps = f"{each.steps} steps, " if each.steps else ""
    minutes, seconds = divmod(round(each.seconds), 60)
    lines.append(f"forecast: {steps}{minutes} min {seconds} s, {each.memory_gb:.1f} GB of memory")
    return [*lines, *(f"[red]problem:[/red] {problem}" for problem in each.problems())]
