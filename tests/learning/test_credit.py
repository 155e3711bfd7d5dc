import numpy as np
import pytest

from goalward.learning.credit import group_mean, leave_one_out, soft_overlong, token_weights

NAN = float("nan")


def test_group_mean_by_hand():
    # mean 0.25; deviations .75, -.25 x 3; sample variance (.5625 + 3 * .0625) / 3 = .25, deviation .5
    advantages = group_mean(np.array([1.0, 0, 0, 0]), scale=True, epsilon=0)
    assert advantages == pytest.approx([1.5, -0.5, -0.5, -0.5])
    assert group_mean(np.array([1.0, 0, 0, 0]), scale=False) == pytest.approx([0.75, -0.25, -0.25, -0.25])


def test_a_group_without_spread_gets_exactly_nothing():
    # 0.1 three times has a mean that is not exactly 0.1, which a tiny epsilon would blow up.
    assert not group_mean(np.array([0.1, 0.1, 0.1]), scale=True, epsilon=1e-30).any()


def test_no_verdict_neither_gets_credit_nor_moves_the_baseline():
    advantages = group_mean(np.array([1.0, NAN, 0.0]), scale=False)
    assert advantages == pytest.approx([0.5, 0, -0.5])
    assert not group_mean(np.array([1.0, NAN]), scale=True).any()


def test_leave_one_out_by_hand():
    # 3 - mean(0, 0) = 3; 0 - mean(3, 0) = -1.5
    assert leave_one_out(np.array([3.0, 0, 0])) == pytest.approx([3, -1.5, -1.5])
    # The attempt without a verdict is not one of the others.
    assert leave_one_out(np.array([3.0, NAN, 0])) == pytest.approx([3, 0, -3])


def test_soft_overlong():
    assert [soft_overlong(n, limit=10, buffer=4) for n in (1, 6, 8, 10, 12)] == [0, 0, -0.5, -1, -1]


@pytest.mark.parametrize(
    ("normalise", "expected"),
    [
        ("sequence", [1 / 6, 1 / 2]),  # 2 sequences of 3 and 1 tokens
        ("token", [1 / 4, 1 / 4]),
        ("constant", [1 / 20, 1 / 20]),
        ("sum", [1 / 2, 1 / 2]),
    ],
)
def test_token_weights(normalise, expected):
    assert token_weights([3, 1], normalise, limit=10) == pytest.approx(expected)
