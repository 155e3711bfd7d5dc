"""The published answers of the essay's experiment, graded. docs/grading.md holds these figures."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from goalward.feedback.answers import tagged_answer
from goalward.feedback.build import build_grader
from goalward.feedback.grade import grade_file, recorded
from goalward.feedback.judge import judge_group
from goalward.runs.files import read_jsonl
from goalward.tasks.gsm8k import GSM8K
from goalward.types import Group, Task

SHARED = Path(os.environ.get("GOALWARD_SHARED", Path(__file__).parents[3] / "shared")) / "data"


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"needs data that is not in the repository: {name}; name its folder in GOALWARD_SHARED")
    return SHARED / name


def why(answer: str | None, reference: str) -> str:
    """Why the exact rule fails an answer whose number is right."""
    if answer is None:
        return "no tag"
    if "=" in answer:
        return "calculation"
    if "$" in answer:
        return "currency"
    if "%" in answer:
        return "percent"
    if re.search("[a-z]", answer):
        return "unit"
    if answer.replace(",", "") == reference.replace(",", ""):
        return "comma in the reference" if "," in reference else "comma in the answer"
    return "trailing zeros"


@pytest.mark.parametrize(
    ("name", "correct"),
    [
        (
            "base",
            {"essay": 626, "strict": 626, "numeric": 685, "math": 685, "essay_format": 917, "tags": 1006},
        ),
        (
            "sft",
            {"essay": 718, "strict": 718, "numeric": 735, "math": 734, "essay_format": 1015, "tags": 1084},
        ),
    ],
)
def test_counts(name: str, correct: dict[str, int]) -> None:
    path = shared(f"qwen_gsm8k_answers/{name}.jsonl")
    for grader, wanted in correct.items():
        report = grade_file(path, build_grader(grader))
        assert (grader, report.correct, report.count, report.errors) == (grader, wanted, 1319, 0)


def test_numeric_and_math_differ_in_one_named_answer() -> None:
    apart = {}
    for name in ("base", "sft"):
        path = shared(f"qwen_gsm8k_answers/{name}.jsonl")
        numeric, math = (grade_file(path, build_grader(grader)).rows for grader in ("numeric", "math"))
        texts = dict(read_jsonl(path))
        apart |= {
            (name, one.line): tagged_answer(texts[one.line]["response"])
            for one, other in zip(numeric, math, strict=True)
            if one.correct != other.correct
        }
    assert apart == {
        ("sft", 336): "(8 * 30) + (1 * 70) = 240 + 70 = 310 ounces"
    }  # math-verify cannot read it


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        (
            "base",
            {
                "currency": 44,
                "no tag": 3,
                "trailing zeros": 4,
                "comma in the reference": 3,
                "comma in the answer": 2,
                "percent": 1,
                "unit": 1,
                "calculation": 1,
            },
        ),
        (
            "sft",
            {"currency": 3, "no tag": 6, "comma in the reference": 6, "calculation": 2},
        ),
    ],
)
def test_what_the_exact_rule_fails(name: str, reasons: dict[str, int]) -> None:
    path = shared(f"qwen_gsm8k_answers/{name}.jsonl")
    rows = [row for _, row in read_jsonl(path)]
    strict, numeric = (grade_file(path, build_grader(grader)).rows for grader in ("strict", "numeric"))
    assert not [
        row.line for row, other in zip(strict, numeric, strict=True) if row.correct and not other.correct
    ]
    found = Counter(
        why(tagged_answer(row["response"]), row["reference"])
        for row, exact, same in zip(rows, strict, numeric, strict=True)
        if same.correct and not exact.correct
    )
    assert found == reasons


def test_numeric_agrees_with_the_published_labels_of_gpt3_solutions() -> None:
    path = shared("gsm8k_model_solutions/solutions.jsonl")
    models = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    grader = build_grader("numeric")
    checked = 0
    for _, row in read_jsonl(path):
        task = Task(id="t", messages=(), reference=row["ground_truth"])
        group = Group(task=task, rollouts=tuple(recorded(row[model]["solution"]) for model in models))
        scores = [one.score for one in judge_group(group, grader)]
        assert scores == [float(row[model]["is_correct"]) for model in models]
        checked += len(scores)
    assert checked == 5276


@pytest.mark.parametrize(("split", "size"), [("train", 7473), ("test", 1319)])
def test_every_gsm8k_demonstration_earns_full_marks(split: str, size: int) -> None:
    tasks = GSM8K(path=str(shared("gsm8k"))).tasks(split)
    assert len(tasks) == size
    essay, numeric = build_grader("essay"), build_grader("numeric")
    for task in tasks:
        group = Group(task=task, rollouts=(recorded(task.demonstration or ""),))
        assert (judge_group(group, essay)[0].score, judge_group(group, numeric)[0].score) == (3, 1), task.id
