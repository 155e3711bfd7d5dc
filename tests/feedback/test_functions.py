from pathlib import Path

import pytest

from goalward.errors import UsageError
from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.feedback.judge import judge_group
from goalward.types import Feedback, Group, Task

GROUP = Group(
    task=Task(
        id="t",
        messages=({"role": "system", "content": "s"}, {"role": "user", "content": "q"}),
        reference="18",
        info={"level": 3},
    ),
    rollouts=(recorded("18"), recorded("no")),
)


def graded(folder: Path, code: str) -> tuple[Feedback, ...]:
    file = folder / "mine.py"
    file.write_text(code)
    return judge_group(GROUP, build_grader(f"{file}:f"))


def scores(folder: Path, code: str) -> list[float | None]:
    return [one.score for one in graded(folder, code)]


def test_task_and_rollout(tmp_path: Path) -> None:
    assert scores(tmp_path, "def f(task, rollout):\n    return task.reference == rollout.text\n") == [1, 0]


def test_task_and_rollout_with_feedback(tmp_path: Path) -> None:
    code = (
        "from goalward.types import Feedback\n"
        "def f(rollout, task):\n    return Feedback(score=.5, parts={'a': 1.}, note=rollout.text)\n"
    )
    assert graded(tmp_path, code)[1] == Feedback(score=0.5, parts={"a": 1.0}, note="no")


def test_a_raise_in_one_attempt_is_that_attempts_error(tmp_path: Path) -> None:
    first, second = graded(tmp_path, "def f(task, rollout):\n    return int(rollout.text) / 18\n")
    assert first == Feedback(score=1.0)
    assert second.score is None
    assert second.error is not None and second.error.endswith("(mine.py, line 2)")


def test_group(tmp_path: Path) -> None:
    code = "def f(group):\n    return [len(r.text) / len(group.rollouts) for r in group.rollouts]\n"
    assert scores(tmp_path, code) == [1, 1]


def test_group_of_the_wrong_length(tmp_path: Path) -> None:
    first, second = graded(tmp_path, "def f(group):\n    return [1.0]\n")
    assert first == second
    assert first.error == "the grader returned 1 values for 2 attempts"


def test_trl_style(tmp_path: Path) -> None:
    code = """
def f(prompts, completions, reference, level, **kwargs):
    assert prompts == [[{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]] * 2
    assert completions == [[{"role": "assistant", "content": "18"}], [{"role": "assistant", "content": "no"}]]
    assert reference == ["18", "18"] and level == [3, 3]
    assert kwargs == {"completion_ids": [[], []]}
    return [1.0 if c[0]["content"] == r else None for c, r in zip(completions, reference)]
"""
    assert graded(tmp_path, code) == (Feedback(score=1.0), Feedback(score=None))


def test_trl_style_without_kwargs_gets_what_it_names(tmp_path: Path) -> None:
    assert scores(tmp_path, "def f(completions, weight=2):\n    return [weight for _ in completions]\n") == [
        2,
        2,
    ]


def test_trl_style_missing_column_is_an_error_that_lists_the_columns(tmp_path: Path) -> None:
    first, _ = graded(tmp_path, "def f(completions, answer, **kwargs):\n    return [1.0, 1.0]\n")
    assert first.score is None
    assert first.error is not None
    assert first.error.startswith("the grader wants answer; the task gives level, reference, prompts")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def g(group): ...\n", r"there is no function of .*mine\.py 'f'"),
        ("f = 3\n", "there is no function"),
        ("def f(x, y): ...\n", r"mine\.py:f takes \(x, y\); a grader is one of f\(task, rollout\)"),
        ("x = 1\ndef f(group)\n    return\n", r"mine\.py, line 2: expected ':'"),
        (
            "import json\n\nimport no_such_module\n",
            r"ModuleNotFoundError: .*no_such_module.* \(mine\.py, line 3\)",
        ),
        ("x = 1\ny = 1 / 0\n", r"cannot be imported: ZeroDivisionError: .* \(mine\.py, line 2\)"),
    ],
)
def test_files_that_hold_no_grader(tmp_path: Path, code: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        graded(tmp_path, code)


def test_nearest_function(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def accuracy(group): ...\n")
    with pytest.raises(UsageError, match="did you mean 'accuracy'"):
        build_grader(f"{tmp_path}/mine.py:acuracy")


def test_a_file_named_like_a_library_shadows_nothing(tmp_path: Path) -> None:
    (tmp_path / "math.py").write_text("import math\ndef f(task, rollout):\n    return math.cos(0)\n")
    assert [one.score for one in judge_group(GROUP, build_grader(f"{tmp_path}/math.py:f"))] == [1, 1]
