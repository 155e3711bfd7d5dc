import sys
from typing import Any

import pytest

from goalward.errors import UsageError
from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.feedback.judge import judge_group
from goalward.tasks.gym import Gym
from goalward.types import Group


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(UsageError, match=r"pip install 'goalward\[gym\]'"):
        Gym(names="chain_sum").tasks("train")


@pytest.fixture(scope="module")
def _library() -> None:
    pytest.importorskip("reasoning_gym")


@pytest.mark.usefixtures("_library")
class TestWithTheLibrary:
    def test_tasks_are_the_same_every_time(self) -> None:
        first, again = (Gym(names="chain_sum", size=5, test_size=5).tasks("train") for _ in range(2))
        assert [task.messages for task in first] == [task.messages for task in again]
        other = Gym(names="chain_sum", size=5, test_size=5, seed=7).tasks("train")
        assert [task.messages for task in first] != [task.messages for task in other]
        assert first[0].id == "chain_sum/train/0"
        assert "<answer>" in first[0].messages[0]["content"]

    def test_environments_take_turns(self) -> None:
        tasks = Gym(names=("chain_sum", "gcd"), size=2, test_size=2).tasks("train")
        assert [task.id for task in tasks] == [
            "chain_sum/train/0",
            "gcd/train/0",
            "chain_sum/train/1",
            "gcd/train/1",
        ]

    @pytest.mark.parametrize("seed", [0, 1])
    def test_test_questions_are_new_and_different(self, seed: int) -> None:
        # Two terms of one digit: at most 200 questions, so that chance alone would repeat many.
        knobs = {"chain_sum": {"min_terms": 2, "max_terms": 2, "max_digits": 1}}
        taskset = Gym(names="chain_sum", size=100, test_size=50, seed=seed, config=knobs)
        train = {task.question for task in taskset.tasks("train")}
        test = [task.question for task in taskset.tasks("test")]
        assert len(test) == len(set(test)) == 50
        assert not train & set(test)

    def test_an_exhausted_environment(self) -> None:
        knobs = {"chain_sum": {"min_terms": 2, "max_terms": 2, "max_digits": 1}}
        with pytest.raises(UsageError, match="all questions of 'chain_sum' are training questions"):
            Gym(names="chain_sum", size=5000, test_size=1, config=knobs).tasks("test")

    @pytest.mark.parametrize(
        "name", ["chain_sum", "gcd", "spell_backward", "countdown", "maze", "leg_counting"]
    )
    def test_the_grader_takes_the_demonstration_and_no_nonsense(self, name: str) -> None:
        for task in Gym(names=name, size=1, test_size=3).tasks("test"):
            assert task.demonstration is not None
            texts = (task.demonstration, task.reference or "", "<answer>qqq</answer>")
            feedback = judge_group(
                Group(task=task, rollouts=tuple(recorded(text) for text in texts)), build_grader("gym")
            )
            assert [one.error for one in feedback] == [None] * 3
            right, untagged, wrong = (one.score for one in feedback)
            assert right == 1
            assert untagged is not None and untagged < 0.1
            assert wrong is not None and wrong < 0.5

    def test_environments_with_many_right_answers_have_no_reference(self) -> None:
        (task,) = Gym(names="graph_color", size=1, test_size=1).tasks("train")
        assert task.reference is None and task.demonstration is None

    @pytest.mark.parametrize(
        ("knobs", "said"),
        [
            ({"names": "chain_som"}, "there is no environment 'chain_som'; did you mean 'chain_sum'"),
            ({"names": "composite"}, "there is no environment 'composite'"),
            (
                {"names": "gcd", "config": {"gcd": {"max_valu": 1}}},
                "'gcd' has no knob 'max_valu'; did you mean 'max_value'",
            ),
            ({"names": "gcd", "config": {"gcd": {"seed": 1}}}, "'gcd' has no knob 'seed'"),
            (
                {"names": "chain_sum", "config": {"chain_sum": {"max_digits": 0}}},
                "'chain_sum' refuses its config",
            ),
        ],
    )
    def test_names_and_config_that_make_no_sense(self, knobs: dict[str, Any], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            Gym(**knobs).tasks("train")


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"names": ()}, "name at least one environment"),
        ({"names": "gcd", "size": 0}, "size = 0"),
        ({"names": "gcd", "test_size": 0}, "test_size = 0"),
        ({"names": "gcd", "seed": -1}, "seed = -1"),
        ({"names": "gcd", "prompt": "x"}, "there is no prompt"),
        (
            {"names": "gcd", "config": {"gdc": {}}},
            "there is no environment in `config` 'gdc'; did you mean 'gcd'",
        ),
    ],
)
def test_knobs_that_make_no_sense(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Gym(**knobs)


def test_splits() -> None:
    with pytest.raises(UsageError, match="there is no split 'validation'"):
        Gym(names="gcd").tasks("validation")
