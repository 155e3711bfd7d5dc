import time

import pytest

from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.feedback.graders import EachRollout
from goalward.probes import SLOW, check_grader, format_rate, mutate
from goalward.tasks.word_problems import WordProblems
from goalward.types import Group, Task

TASKS = WordProblems(train=60).tasks("train")


def problems(grader, tasks=TASKS):
    return list(check_grader(tasks, grader).problems())


def one(judge):
    return EachRollout(judge)


@pytest.mark.parametrize("name", ["strict", "numeric", "math", "essay"])
def test_the_built_in_graders_tell_right_from_wrong(name):
    found = check_grader(TASKS, build_grader(name))
    assert list(found.problems()) == []
    assert found.kinds["reference"].mean == (3 if name == "essay" else 1)
    assert {kind: probed.count for kind, probed in found.kinds.items()} == dict.fromkeys(
        ("reference", "mutated", "truncated", "empty", "other question's"), 60
    )
    assert 0 < found.seconds <= found.worst_seconds
    assert found.worst in (*found.kinds, *SLOW)


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (lambda task, rollout: 1.0, "100% of the mutated answers score as high"),
        (lambda task, rollout: -len(rollout.text), "do not score top"),
        (lambda task, rollout: float("nan"), "could not be graded"),
        (lambda task, rollout: float("<answer>" in rollout.text), "100% of the mutated"),
        (
            lambda task, rollout: float((task.reference or "")[:1] in rollout.text),
            "mutated answers score as high",
        ),
    ],
)
def test_graders_that_cannot_are_found_out(judge, said):
    assert any(said in line for line in problems(one(judge)))


def test_a_reference_column_that_is_the_wrong_one_is_found_out():
    def right(task, rollout):
        return float(task.info["answer"] in rollout.text)

    tasks = [
        Task(
            id=str(n),
            messages=({"role": "user", "content": "?"},),
            reference=f"{n}",
            info={"answer": f"x{n}"},
        )
        for n in range(10, 20)
    ]
    assert any("score as high" in line or "top" in line for line in problems(one(right), tasks))


def test_answers_are_written_as_the_grader_reads_them():
    bare = one(lambda task, rollout: float(rollout.text == task.reference))
    tasks = [
        Task(id=str(n), messages=({"role": "user", "content": "?"},), reference=f"{n}") for n in range(9)
    ]
    assert problems(bare, tasks) == []


def test_mutate_by_hand():
    assert [mutate(text) for text in ("12", "$9", "3 to 4", "yes", "aba")] == [
        "13",
        "$10",
        "3 to 5",
        "sey",
        "abaaba",
    ]
    assert all(mutate(task.reference) != task.reference for task in TASKS)


def test_tasks_without_answers_cannot_be_probed():
    with pytest.raises(ValueError, match="reference"):
        check_grader([Task(id="1", messages=({"role": "user", "content": "?"},))], build_grader("strict"))


def test_the_answer_that_holds_a_grader_up_is_named():
    def slow_on_brackets(task, rollout):
        if "((" in rollout.text:
            time.sleep(0.2)
        return float(f"<answer>{task.reference}</answer>" in rollout.text)

    found = check_grader(TASKS[:5], one(slow_on_brackets))
    assert found.worst == "brackets that never close"
    assert found.worst_seconds >= 0.2 > 10 * found.seconds
    assert list(found.problems()) == []  # slow is not wrong


def test_format_rate_by_hand():
    texts = ("<answer>1</answer>", "1", "<answer>1", "x <answer></answer>")
    groups = [Group(task=TASKS[0], rollouts=tuple(map(recorded, texts)))]
    assert format_rate(groups) == 0.5
