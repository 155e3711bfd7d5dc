"""A validated Recipe to built parts: the one place that knows every room."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from goalward.engines.engine import Engine
from goalward.engines.native import NativeEngine
from goalward.errors import UsageError
from goalward.evaluation.evaluate import evaluate
from goalward.evaluation.evaluation import Evaluation, EvaluationSettings
from goalward.experience.attempts import Attempts
from goalward.experience.demonstrations import Demonstrations
from goalward.experience.experience import Experience
from goalward.experience.log import Log, RecordedLog, effective_sample_size
from goalward.feedback.answers import tagged_answer
from goalward.feedback.build import build_grader
from goalward.feedback.grader import Grader
from goalward.feedback.weighted import Part, Weighted
from goalward.learning.algorithm import Algorithm, Relative, Valued
from goalward.learning.critic import Critic, CriticSettings
from goalward.learning.imitation import imitate
from goalward.learning.learner import Learner, LearnerSettings, likelihoods
from goalward.models.load import load_policy
from goalward.models.policy import Policy
from goalward.models.values import ValueHeads, hidden_states
from goalward.recipe import EvaluationSpec, Stage, make_algorithm, make_tasks
from goalward.runs.checkpoint import load_state
from goalward.schema import Table
from goalward.types import Example, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the loop turns: who acts, on what, who judges, and how it is learned from."""

    policy: Policy
    engine: Engine
    experience: Experience
    grader: Grader | None
    algorithm: Algorithm
    learner: Learner
    steps: int
    draws: int
    """Tasks to draw in all; the last step takes what is left."""


def build(stage: Stage, base: Path, start: str, checkpoint: Path | None) -> Parts:
    """Load and join the parts of a training stage.

    base: the folder that grader files are relative to; start: the model to start from;
    checkpoint: where to go on, if the stage had begun.
    """
    algorithm = make_algorithm(stage)
    policy = load_policy(replace(stage.model, name=str(checkpoint or start)))
    weighs = isinstance(algorithm, Relative) and (algorithm.weighs_reference or algorithm.needs_divergence)
    if algorithm.needs_reference or algorithm.reward_kl or weighs:
        policy.keep_reference(load_policy(replace(stage.model, name=start)) if checkpoint else None)
    engine = NativeEngine(policy)
    experience = _experience(stage, algorithm, policy, engine)
    settings = stage.experience
    draws = (
        settings.steps * settings.prompts if settings.steps else math.ceil(settings.epochs * len(experience))
    )
    steps = math.ceil(draws / settings.prompts)
    learner = Learner(
        policy,
        stage.learner,
        stage.optimizer,
        steps=steps,
        temperature=stage.sampling.temperature if algorithm.source == "attempts" else 1.0,
        seed=stage.seed,
        critic=_critic(stage, algorithm, policy),
    )
    if checkpoint:
        state = load_state(checkpoint)
        learner.restore(state["learner"])
        experience.cursor = state["cursor"]
    return Parts(
        policy=policy,
        engine=engine,
        experience=experience,
        grader=_reward(stage, base) if algorithm.source == "attempts" and stage.reward else None,
        algorithm=algorithm,
        learner=learner,
        steps=steps,
        draws=draws,
    )


def weigh_log(policy: Policy, recorded: RecordedLog, rows: int = 1000) -> float:
    """For how many of the log's first `rows` rows `policy` speaks: their effective sample size.

    Raises UsageError where a row has no log-probabilities: nobody knows then what recorded it.
    """
    log = Log(recorded, policy.chat, vocabulary=policy.vocabulary, context=policy.context, seed=0)
    attempts, before = [], []
    for number in range(min(rows, len(recorded))):
        attempt = log.rollout(recorded.row(number))
        if attempt.logprobs is None:
            raise UsageError(
                f"{recorded.where(number)}: has no log-probabilities, so it says nothing of a policy"
            )
        attempts.append(attempt)
        before.append(attempt.logprobs)
    found = likelihoods(policy, imitate(attempts), budget=LearnerSettings().micro_batch_tokens)
    return effective_sample_size(
        [
            float(np.nansum((now.policy - then)[attempt.sampled], dtype=np.float64))
            for now, then, attempt in zip(found, before, attempts, strict=True)
        ]
    )


def examine(
    stage: Stage,
    spec: EvaluationSpec,
    base: Path,
    policy: Policy,
    engine: Engine,
    *,
    name: str,
    step: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Ask `policy` the questions of `spec`."""
    table = spec.task or stage.task
    tasks = make_tasks(table).tasks(spec.split)[: spec.size]
    return evaluate(
        tasks,
        engine,
        policy.chat.prompt,
        {metric: build_grader(metric, base) for metric in spec.metrics},
        EvaluationSettings(
            max_tokens=spec.max_tokens, samples=spec.samples, temperature=spec.temperature, seed=stage.seed
        ),
        name=name,
        model=stage.model.name,
        task=_title(table, spec.split),
        step=step,
        answer=tagged_answer,
        progress=progress,
    )


def _critic(stage: Stage, algorithm: Algorithm, policy: Policy) -> Critic | None:
    """Value heads on the policy's hidden states, where the algorithm learns values."""
    if not isinstance(algorithm, Valued) or algorithm.critic is None:
        return None
    torch.manual_seed(stage.seed)
    heads = ValueHeads(policy.hidden, policy.vocabulary, actions=algorithm.critic == "vq")
    budget = stage.learner.micro_batch_tokens

    def encode(examples: Sequence[Example]) -> Tensor:
        return hidden_states(policy, examples, budget=budget)

    return Critic(heads.to(policy.device), encode, CriticSettings())


def _title(table: Table, split: str) -> str:
    names = table.get("names", ())
    return " ".join([table["name"], *([names] if isinstance(names, str) else names), split])


def _experience(stage: Stage, algorithm: Algorithm, policy: Policy, engine: Engine) -> Experience:
    settings = stage.experience
    if settings.log is not None:
        log = RecordedLog(Path(settings.log))
        return Log(log, policy.chat, vocabulary=policy.vocabulary, context=policy.context, seed=stage.seed)
    tasks = make_tasks(stage.task).tasks(settings.split)
    tasks = _short_enough(tasks, policy, settings.max_prompt_tokens)
    if algorithm.source == "demonstrations":
        return Demonstrations(tasks, policy.chat, seed=stage.seed)
    return Attempts(
        tasks,
        engine,
        policy.chat,
        group_size=settings.group_size,
        sampling=stage.sampling,
        seed=stage.seed,
    )


def _short_enough(tasks: Sequence[Task], policy: Policy, limit: int) -> Sequence[Task]:
    if not limit:
        return tasks
    lengths = [policy.chat.prompt(task.messages).size for task in tasks]
    short = [task for task, length in zip(tasks, lengths, strict=True) if length <= limit]
    if not short:
        raise UsageError(
            f"experience.max_prompt_tokens = {limit}: every prompt is longer; the shortest has {min(lengths)} tokens"
        )
    if len(short) < len(tasks):
        print(f"{len(tasks) - len(short)} of {len(tasks)} tasks are left out: prompts over {limit} tokens")
    return short


def _reward(stage: Stage, base: Path) -> Grader:
    return Weighted(
        parts={
            name: Part(grader=build_grader(part.grader, base), weight=part.weight)
            for name, part in stage.reward.items()
        }
    )
