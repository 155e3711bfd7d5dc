import numpy as np
import pytest

from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.feedback.reliability import ReliabilityVote, dawid_skene
from goalward.types import Group, Task


def world(shares: list[float], questions: int, seed: int = 0) -> tuple[list[list[int | None]], list[int]]:
    """Answers 0 to 20 of sources that are right so often, renumbered in order of appearance; the truth's number."""
    random = np.random.default_rng(seed)
    rows, truths = [], []
    for _ in range(questions):
        raw = [0 if random.random() < share else int(random.integers(1, 21)) for share in shares]
        order = list(dict.fromkeys(raw))
        rows.append([order.index(value) for value in raw])
        truths.append(order.index(0) if 0 in order else -1)
    return rows, truths  # type: ignore[return-value]


def test_it_finds_out_who_is_reliable():
    shares = [0.2, 0.4, 0.5, 0.8]
    rows, truths = world(shares, 3000)
    found = dawid_skene(rows)
    assert found.sources == pytest.approx(shares, abs=0.03)
    weighted = np.mean([int(np.argmax(p)) == t for p, t in zip(found.posterior, truths, strict=True)])
    best = np.mean([row[3] == t for row, t in zip(rows, truths, strict=True)])
    assert weighted > best > 0.77


def test_by_hand():
    # Two sources, at a reliability of 1/2 each, say the same: evidence 1/4 for it against (1/40)^2 x 19/20 x 20.
    found = dawid_skene([[0, 0]], rounds=1)
    same, none = 1 / 20 * 0.25, 19 / 20 / 1600
    assert found.posterior[0] == pytest.approx([same / (same + none)])
    assert found.sources == pytest.approx([(1 + same / (same + none)) / 3] * 2)


def test_no_answer_is_no_evidence_and_not_right():
    found = dawid_skene([[0, 0, None]] * 50)
    assert found.sources[2] < 0.05 < 0.9 < found.sources[0]
    assert dawid_skene([[None, None]]).posterior[0].shape == (0,)


@pytest.mark.parametrize("rows", [[], [[]], [[0, 0], [0]]])
def test_sources_must_be_the_same(rows):
    with pytest.raises(ValueError, match="same sources"):
        dawid_skene(rows)


def test_the_grader_scores_the_belief_in_each_answer():
    task = Task(id="t", messages=({"role": "user", "content": "?"},))
    groups = [
        Group(task=task, rollouts=tuple(map(recorded, texts)))
        for texts in [("1", "1.0", "2"), ("3", "3", "4"), ("5", "6", "5"), ("7", "7", "who knows")]
    ]
    judged = ReliabilityVote(equal=build_grader("numeric")).grade_all(groups)
    first, second, third = judged[0]
    assert first.score == second.score and first.score > 0.9 > 0.1 > third.score  # type: ignore[operator]
    assert judged[3][2].score is None
