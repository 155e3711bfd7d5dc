from typing import Any

import numpy as np
import pytest

from goalward.errors import UsageError
from goalward.feedback.verdict import failure, verdict
from goalward.types import Feedback


@pytest.mark.parametrize("value", [1, 1.0, True, np.float32(1), np.int64(1), np.array(1.0)])
def test_numbers_are_scores(value: Any) -> None:
    assert verdict(value) == Feedback(score=1.0)


def test_feedback_stays_and_none_is_no_verdict() -> None:
    feedback = Feedback(score=0.5, parts={"a": 1.0}, note="n")
    assert verdict(feedback) is feedback
    assert verdict(None) == Feedback(score=None)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1.0", "str '1.0', not a number"),
        ([1.0], "list [1.0], not a number"),
        (np.array([1.0, 2.0]), "not one number"),
        (float("nan"), "nan, not a finite number"),
        (float("-inf"), "-inf, not a finite number"),
        (Feedback(score=float("inf")), "inf, not a finite number"),
        ("x" * 500, "..."),
    ],
)
def test_anything_else_is_an_error(value: Any, said: str) -> None:
    feedback = verdict(value)
    assert feedback.score is None
    assert feedback.error is not None and said in feedback.error
    assert len(feedback.error) < 150


def test_failure_says_what_and_where() -> None:
    try:
        int("four")
    except ValueError as error:
        feedback = failure(error)
    assert feedback.score is None
    assert feedback.error is not None
    assert feedback.error.startswith("ValueError: invalid literal")
    assert "(test_verdict.py, line " in feedback.error


def test_failure_points_at_own_code_not_at_the_library_below() -> None:
    import json

    try:
        json.loads("{")
    except ValueError as error:
        feedback = failure(error)
    assert feedback.error is not None and "test_verdict.py" in feedback.error


def test_our_own_errors_are_plain_lines_already() -> None:
    assert failure(UsageError("no such thing")).error == "no such thing"
