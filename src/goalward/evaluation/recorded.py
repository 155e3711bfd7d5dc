"""Answers that somebody recorded, graded as an evaluation, so that they can be compared like any other."""

from pathlib import Path

from goalward.evaluation.evaluate import judged_attempts
from goalward.evaluation.evaluation import Evaluation, EvaluationSettings, Record
from goalward.feedback.answers import tagged_answer
from goalward.feedback.build import build_grader
from goalward.feedback.grade import read_answers

METRICS = ("strict", "numeric", "essay_format")


def evaluate_recorded(path: Path) -> Evaluation:
    """The answers in a JSONL file (see `feedback.grade`), by METRICS; named after the file.

    A question is known by its line, so files to be compared have the same questions in the same order.
    Raises UsageError naming the file and line where a row is not what it should be.
    """
    groups = read_answers(path)
    attempts = judged_attempts(
        [group.task for group in groups.values()],
        [group.rollouts for group in groups.values()],
        {metric: build_grader(metric) for metric in METRICS},
        tagged_answer,
    )
    return Evaluation(
        name=path.stem,
        model="",
        task="recorded answers",
        step=0,
        settings=EvaluationSettings(),
        metrics=METRICS,
        records=tuple(
            Record(
                id=f"line {line}",
                question=group.task.question,
                reference=group.task.reference,
                greedy=attempt,
            )
            for (line, group), (attempt,) in zip(groups.items(), attempts, strict=True)
        ),
    )
