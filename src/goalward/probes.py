"""Does a grader tell right from wrong? It is shown answers of which that is known."""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from goalward.feedback.answers import tagged_answer
from goalward.feedback.grade import recorded
from goalward.feedback.grader import Grader
from goalward.feedback.judge import judge_group
from goalward.tasks.prompts import in_format
from goalward.types import Feedback, Group, Task

SLOW = {
    "a tower of powers": "<answer>9^{9^{9^{9^9}}} + x!</answer>",
    "brackets that never close": f"<answer>{'(' * 5_000}1</answer>",
    "an endless number": f"<answer>{'7' * 20_000}</answer>",
    "one word over and over": f"{'aaaa ' * 5_000}!",
}
"""Answers of the kinds that hold graders up; a model under training will find them. What they score does not matter."""
RIGHT = "reference"
TOLERATED = 0.05
"""The share of wrong answers that may score as high as right ones: some are right by accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What answers of one kind scored.

    mean: of those with a verdict, None where there is none; as_high: the share that scored at least what the
    same task's reference did; errors: how many could not be graded; first_error: the first of them.
    """

    count: int
    mean: float | None
    as_high: float
    errors: int
    first_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderCheck:
    """A grader's behaviour on known answers; seconds are for one answer, and for the slowest one, of the kind `worst`."""

    kinds: Mapping[str, Probed]
    seconds: float
    worst_seconds: float
    worst: str

    def problems(self) -> Iterator[str]:
        """What is wrong with the grader, a plain line each; nothing where it tells right from wrong."""
        for kind, found in self.kinds.items():
            if found.errors:
                yield f"{found.errors} of {found.count} {kind} answers could not be graded: {found.first_error}"
        right = self.kinds[RIGHT]
        means = [found.mean for found in self.kinds.values() if found.mean is not None]
        if right.mean is None or right.mean < max(means):
            yield "the reference answers do not score top: is the reference column the right one?"
        for kind, found in self.kinds.items():
            if kind != RIGHT and found.as_high > TOLERATED:
                yield f"{found.as_high:.0%} of the {kind} answers score as high as the right ones"


def check_grader(tasks: Sequence[Task], grader: Grader) -> GraderCheck:
    """Grade the reference answers of `tasks`, and four kinds of wrong ones made from them; time it on those and on SLOW.

    Raises ValueError where no task has a reference.
    """
    known = [task for task in tasks if task.reference]
    if not known:
        raise ValueError("no task has a reference answer")
    write = _best_form(known[:20], grader)
    scores: dict[str, list[float]] = {}
    errors: dict[str, list[str]] = {}
    seconds: list[float] = []
    slowest = (0.0, "")
    for index, task in enumerate(known):
        for kind, text in _answers(task, known[index + 1 :] + known[:index], write(task)):
            feedback, took = _timed(task, text, grader)
            seconds.append(took)
            slowest = max(slowest, (took, kind))
            scores.setdefault(kind, []).append(np.nan if feedback.score is None else feedback.score)
            errors.setdefault(kind, []).extend([feedback.error] if feedback.error else [])
    for kind, text in SLOW.items():
        slowest = max(slowest, (_timed(known[0], text, grader)[1], kind))
    right = np.array(scores[RIGHT])
    return GraderCheck(
        kinds={
            kind: Probed(
                count=len(values),
                mean=fmean(judged) if (judged := [v for v in values if v == v]) else None,
                as_high=float(np.mean(np.array(values) >= right)),
                errors=len(errors[kind]),
                first_error=next(iter(errors[kind]), None),
            )
            for kind, values in scores.items()
        },
        seconds=fmean(seconds),
        worst_seconds=slowest[0],
        worst=slowest[1],
    )


def format_rate(groups: Sequence[Group]) -> float:
    """The share of attempts that give their answer in the tag, whatever it is worth."""
    return fmean(tagged_answer(r.text) is not None for group in groups for r in group.rollouts)


def _timed(task: Task, text: str, grader: Grader) -> tuple[Feedback, float]:
    start = time.perf_counter()
    (feedback,) = judge_group(Group(task=task, rollouts=(recorded(text),)), grader)
    return feedback, time.perf_counter() - start


def mutate(reference: str) -> str:
    """Another answer that looks like `reference`: its last number one higher, or its letters turned round."""
    numbers = list(re.finditer(r"\d+", reference))
    if numbers:
        last = numbers[-1]
        return f"{reference[: last.start()]}{int(last[0]) + 1}{reference[last.end() :]}"
    turned = reference[::-1]
    return turned if turned != reference else f"{reference}{reference}"


def _answers(task: Task, others: Sequence[Task], worked: str) -> Iterator[tuple[str, str]]:
    """(kind, completion) of a right answer and of wrong ones."""
    assert task.reference is not None
    yield RIGHT, worked
    yield "mutated", _swap(worked, task.reference, mutate(task.reference))
    yield "truncated", worked[: len(worked) // 2]
    yield "empty", ""
    other = next((each.reference for each in others if each.reference != task.reference), None)
    if other is not None:
        yield "other question's", _swap(worked, task.reference, other)


def _swap(text: str, old: str, new: str) -> str:
    head, found, tail = text.rpartition(old)
    return f"{head}{new}{tail}" if found else new


def _demonstrated(task: Task) -> str:
    return task.demonstration or in_format("", task.reference or "")


def _in_tags(task: Task) -> str:
    return in_format("", task.reference or "")


def _bare(task: Task) -> str:
    return task.reference or ""


def _best_form(tasks: Sequence[Task], grader: Grader) -> Callable[[Task], str]:
    """How the grader wants an answer written: the first of the forms that scores best."""

    def mean(write: Callable[[Task], str]) -> float:
        scores = [
            feedback.score
            for task in tasks
            for feedback in judge_group(Group(task=task, rollouts=(recorded(write(task)),)), grader)
        ]
        judged = [score for score in scores if score is not None]
        return fmean(judged) if judged else -math.inf

    return max((_demonstrated, _in_tags, _bare), key=mean)
