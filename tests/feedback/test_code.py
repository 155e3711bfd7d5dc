from typing import Any

import pytest

from goalward.errors import UsageError
from goalward.feedback import sandbox
from goalward.feedback.build import build_grader
from goalward.feedback.code import CodeTests, PythonGrader, python_block
from goalward.feedback.grade import recorded
from goalward.feedback.judge import judge_group
from goalward.types import Feedback, Group, Task

pytestmark = pytest.mark.skipif(
    not sandbox.probe().works, reason=f"NOT TESTED: nothing can shut code in: {sandbox.probe().reasons}"
)


def judged(grader: Any, *texts: str, reference: str | None = None, **info: Any) -> tuple[Feedback, ...]:
    task = Task(id="t", messages=({"role": "user", "content": "?"},), reference=reference, info=info)
    return judge_group(Group(task=task, rollouts=tuple(map(recorded, texts))), grader)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("say\n```python\nx = 1\n```\nthen\n```\ny = 2\n```\ndone", "y = 2"),
        ("```python\nx = 1\n```\n```bash\nls\n```", "x = 1"),
        ("```Python title=a\nx = 1\n```", "x = 1"),
        ("```python\nx = 1\n```\n```python\nnever closed", "x = 1"),
        ("  ```py\n  x = 1\n  ```", "  x = 1"),
        ("<answer>x = 3</answer>", "x = 3"),
        ("<answer>\n```python\nx = 3\n```\n</answer>", "x = 3"),
        ("x = 4", "x = 4"),
        ("", ""),
        ("```python\n" * 100_000, "```python\n" * 100_000),
    ],
)
def test_where_the_code_is(text: str, code: str) -> None:
    assert python_block(text) == code


ADD = "```python\ndef add(a, b):\n    return a + b\n```"
HALF = "```python\ndef add(a, b):\n    return 3\n```"
TESTS = ["assert add(1, 2) == 3", "assert add(2, 2) == 4"]


def test_the_score_is_the_share_of_tests_passed() -> None:
    right, half, wrong, prose = judged(CodeTests(), ADD, HALF, "```\nadd = 1\n```", "no idea", tests=TESTS)
    assert (right.score, right.note) == (1.0, "2 of 2 tests passed")
    assert (half.score, half.note) == (0.5, "1 of 2 tests passed; first: AssertionError")
    assert wrong.score == prose.score == 0.0
    assert "SyntaxError" in prose.note
    assert [one.score for one in judged(CodeTests(all_or_nothing=True), ADD, HALF, tests=TESTS)] == [1.0, 0.0]


def test_programs_are_judged_by_what_they_print() -> None:
    pairs = [{"input": "2\n3\n", "output": "5\n"}, {"input": "4\n4", "output": "8"}]
    texts = (
        "print(int(input()) + int(input()))",
        "print(5)",
        "print('5  \\n')",
        "1/0",
        "print('8'); raise SystemExit(1)",
    )
    feedback = judged(CodeTests(), *texts, tests=pairs)
    assert [one.score for one in feedback] == [1.0, 0.5, 0.5, 0.0, 0.0]
    assert "other output" in feedback[1].note and "ZeroDivisionError" in feedback[3].note


def test_a_program_that_hangs_scores_zero_and_hangs_once() -> None:
    (feedback,) = judged(
        CodeTests(seconds=0.5), "while True: pass", tests=[{"input": str(n), "output": ""} for n in range(50)]
    )
    assert feedback.score == 0.0 and feedback.error is None
    assert "timeout" in feedback.note


@pytest.mark.parametrize(
    "code",
    [
        "abs = isclose = all = sorted = lambda *a, **k: True\ndef add(a, b): return 0",
        "class math:\n    isclose = staticmethod(lambda *a: True)\ndef add(a, b): return 0",
        "class E:\n    def __eq__(s, o): return True\ndef add(a, b): return E()",
        "import os; os._exit(0)",
        "raise SystemExit(0)",
        "import builtins\nbuiltins.AssertionError = SystemExit\ndef add(a, b): return 0",
        "print('1 of 1 tests passed')",
    ],
)  # fmt: skip
def test_no_reward_for_cheating(code: str) -> None:
    tests = [
        "assert math.isclose(add(1, 2), 3)",
        "assert abs(add(1, 2) - 3) < 1e-9",
        "assert sorted([add(1, 2)]) == [3]",
    ]
    (feedback,) = judged(CodeTests(), code, tests=tests)
    assert feedback.score == 0.0 and feedback.error is None


@pytest.mark.parametrize("tests", [None, [], "assert (", [1], [{"input": "x"}], ["x = '\0'"], {"a": 1}])
def test_tests_that_make_no_sense_are_an_error(tests: Any) -> None:
    for feedback in judged(CodeTests(), ADD, "other", tests=tests):
        assert feedback.score is None and feedback.error is not None and "task t" in feedback.error


def test_no_sandbox_is_an_error_not_a_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "probe", lambda: sandbox.Probe(works=(), reasons={"bubblewrap": "none"}))
    for feedback in (
        *judged(CodeTests(), ADD, tests=TESTS),
        *judged(PythonGrader(source="def grade(s, i): return 1"), "x"),
    ):
        assert (
            feedback.score is None
            and feedback.error is not None
            and "nothing can shut it in" in feedback.error
        )


def test_a_python_grader_sees_the_sample_and_the_item() -> None:
    source = (
        "def grade(sample, item):\n"
        "    assert sample['choices'][0]['message']['content'] == sample['output_text']\n"
        "    right = sample['output_text'] == item['reference'] or (sample['output_json'] or {}).get('n') == item['n']\n"
        "    return 1 if right else 0.25"
    )
    feedback = judged(
        PythonGrader(source=source), "four", '{"n": 4}', "five", "[" * 5000, reference="four", n=4
    )
    assert [one.score for one in feedback] == [1.0, 1.0, 0.25, 0.25]


def test_a_python_grader_may_use_what_is_installed() -> None:
    source = "import numpy\ndef grade(sample, item): return numpy.float32(0.5)"
    assert judged(PythonGrader(source=source), "x")[0] == Feedback(score=0.5)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 'good'", "not a finite number"),
        ("return None", "not a finite number"),
        ("return float('nan')", "not a finite number"),
        ("return 10 ** 400", "not a finite number"),
        ("return [1.0]", "not a finite number"),
        ("return object()", "not a plain value"),
        ("raise ValueError('no digits')", "ValueError: no digits"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("import os; os._exit(0)", "ended"),
        ("while True: pass", "out of time"),
        ("open('/etc/passwd')", "FileNotFoundError"),
        ("import socket; socket.socket()", "PermissionError"),
    ],
)
def test_whatever_goes_wrong_in_a_python_grader_is_an_error(body: str, said: str) -> None:
    (feedback,) = judged(PythonGrader(source=f"def grade(sample, item):\n    {body}", seconds=1), "x")
    assert feedback.score is None
    assert feedback.error is not None and said in feedback.error


@pytest.mark.parametrize("source", ["def grade(", "x = 1", "class A:\n    def grade(s, i): pass"])
def test_a_source_without_a_grader_is_refused_at_once(source: str) -> None:
    with pytest.raises(UsageError, match="python grader"):
        PythonGrader(source=source)


def test_grader_files_name_both(tmp_path):
    (tmp_path / "half.toml").write_text(
        'type = "python"\nsource = "def grade(sample, item):\\n    return 0.5"\n'
    )
    (tmp_path / "tests.json").write_text('{"type": "code_tests", "all_or_nothing": true, "seconds": 3}')
    assert build_grader(str(tmp_path / "half.toml")) == PythonGrader(
        source="def grade(sample, item):\n    return 0.5"
    )
    assert build_grader(str(tmp_path / "tests.json")) == CodeTests(all_or_nothing=True, seconds=3)
    (tmp_path / "half.toml").write_text('type = "python"\nsource = "def mark(): pass"\n')
    with pytest.raises(UsageError, match=r"half\.toml: a python grader's source should define grade"):
        build_grader(str(tmp_path / "half.toml"))
