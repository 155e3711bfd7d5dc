"""Every alarm fires on its own signal, says which, and is silent on a healthy run."""

from dataclasses import replace

import pytest

from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.feedback.guards import Guards, signals
from goalward.types import Group, Task

NUMERIC = build_grader("numeric")


def group(name: str, *answers: str, voters: tuple[str, ...] = (), contrast: tuple[str, ...] = ()) -> Group:
    return Group(
        task=Task(id=name, messages=({"role": "user", "content": name},)),
        rollouts=tuple(map(recorded, answers)),
        voters=tuple(map(recorded, voters)),
        contrast=tuple(map(recorded, contrast)),
    )


def test_signals_by_hand():
    found = signals(
        [
            group("a", "1", "1", "1", "2", voters=("1", "1", "3"), contrast=("2", "4")),
            group("b", "5", "5", "6", "hm", voters=("6", "6"), contrast=("5", "7")),
            group("c", "8", "9", voters=("8", "9"), contrast=("1",)),
        ],
        NUMERIC,
    )
    assert found["elected"] == pytest.approx(2 / 3)
    assert found["no_answer"] == pytest.approx(1 / 10)
    assert found["agreement"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["pseudo_reward"] == pytest.approx((3 / 4 + 1 / 3) / 2)
    assert found["self_agreement"] == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert found["cross_view"] == 0.5
    assert found["unmoved"] == pytest.approx((1 / 4 + 2 / 3 + 0) / 3)
    assert found["distinct_answers"] == found["answer_entropy"] == 1
    assert found["variety"] == 1


def test_the_same_answer_everywhere_has_no_entropy():
    found = signals([group(str(n), "7", "7", "8") for n in range(4)], NUMERIC)
    assert (found["answer_entropy"], found["distinct_answers"]) == (0, 0.25)
    assert "cross_view" not in found and "unmoved" not in found


def test_nobody_votes():
    found = signals([group("a", "who", "knows"), group("b", "", "")], NUMERIC)
    assert (found["elected"], found["no_answer"]) == (0, 1)
    assert "agreement" not in found


HEALTHY = {
    "answer_entropy": 0.9,
    "distinct_answers": 0.9,
    "no_answer": 0.05,
    "variety": 1.0,
    "completion_length": 40.0,
    "drift": 0.02,
    "unmoved": 0.3,
    "self_agreement": 0.5,
    "cross_view": 0.6,
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"answer_entropy": 0.6}, "answer_entropy fell from 0.90 to 0.60"),
        ({"answer_entropy": 0.05}, "answer_entropy fell from 0.90 to 0.05"),
        ({"distinct_answers": 0.4}, "distinct_answers fell from 0.90 to 0.40"),
        ({"no_answer": 0.25}, "no_answer rose from 0.05 to 0.25"),
        ({"variety": 0.7}, "variety fell from 1.00 to 0.70"),
        ({"completion_length": 130.0}, "completion_length went from 40 to 130 tokens"),
        ({"completion_length": 10.0}, "completion_length went from 40 to 10 tokens"),
        ({"drift": 0.6}, "drift, the KL to the first policy, is 0.60 nats a token"),
        ({"unmoved": 0.5}, "unmoved rose from 0.30 to 0.50"),
        ({"self_agreement": 0.8, "cross_view": 0.62}, "self_agreement rose from 0.50 to 0.80"),
    ],
)
def test_alarms(changed, said):
    rows = [HEALTHY] * 10 + [HEALTHY | changed] * 5
    alarm = Guards().alarm(rows)
    assert alarm is not None and said in alarm and "\n" not in alarm
    assert Guards(stop=False).alarm(rows) is None
    # One bad step is not a window of them.
    assert Guards().alarm([HEALTHY] * 14 + [HEALTHY | changed]) is None or "drift" in said or "0.05" in said


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"self_agreement": 0.9, "cross_view": 0.9},  # both views sharpen together
        {"self_agreement": 0.55, "cross_view": 0.6},
        {"completion_length": 80.0, "answer_entropy": 0.8, "unmoved": 0.1, "no_answer": 0.0},
        {"accuracy/strict": 0.0},  # no alarm knows it
    ],
)
def test_a_healthy_run_goes_on(changed):
    first = HEALTHY | ({"accuracy/strict": 1.0} if "accuracy/strict" in changed else {})
    assert Guards().alarm([first] * 10 + [HEALTHY | changed] * 5) is None


def test_all_the_same_from_the_beginning_stops_after_one_window():
    rows = [HEALTHY | {"answer_entropy": 0.02}] * 5
    assert Guards().alarm(rows[:4]) is None
    assert "almost all questions" in (Guards().alarm(rows) or "")


def test_a_budget_of_nought_is_none():
    assert Guards(kl=0).alarm([HEALTHY | {"drift": 9.0}] * 9) is None


def test_a_signal_that_is_not_there_alarms_nobody():
    assert Guards().alarm([{"reward": 1.0}] * 20) is None
    assert replace(Guards(), window=1).alarm([HEALTHY]) is None
