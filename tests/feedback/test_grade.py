import json
from pathlib import Path
from typing import Any

import pytest

from goalward.errors import UsageError
from goalward.feedback.build import build_grader
from goalward.feedback.grade import grade_file, is_correct
from goalward.types import Feedback


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_report(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"response": "<reasoning>r</reasoning>\n<answer>18</answer>", "reference": "18"},
        {"response": "<answer>18</answer>", "reference": "18"},
        {"response": "<reasoning>r</reasoning>\n<answer>17</answer>", "reference": "18"},
        {"response": "18", "reference": "18"},
    )
    report = grade_file(path, build_grader("essay"))
    assert (report.count, report.correct, report.errors, report.row_errors) == (4, 2, 0, {})
    assert report.mean_score == (3 + 2 + 1 + 0) / 4
    assert report.parts == {"format": 0.5, "answer": 0.5}
    assert [row.correct for row in report.rows] == [True, True, False, False]
    assert json.loads(json.dumps(report.to_json()))["accuracy"] == 0.5
    assert "2 of 4 correct (50.0%)" in report.table()


@pytest.mark.parametrize(
    "row",
    [
        {"completion": "A: 72", "answer": "48/2 = <<48/2=24>>24\n#### 72"},
        {"output": "72", "ground_truth": 72},
        {"text": "72", "solution": "72"},
        {"text": "wrong: 3", "response": "72", "reference": "72", "answer": "71"},
    ],
)
def test_the_usual_column_names(tmp_path: Path, row: dict[str, Any]) -> None:
    assert grade_file(write(tmp_path, row), build_grader("numeric")).correct == 1


def test_columns_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, {"said": "72", "gold": "72", "response": "0", "reference": "1"})
    assert grade_file(path, build_grader("numeric"), response="said", reference="gold").correct == 1


def test_errors_are_counted_apart_and_name_the_line(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"response": "1", "reference": "1"},
        {"response": "1", "reference": "one"},
        {"response": "2", "reference": "1"},
    )
    report = grade_file(path, build_grader("numeric"))
    assert (report.count, report.correct, report.errors, report.mean_score) == (3, 1, 1, 0.5)
    assert report.row_errors == {2: "the reference 'one' holds no number"}
    assert f"1 could not be graded:\n{path}, line 2: the reference 'one' holds no number" in report.table()
    assert report.to_json()["row_errors"] == [{"line": 2, "error": "the reference 'one' holds no number"}]


def test_all_errors_are_in_the_json_and_some_in_the_table(tmp_path: Path) -> None:
    rows = [{"response": "1", "reference": "one" if n % 2 else "1"} for n in range(20)]
    report = grade_file(write(tmp_path, *rows), build_grader("numeric"))
    assert [row["line"] for row in report.to_json()["row_errors"]] == list(range(2, 21, 2))
    assert report.table().count(", line ") == 5
    assert "and 5 more" in report.table()


def test_a_grader_that_always_raises_has_no_mean(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def f(task, rollout):\n    raise KeyError('x')\n")
    path = write(tmp_path, {"response": "1", "reference": "1"})
    report = grade_file(path, build_grader(f"{tmp_path}/mine.py:f"))
    assert (report.correct, report.errors, report.mean_score) == (0, 1, None)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"answer": "1"}, r"line 2: no response here: looked for response, completion.*; there is answer"),
        ({"response": "1"}, r"line 2: no reference here"),
        ({"response": ["1"], "reference": "1"}, r"line 2: 'response' should be text, found list"),
        (
            {"response": "1", "reference": None},
            r"line 2: 'reference' should be text or a number, found NoneType",
        ),
        ([1], r"line 2: expected a JSON object"),
    ],
)
def test_rows_that_are_not_what_they_should_be(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        grade_file(write(tmp_path, {"response": "1", "reference": "1"}, row), build_grader("numeric"))


def test_empty_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no row"):
        grade_file(write(tmp_path), build_grader("numeric"))
    with pytest.raises(UsageError, match="cannot be read"):
        grade_file(tmp_path / "none.jsonl", build_grader("numeric"))


@pytest.mark.parametrize(
    ("feedback", "correct"),
    [
        (Feedback(score=1.0), True),
        (Feedback(score=0.5), False),
        (Feedback(score=None), False),
        (Feedback(score=2.0, parts={"format": 0.0, "answer": 1.0}), True),
        (Feedback(score=1.0, parts={"format": 1.0, "answer": 0.0}), False),
        (Feedback(score=1.0, parts={"format": 1.0}), True),
        (Feedback(score=None, parts={"answer": 1.0}, error="format: broken"), False),
    ],
)
def test_is_correct(feedback: Feedback, correct: bool) -> None:
    assert is_correct(feedback) is correct
