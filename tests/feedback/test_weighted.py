from dataclasses import dataclass
from typing import Any

import pytest

from goalward.feedback.grade import recorded
from goalward.feedback.weighted import Part, Weighted
from goalward.types import Feedback, Group, Task

GROUP = Group(
    task=Task(id="t", messages=({"role": "user", "content": "?"},)), rollouts=(recorded("a"), recorded("b"))
)


@dataclass(frozen=True)
class Gives:
    values: tuple[Any, ...]

    def grade(self, group: Group) -> list[Any]:
        if self.values == ("raise",):
            raise RuntimeError("broken")
        return list(self.values)


def test_the_score_is_the_weighted_sum_and_parts_keep_their_own_scores() -> None:
    grader = Weighted(
        parts={
            "right": Part(grader=Gives((1.0, 0.0)), weight=2),
            "short": Part(grader=Gives((0.5, 0.25)), weight=-1),
            "plain": Part(grader=Gives((1.0, 1.0))),
        }
    )
    first, second = grader.grade(GROUP)
    assert first == Feedback(score=2 * 1 - 0.5 + 1, parts={"right": 1.0, "short": 0.5, "plain": 1.0})
    assert second.score == pytest.approx(0 - 0.25 + 1)


def test_a_part_without_a_verdict_leaves_the_whole_without_one() -> None:
    grader = Weighted(
        parts={"vote": Part(grader=Gives((None, 1.0))), "right": Part(grader=Gives((1.0, 1.0)))}
    )
    first, second = grader.grade(GROUP)
    assert first == Feedback(score=None, parts={"right": 1.0})
    assert second.score == 2.0


def test_an_error_keeps_the_name_of_its_part() -> None:
    grader = Weighted(
        parts={
            "right": Part(grader=Gives(("raise",))),
            "short": Part(grader=Gives((1.0,))),
            "fine": Part(grader=Gives((Feedback(score=1.0, note="seen"), 1.0))),
        }
    )
    first, _ = grader.grade(GROUP)
    assert first.score is None
    assert first.parts == {"fine": 1.0}
    assert first.note == "fine: seen"
    assert first.error is not None
    assert first.error.startswith("right: RuntimeError: broken (test_weighted.py, line ")
    assert "; short: the grader returned 1 values for 2 attempts" in first.error
