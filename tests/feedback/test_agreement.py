"""A vote listens to what a verifier would call the same answer, and to nothing that knows the truth."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import goalward
from goalward.errors import UsageError
from goalward.feedback.agreement import Likelihood, ballot, elect, poll
from goalward.feedback.build import COMPARE, GRADERS, build_grader, without_labels
from goalward.feedback.grade import recorded
from goalward.types import Group, Rollout, Task

TASK = Task(id="t", messages=({"role": "user", "content": "?"},), reference="-1")


def said(*answers: str) -> tuple[Rollout, ...]:
    return tuple(recorded(answer) for answer in answers)


def scores(spec: object, group: Group) -> list[float | None]:
    return [f.score for f in build_grader(spec).grade(group)]  # type: ignore[arg-type]


def group(*answers: str, voters: tuple[str, ...] = (), contrast: tuple[str, ...] = ()) -> Group:
    return Group(task=TASK, rollouts=said(*answers), voters=said(*voters), contrast=said(*contrast))


HALVES = ("<answer>1/2</answer>", "so it is 0.5", "<answer>0.50</answer>", "<answer>3</answer>", "who knows")


@pytest.mark.parametrize(
    ("equal", "choices"),
    [
        ("numeric", (0, 0, 0, 1, None)),
        ("math", (0, 0, 0, 1, None)),
        ("strict", (0, None, 1, 2, None)),
        ("exact", (0, 1, 2, 3, 4)),
    ],
)
def test_answers_are_the_same_where_the_verifier_says_so(equal, choices):
    grader = build_grader(equal)
    found = ballot(TASK, said(*HALVES), grader)
    assert found.choices == choices
    assert len(found.answers) == len({c for c in choices if c is not None})


def test_the_winner_scores_one_and_what_is_no_answer_nothing():
    assert scores("vote", group(*HALVES)) == [1, 1, 1, 0, None]
    assert scores("soft_vote", group(*HALVES)) == [0.75, 0.75, 0.75, 0.25, None]


def test_what_was_cut_off_has_no_vote():
    cut = tuple(replace(rollout, stop="length") for rollout in said("7", "7", "7"))
    assert scores("vote", Group(task=TASK, rollouts=(*cut, *said("8", "8", "8", "9")))) == [None] * 3 + [
        1,
        1,
        1,
        0,
    ]


@pytest.mark.parametrize(
    "answers",
    [
        ("1", "2"),
        ("1", "1", "2", "2", "3"),
        ("who", "knows"),
        ("1", "1", "1"),
        ("1", "2", "3", "4", "4", "5", "6", "7"),
    ],
)
def test_ties_nobody_and_shares_outside_the_band_give_no_verdict(answers):
    assert scores("vote", group(*answers)) == [None] * len(answers)


def test_without_a_band_all_may_agree():
    assert scores({"type": "vote", "band": [0, 1]}, group("1", "1")) == [1, 1]
    with pytest.raises(UsageError, match="band"):
        build_grader({"type": "vote", "band": [0.8, 0.3]})


def test_voters_elect_where_there_are_some():
    asked = group("1", "1", "2", voters=("2", "2", "1"))
    assert scores("vote", asked) == [0, 0, 1]
    assert scores("soft_vote", asked) == pytest.approx([1 / 3, 1 / 3, 2 / 3])


def test_an_answer_that_stays_when_the_question_changes_is_struck():
    asked = group("5", "5", "5", "8", "8", "9", contrast=("5", "5", "10"))
    assert scores("vote", asked) == [0, 0, 0, 1, 1, 0]
    assert scores({"type": "vote", "strike": False}, asked) == [1, 1, 1, 0, 0, 0]
    assert poll(asked, build_grader("numeric")).heard == {0, 3}


def test_the_order_of_attempts_does_not_matter():
    answers = ["1", "2.0", "2", "3", "2", "1.0", "4/2"]
    wanted = dict(zip(answers, scores("vote", group(*answers)), strict=True))
    for seed in range(5):
        shuffled = list(np.random.default_rng(seed).permutation(answers))
        assert dict(zip(shuffled, scores("vote", group(*shuffled)), strict=True)) == wanted


def test_elections():
    assert elect([0, 1, 1, None]).winner == 1
    assert elect([0, 1, 1, None]).share == pytest.approx(2 / 3)
    assert (elect([0, 1]).winner, elect([]).winner, elect([None]).share) == (None, None, 0)


@pytest.mark.parametrize("spec", ["vote", "soft_vote", {"type": "vote", "equal": "math"}])
def test_a_label_changes_nothing(spec):
    for reference in (None, "1/2", "3", "nonsense"):
        labelled = replace(group(*HALVES), task=replace(TASK, reference=reference, info={"answer": "3"}))
        assert scores(spec, labelled) == scores(spec, group(*HALVES))


def test_likelihood_is_the_mean_of_what_was_chosen():
    rollout = replace(
        recorded("x"),
        completion=np.arange(3, dtype=np.int32),
        sampled=np.array([True, True, False]),
        logprobs=np.array([-1.0, -2.0, -9.0], np.float32),
    )
    first, second = Likelihood().grade(Group(task=TASK, rollouts=(rollout, recorded("x"))))
    assert (first.score, second.score) == (-1.5, None)


def test_who_needs_labels_is_known():
    multi = {"type": "multi", "graders": {"a": "vote", "b": "tags"}, "calculate_output": "a + b"}
    assert all(without_labels(build_grader(spec)) for spec in ("vote", "soft_vote", "likelihood", multi))
    assert not any(without_labels(build_grader(spec)) for spec in ("strict", "random", "tags"))
    unlabelled = Group(task=replace(TASK, reference=None), rollouts=said("<answer>1</answer>"))
    statement = replace(unlabelled.task, messages=({"role": "user", "content": "⊢ p → p"},))
    for name in GRADERS:  # one of them reads nothing but the question, which must then be a statement
        asked = replace(unlabelled, task=statement) if name == "proof" else unlabelled
        needs = build_grader(name).grade(asked)[0].error is not None
        assert needs == (name in COMPARE), name


def test_nothing_that_judges_by_agreement_reads_a_reference():
    room = Path(goalward.__file__).parent
    for name in (
        "feedback/agreement.py",
        "feedback/guards.py",
        "feedback/reliability.py",
        "experience/voters.py",
    ):
        tree = ast.parse((room / name).read_text(encoding="utf-8"))
        read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not read & {"reference", "demonstration", "info"}, name
