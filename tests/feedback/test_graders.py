import threading
from collections.abc import Mapping
from typing import Any

import pytest

from goalward.feedback import graders
from goalward.feedback.build import GRADERS, build_grader
from goalward.feedback.grade import recorded
from goalward.types import Feedback, Group, Task


def task(reference: str | None = "18", **info: Any) -> Task:
    return Task(id="t", messages=({"role": "user", "content": "?"},), reference=reference, info=info)


def grade(
    name: str, text: str, reference: str | None = "18", info: Mapping[str, Any] | None = None
) -> Feedback:
    (feedback,) = build_grader(name).grade(
        Group(task=task(reference, **(info or {})), rollouts=(recorded(text),))
    )
    return feedback


GOOD = "<reasoning>r</reasoning>\n<answer>18</answer>"


@pytest.mark.parametrize(
    ("text", "essay", "tags"),
    [
        (GOOD, 1, 1),
        (GOOD + "\n", 1, 1),
        ("<reasoning></reasoning>\n<answer></answer>", 1, 1),
        ("<reasoning>a <reasoning> b</reasoning>\n<answer>18</answer>", 1, 1),
        ("<reasoning>one\ntwo</reasoning>\n<answer>18</answer>", 0, 1),
        ("<reasoning>r</reasoning>\n<answer>\n18\n</answer>", 0, 1),
        (GOOD + "\n\n", 0, 1),
        (GOOD + " ", 0, 1),
        (" " + GOOD, 0, 0),
        (GOOD + " done", 0, 0),
        (GOOD.replace("\n", ""), 0, 0),
        (GOOD.replace("\n", "\n\n"), 0, 0),
        (GOOD.replace("\n", " "), 0, 0),
        ("<reasoning>a</reasoning>\n" + GOOD, 0, 0),
        (GOOD + "\n" + GOOD, 0, 0),
        ("<reasoning>r</reasoning>\n<answer>1</answer></answer>", 0, 0),
        ("<reasoning>r</reasoning>\n<answer>18", 0, 0),
        ("<answer>18</answer>", 0, 0),
        ("18", 0, 0),
        ("", 0, 0),
    ],
)
def test_format(text: str, essay: int, tags: int) -> None:
    assert grade("essay_format", text).score == essay
    assert grade("tags", text).score == tags


@pytest.mark.parametrize(
    ("text", "score"),
    [
        (GOOD, 1),
        ("18 <answer> 18 </answer>", 1),
        ("<answer>18.00</answer>", 0),
        ("<answer>$18</answer>", 0),
        ("18", 0),
    ],
)
def test_essay_answer(text: str, score: int) -> None:
    assert grade("essay_answer", text).score == score
    assert grade("strict", text).score == score


def test_essay_answer_compares_text_so_that_commas_matter() -> None:
    assert grade("strict", "<answer>2125</answer>", "2,125").score == 0
    assert grade("numeric", "<answer>2125</answer>", "2,125").score == 1


@pytest.mark.parametrize(
    ("text", "score", "parts"),
    [
        (GOOD, 3, {"format": 1, "answer": 1}),
        ("<answer>18</answer>", 2, {"format": 0, "answer": 1}),
        (GOOD.replace("18", "17"), 1, {"format": 1, "answer": 0}),
        ("18", 0, {"format": 0, "answer": 0}),
    ],
)
def test_essay_is_one_for_the_format_and_two_for_the_answer(
    text: str, score: int, parts: dict[str, int]
) -> None:
    feedback = grade("essay", text)
    assert feedback.score == score
    assert feedback.parts == parts


@pytest.mark.parametrize(
    ("text", "reference", "score"),
    [
        ("<answer>0.5</answer>", "1/2", 1),
        ("<answer>$18.00</answer>", "18", 1),
        ("<answer>18 dollars</answer>", "18", 1),
        ("The answer is 18.", "#### 18", 1),
        (r"\boxed{18}", "18", 1),
        ("<answer>18.01</answer>", "18", 0),
        ("<answer>two</answer>", "2", 0),
    ],
)
def test_numeric(text: str, reference: str, score: int) -> None:
    assert grade("numeric", text, reference).score == score


@pytest.mark.parametrize(
    ("text", "reference", "score"),
    [
        ("<answer>0.5</answer>", "1/2", 1),
        (r"<answer>\frac{1}{2}</answer>", "0.5", 1),
        ("<answer>$18.00</answer>", "18", 1),
        ("<answer>1 + x^2</answer>", "x^2 + 1", 1),
        ("<answer>x^2 + 2</answer>", "x^2 + 1", 0),
        (r"so we get \boxed{x^2+1}", "$x^2 + 1$", 1),
        ("<answer>(1, 2)</answer>", "(1,2)", 1),
        ("<answer>(2, 1)</answer>", "(1,2)", 0),
        ("<answer></answer>", "18", 0),
        ("no idea", "18", 0),
    ],
)
def test_math(text: str, reference: str, score: int) -> None:
    assert grade("math", text, reference) == Feedback(score=score)


def test_math_works_in_other_threads() -> None:
    found: list[Feedback] = []
    thread = threading.Thread(target=lambda: found.append(grade("math", "<answer>0.5</answer>", "1/2")))
    thread.start()
    thread.join()
    assert found == [Feedback(score=1.0)]


@pytest.mark.parametrize("name", ["essay_answer", "numeric", "math"])
def test_without_a_reference_there_is_no_verdict(name: str) -> None:
    feedback = grade(name, GOOD, None)
    assert feedback.score is None
    assert feedback.error is not None and "no reference" in feedback.error


@pytest.mark.parametrize("name", ["numeric", "math"])
def test_a_reference_that_cannot_be_read_is_an_error_not_a_zero(name: str) -> None:
    feedback = grade(name, GOOD, "blue whale" if name == "numeric" else "")
    assert feedback.score is None
    assert feedback.error is not None and "reference" in feedback.error


def test_random_repeats_itself_and_is_fair() -> None:
    groups = [
        Group(
            task=Task(id=str(i), messages=({"role": "user", "content": "?"},)),
            rollouts=(recorded("same"), recorded("same"), recorded("other")),
        )
        for i in range(1000)
    ]
    scores = [[one.score for one in graders.Random().grade(group)] for group in groups]
    assert scores == [[one.score for one in graders.Random().grade(group)] for group in groups]
    assert scores != [[one.score for one in graders.Random(seed=1).grade(group)] for group in groups]
    ones = sum(score for row in scores for score in row if score is not None)
    assert 1500 - 4 * 27.4 < ones < 1500 + 4 * 27.4  # 3,000 fair coins: standard deviation 27.4


def test_gym_needs_a_task_of_gym() -> None:
    feedback = grade("gym", GOOD)
    assert feedback.score is None
    assert feedback.error is not None and "gym" in feedback.error


def test_gym_scores_with_the_library_verifier() -> None:
    pytest.importorskip("reasoning_gym")
    info = {"gym": "chain_sum", "entry": {"question": "1 + 2 =", "answer": "3", "metadata": {}}}
    assert grade("gym", "<answer>3</answer>", "3", info).score == 1
    assert grade("gym", "3", "3", info).score == 0
    assert grade("gym", "<answer>4</answer>", "3", info).score == 0


def test_gym_tells_an_unreadable_answer_from_a_broken_verifier() -> None:
    pytest.importorskip("reasoning_gym")
    good = {"question": "12?", "answer": "2 × 2 × 3", "metadata": {"number": 12, "factors": [2, 2, 3]}}
    unreadable = grade(
        "gym", "<answer>blue</answer>", "2 × 2 × 3", {"gym": "prime_factorization", "entry": good}
    )
    assert unreadable.score == 0
    assert "ValueError" in unreadable.note
    broken = grade("gym", "<answer>blue</answer>", "2 × 2 × 3", {"gym": "prime_factorization", "entry": {}})
    assert broken.score is None
    assert broken.error is not None and "KeyError" in broken.error


def test_every_built_in_grader_judges_a_group() -> None:
    group = Group(task=task(), rollouts=(recorded(GOOD), recorded("")))
    for name in GRADERS:
        assert len(build_grader(name).grade(group)) == 2
