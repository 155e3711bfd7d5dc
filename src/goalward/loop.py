"""The loop: act, get feedback, learn from the feedback; repeat."""

import resource
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from goalward.errors import GoalwardError
from goalward.experience.experience import Remembering
from goalward.experience.summary import summarise
from goalward.feedback.guards import Guards, signals
from goalward.feedback.judge import check_errors, judge
from goalward.learning.algorithm import Algorithm
from goalward.runs import checkpoint
from goalward.runs.progress import Progress
from goalward.runs.run import Run
from goalward.runs.selection import best_step, worn_out
from goalward.stage import Stage
from goalward.types import Group
from goalward.wiring import Parts

DRIFT_GROUPS = 8
"""Groups of a step by which the drift is measured: it is a guard, not a result."""

Validate = Callable[[], dict[str, float]]
"""Accuracies to record, the headline first."""


def train(stage: Stage, run: Run, parts: Parts, bar: Progress, validate: Validate) -> None:
    """Take a policy through its steps, from wherever `parts.learner` stands."""
    learner, algorithm = parts.learner, parts.algorithm
    run.rewind(learner.step)
    if stage.validation and stage.validation.best and not parts.validated:
        look(parts, validate)  # what is no better than the start is not worth keeping
        save(stage, run, parts)
    history: list[dict[str, float]] = run.metrics() if parts.watch else []
    for step in range(learner.step, parts.steps):
        if enough(stage, parts):
            break
        groups, spent = practise(stage, parts, step)  # act, get feedback
        examples = algorithm.credit(lessons(groups, algorithm))  # feedback -> credit
        seen = watch(parts, groups)
        metrics = summarise(groups) | seen | spent | learner.update(examples, algorithm)  # credit -> weights
        if isinstance(parts.experience, Remembering):
            metrics |= parts.experience.noticed
        if parts.average:
            parts.average.follow()
        last = step + 1 == parts.steps
        if stage.validation and (last or (step + 1) % stage.validation.every == 0):
            metrics |= look(parts, validate)
        metrics |= {"epoch": parts.experience.cursor / len(parts.experience), "peak_memory_gb": peak_memory()}
        run.record(step, metrics, groups)
        if parts.watch:
            history.append(metrics)
            stop_on_alarm(parts.watch.guards, history, run)
        due = last or (step + 1) % stage.checkpoint.every == 0
        if due or enough(stage, parts) or chosen(stage, parts) == learner.step:
            save(stage, run, parts)
        bar.step(
            step + 1,
            reward=metrics.get("reward"),
            accuracy=next((value for key, value in metrics.items() if key.startswith("accuracy/")), None),
            tokens_per_second=metrics.get("tokens_per_second/generate", metrics["tokens_per_second/train"]),
        )


def look(parts: Parts, validate: Validate) -> dict[str, float]:
    """Measure the policy as it is on validation questions, and remember it."""
    accuracies = validate()
    parts.validated.append((parts.learner.step, next(iter(accuracies.values()))))
    return accuracies


def enough(stage: Stage, parts: Parts) -> bool:
    """Whether validation says that more steps are of no use."""
    return stage.validation is not None and worn_out(parts.validated, stage.validation.patience)


def chosen(stage: Stage, parts: Parts) -> int | None:
    """The step of the best model by validation, where the recipe asks for that one and not for the last."""
    return best_step(parts.validated) if stage.validation and stage.validation.best else None


def record(stage: Stage, run: Run, parts: Parts, bar: Progress) -> None:
    """Act and get feedback, and learn nothing: what is written is a log. Goes on where it stood."""
    done = len(run.metrics())
    run.rewind(done)
    parts.experience.cursor = done * stage.experience.prompts
    for step in range(done, parts.steps):
        groups, spent = practise(stage, parts, step)
        metrics = summarise(groups) | spent
        run.record(step, metrics, groups)
        bar.step(
            step + 1,
            reward=metrics.get("reward"),
            accuracy=None,
            tokens_per_second=metrics["tokens_per_second/generate"],
        )


def lessons(groups: Sequence[Group], algorithm: Algorithm) -> list[Group]:
    """What counts in a step's loss: with dynamic sampling, not the groups that were sampled anew."""
    return [group for group in groups if algorithm.rounds == 1 or algorithm.useful(group)]


def practise(stage: Stage, parts: Parts, step: int) -> tuple[list[Group], dict[str, float]]:
    """Act and get feedback; again for what taught nothing, where the algorithm gives another round.

    Returns every group of the step, and the seconds and speed of acting and judging.
    """
    wanted = min(stage.experience.prompts, parts.draws - step * stage.experience.prompts)
    groups: list[Group] = []
    acting = judging = 0.0
    for _ in range(parts.algorithm.rounds):
        useful = sum(parts.algorithm.useful(group) for group in groups)
        if groups and useful >= wanted:
            break
        start = time.perf_counter()
        fresh = parts.experience.collect(wanted - useful, version=parts.learner.step)
        acted = time.perf_counter()
        if parts.grader is not None:
            fresh = judge(fresh, parts.grader)
            check_errors(fresh, stage.experience.max_error_share)
        if parts.algorithm.reward_kl:
            fresh = parts.learner.penalise(fresh, parts.algorithm.reward_kl)
        groups += fresh
        acting += acted - start
        judging += time.perf_counter() - acted
    if parts.grader is None:
        return groups, {}
    sampled = sum(rollout.completion.size for group in groups for rollout in group.rollouts)
    return groups, {
        "seconds/generate": acting,
        "seconds/feedback": judging,
        "tokens_per_second/generate": sampled / acting,
    }


def watch(parts: Parts, groups: Sequence[Group]) -> dict[str, float]:
    """The signals of a step without labels, and how far the policy has drifted, in nats a token, by some attempts."""
    if parts.watch is None:
        return {}
    found = signals(groups, parts.watch.equal)
    if parts.watch.guards.kl:
        some = groups[:DRIFT_GROUPS]
        whole = [one.parts["kl"] for group in parts.learner.penalise(some, 1.0) for one in group.feedback]
        found["drift"] = -sum(whole) / sum(
            rollout.completion.size for group in some for rollout in group.rollouts
        )
    return found


def stop_on_alarm(guards: Guards, history: Sequence[Mapping[str, float]], run: Run) -> None:
    """Raise GoalwardError where the guards find that a run without labels goes wrong."""
    alarm = guards.alarm(history)
    if alarm is None:
        return
    kept = checkpoint.latest(run.directory)
    raise GoalwardError(
        f"{run.directory}: stopped after step {len(history)}: {alarm}.\n"
        + (
            f"The last checkpoint before that is {kept}. "
            if kept
            else "No checkpoint was written before that. "
        )
        + "guards.stop=false goes on in spite of alarms"
    )


def save(stage: Stage, run: Run, parts: Parts) -> None:
    """Write a checkpoint from which `wiring.build` goes on exactly here."""
    state = {
        "learner": parts.learner.state(),
        "cursor": parts.experience.cursor,
        "validated": [list(each) for each in parts.validated],
    }
    state |= parts.average.state() if parts.average else {}
    if isinstance(parts.experience, Remembering):
        state["memory"] = parts.experience.memory()
    checkpoint.save(
        run.directory,
        parts.learner.step,
        parts.policy.save,
        state,
        keep=stage.checkpoint.keep,
        spare=chosen(stage, parts),
    )


def peak_memory() -> float:
    """The most memory this process has held, in GB: the GPU's where there is one, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
