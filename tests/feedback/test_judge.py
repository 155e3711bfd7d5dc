from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from goalward.errors import GoalwardError
from goalward.feedback.grade import recorded
from goalward.feedback.judge import check_errors, error_share, judge
from goalward.types import Feedback, Group, Task


@dataclass(frozen=True)
class Says:
    function: Callable[[Group], Any]

    def grade(self, group: Group) -> Sequence[Feedback]:
        return self.function(group)  # type: ignore[no-any-return]


def group(name: str = "t", attempts: int = 2) -> Group:
    return Group(
        task=Task(id=name, messages=({"role": "user", "content": "?"},)),
        rollouts=tuple(recorded(str(i)) for i in range(attempts)),
    )


def raises(_: Group) -> Any:
    raise ValueError("no digits")


def test_judge_fills_feedback_and_keeps_the_rest() -> None:
    before = group()
    (after,) = judge([before], Says(lambda _: [Feedback(score=1.0), Feedback(score=0.0)]))
    assert after.feedback == (Feedback(score=1.0), Feedback(score=0.0))
    assert (after.task, after.rollouts) == (before.task, before.rollouts)
    assert before.feedback == ()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raises, "ValueError: no digits (test_judge.py, line "),
        (lambda _: [Feedback(score=1.0)], "1 values for 2 attempts"),
        (lambda _: [1.0, 1.0, 1.0], "3 values for 2 attempts"),
        (lambda _: 1.0, "TypeError"),
        (lambda _: None, "TypeError"),
        (lambda _: [float("nan")] * 2, "not a finite number"),
        (lambda _: ["good", "bad"], "not a number"),
    ],
)
def test_a_broken_grader_gives_errors_never_zeros(function: Callable[[Group], Any], said: str) -> None:
    (after,) = judge([group()], Says(function))
    assert len(after.feedback) == 2
    for feedback in after.feedback:
        assert feedback.score is None
        assert feedback.error is not None and said in feedback.error


def test_one_bad_value_does_not_touch_its_neighbours() -> None:
    (after,) = judge([group()], Says(lambda _: [1, float("inf")]))
    assert after.feedback[0] == Feedback(score=1.0)
    assert after.feedback[1].score is None


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_ends_it(ending: type[BaseException]) -> None:
    def end(_: Group) -> Any:
        raise ending

    with pytest.raises(ending):
        judge([group()], Says(end))


def test_error_share_and_its_limit() -> None:
    good = judge([group("a", 3)], Says(lambda g: [Feedback(score=0.0)] * len(g.rollouts)))
    bad = judge([group("b", 1)], Says(raises))
    assert error_share([]) == 0
    assert error_share(good) == 0
    assert error_share(good + bad) == 0.25
    check_errors(good + bad, 0.25)
    with pytest.raises(
        GoalwardError, match=r"25\.0% of the attempts.*\n.*task b: ValueError: no digits \(test_judge"
    ):
        check_errors(good + bad, 0.2)


def test_several_different_errors_are_told() -> None:
    def raises_its_name(given: Group) -> Any:
        raise ValueError(given.task.id[:1])

    names = ("a1", "a2", "b1", "c1", "d1", "e1")
    bad = [one for name in names for one in judge([group(name)], Says(raises_its_name))]
    with pytest.raises(GoalwardError) as caught:
        check_errors(bad, 0.2)
    told = str(caught.value).splitlines()[1]
    assert [f"at task {name}: ValueError: {name[0]} (" in told for name in names] == [
        True,
        False,
        True,
        True,
        False,
        False,
    ]
    assert told.endswith("and 2 other errors")


def test_no_verdict_without_an_error_is_no_failure() -> None:
    groups = judge([group()], Says(lambda _: [None, 1.0]))
    assert groups[0].feedback[0] == Feedback(score=None)
    assert error_share(groups) == 0
