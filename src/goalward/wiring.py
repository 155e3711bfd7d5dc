"""A validated Recipe to built parts: the one place that knows every room."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goalward.engines.engine import Engine
from goalward.engines.native import NativeEngine
from goalward.errors import UsageError
from goalward.evaluation.evaluate import evaluate
from goalward.evaluation.evaluation import Evaluation, EvaluationSettings
from goalward.experience.attempts import Attempts
from goalward.experience.changed import Change, Changed, forget_labels, unlabelled
from goalward.experience.demonstrations import Demonstrations
from goalward.experience.experience import Experience, Remembering
from goalward.experience.log import Log, RecordedLog, effective_sample_size
from goalward.experience.practice import Practice
from goalward.experience.prover import PolicyGuide, Prover
from goalward.experience.reflect import Reflecting, Reflector
from goalward.experience.stitched import CUTS, StitchedLog
from goalward.experience.voters import Asking, Voters, VoterSettings
from goalward.experience.worked import with_proofs
from goalward.feedback.agreement import Vote
from goalward.feedback.answers import tagged_answer
from goalward.feedback.build import build_grader, without_labels
from goalward.feedback.functions import load_function
from goalward.feedback.grader import Grader
from goalward.feedback.guards import Guards
from goalward.feedback.weighted import Part, Weighted
from goalward.formal.proof import read_statement
from goalward.learning.algorithm import Algorithm, Relative, Valued
from goalward.learning.critic import Critic
from goalward.learning.imitation import imitate
from goalward.learning.learner import Learner, LearnerSettings
from goalward.learning.optimizer import OptimizerSettings
from goalward.models.average import MovingAverage
from goalward.models.load import load_policy
from goalward.models.policy import Policy
from goalward.models.values import ValueHeads, hidden_states
from goalward.recipe import make_algorithm, make_tasks
from goalward.runs.checkpoint import load_state
from goalward.schema import Table
from goalward.stage import EvaluationSpec, Stage
from goalward.tasks.rewrites import rewrite_named
from goalward.types import Example, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a run without labels is watched by: its guards, and by whose rule two answers are the same."""

    guards: Guards
    equal: Grader


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
    validated: list[tuple[int, float]] = field(default_factory=list)
    """(optimizer steps, accuracy by the headline metric) of each validation so far."""
    watch: Watch | None = None
    """None where labels teach."""
    average: MovingAverage | None = None
    """Follows the policy, where its attempts vote."""


def build(stage: Stage, base: Path, start: str, checkpoint: Path | None) -> Parts:
    """Load and join the parts of a training stage.

    base: the folder that grader files are relative to; start: the model to start from;
    checkpoint: where to go on, if the stage had begun.
    """
    algorithm = make_algorithm(stage)
    torch.manual_seed(stage.seed)  # a new model's weights
    policy = load_policy(replace(stage.model, name=str(checkpoint or start)))
    reward = _reward(stage, base) if algorithm.source == "attempts" and stage.reward else None
    watch = _watch(stage, reward) if reward is not None else None
    others = [each for each in (stage.experience.voters, stage.experience.contrast) if each]
    first = any(each.policy == "first" for each in others) or bool(watch and watch.guards.kl)
    weighs = isinstance(algorithm, Relative) and (algorithm.weighs_reference or algorithm.needs_divergence)
    if algorithm.needs_reference or algorithm.reward_kl or weighs or first:
        policy.keep_reference(load_policy(replace(stage.model, name=start)) if checkpoint else None)
    engine = NativeEngine(policy)
    slow = next((each for each in others if each.policy == "average"), None)
    average = MovingAverage(policy, slow.decay) if slow else None
    labels = watch is None
    changes = list(_changes(stage, base, policy, engine, average, labels=labels))
    source = _source(stage, base, algorithm, policy, engine, labels=labels)
    experience = Changed(source, changes) if changes else source
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
    validated: list[tuple[int, float]] = []
    if checkpoint:
        state = load_state(checkpoint)
        validated = [(step, accuracy) for step, accuracy in state["validated"]]
        learner.restore(state["learner"])
        experience.cursor = state["cursor"]
        if isinstance(experience, Remembering):
            experience.restore(state["memory"])
        if average:
            average.restore(state)
    return Parts(
        policy=policy,
        engine=engine,
        experience=experience,
        grader=reward,
        algorithm=algorithm,
        learner=learner,
        steps=steps,
        draws=draws,
        validated=validated,
        watch=watch,
        average=average,
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
    learner = Learner(policy, LearnerSettings(), OptimizerSettings(), steps=1, temperature=1.0, seed=0)
    found = learner.likelihoods(imitate(attempts), reference=False)
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
        reflect=spec.reflect,
        prove=Prover(policy, spec.search, samples=spec.samples, temperature=spec.temperature, seed=stage.seed)
        if spec.search
        else None,
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

    return Critic(heads.to(policy.device), encode, stage.learner.critic)


def _title(table: Table, split: str) -> str:
    names = table.get("names", ())
    return " ".join([table["name"], *([names] if isinstance(names, str) else names), split])


def _source(
    stage: Stage, base: Path, algorithm: Algorithm, policy: Policy, engine: Engine, *, labels: bool
) -> Experience:
    settings = stage.experience
    if settings.log is not None:
        recorded = RecordedLog(Path(settings.log))
        log = Log(
            recorded, policy.chat, vocabulary=policy.vocabulary, context=policy.context, seed=stage.seed
        )
        if settings.stitch is None:
            return log
        named = settings.stitch.key
        return StitchedLog(
            log,
            policy.chat,
            CUTS[named] if named in CUTS else _function(named, base),
            attempts=settings.group_size,
            temperature=settings.stitch.temperature,
            seed=stage.seed,
        )
    tasks = make_tasks(stage.task).tasks(settings.split)
    if not labels:  # before anything that acts, judges or learns sees one
        tasks = [unlabelled(task) for task in tasks]
    tasks = _short_enough(tasks, policy, settings.max_prompt_tokens)
    if settings.practice is not None:
        statements = [read_statement(task.question) for task in tasks]
        return Practice(statements, PolicyGuide(policy), policy.chat, settings.practice, seed=stage.seed)
    if settings.proofs is not None:
        tasks = with_proofs(tasks, settings.proofs)
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


def _changes(
    stage: Stage,
    base: Path,
    policy: Policy,
    engine: Engine,
    average: MovingAverage | None,
    *,
    labels: bool,
) -> Iterator[Change]:
    """What happens to the groups before they are judged."""
    settings = stage.experience
    if not labels:
        yield forget_labels
    if settings.reflect is not None:
        reflector = Reflector(engine, policy.chat.prompt, settings.reflect, stage.sampling, seed=stage.seed)
        yield Reflecting(reflector=reflector, size=settings.group_size)
    if settings.voters or settings.contrast:
        voters, contrast = (
            _voters(other, stage, base, policy, engine, average, turn)
            for turn, other in enumerate((settings.voters, settings.contrast), start=1)
        )
        yield Asking(voters=voters, contrast=contrast)


def _voters(
    settings: VoterSettings | None,
    stage: Stage,
    base: Path,
    policy: Policy,
    engine: Engine,
    average: MovingAverage | None,
    turn: int,
) -> Voters | None:
    if settings is None:
        return None
    whose: dict[str, Callable[[], AbstractContextManager[Policy]]] = {
        "current": lambda: nullcontext(policy),
        "first": policy.reference,
        **({"average": average.acting} if average else {}),
    }
    return Voters(
        engine,
        policy.chat,
        size=settings.size,
        sampling=stage.sampling,
        seed=stage.seed,
        acting=whose[settings.policy],
        rewrite=_rewrite(settings.rewrite, base),
        turn=turn,
    )


def _rewrite(name: str, base: Path) -> Callable[[str], str]:
    """How a question is put otherwise: not at all, by name, or by a function in a file."""
    if ".py:" in name:
        return _function(name, base)
    return rewrite_named(name) if name else str


def _function(name: str, base: Path) -> Callable[..., Any]:
    """The function that "file.py:function" names. Raises UsageError where there is none."""
    file, _, function = name.rpartition(":")
    return load_function(Path(file) if Path(file).is_file() else base / file, function)


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


def _watch(stage: Stage, reward: Weighted) -> Watch | None:
    """None unless some part of the reward is to do without labels."""
    graders = [part.grader for part in reward.parts.values()]
    if not any(map(without_labels, graders)):
        return None
    equal = next((grader.equal for grader in graders if isinstance(grader, Vote)), build_grader("numeric"))
    return Watch(guards=stage.guards, equal=equal)


def _reward(stage: Stage, base: Path) -> Weighted:
    return Weighted(
        parts={
            name: Part(grader=build_grader(part.grader, base), weight=part.weight)
            for name, part in stage.reward.items()
        }
    )
