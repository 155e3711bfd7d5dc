from fractions import Fraction
from itertools import combinations, product
from math import comb

import numpy as np
import pytest

from goalward.evaluation.statistics import (
    bootstrap,
    calibration,
    maj_at_k,
    majority,
    paired_difference,
    paired_exact,
    pass_at_k,
    vote_share,
)


def test_bootstrap_of_half_right_agrees_with_the_normal_approximation():
    interval = bootstrap(np.array([1.0] * 500 + [0.0] * 500))
    # sqrt(.5 * .5 / 1000) = 0.01581; 1.96 of these are 0.0310.
    assert interval.mean == 0.5
    assert interval.low == pytest.approx(0.5 - 0.0310, abs=0.002)
    assert interval.high == pytest.approx(0.5 + 0.0310, abs=0.002)


def test_bootstrap_covers_the_truth_in_about_95_of_100_samples():
    generator = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        interval = bootstrap(generator.random(200) < 0.3, resamples=1000)
        covered += interval.low <= 0.3 <= interval.high
    assert 0.91 <= covered / 300 <= 0.98


def test_bootstrap_of_many_distinct_values_runs_in_chunks_and_agrees_with_theory():
    values = np.linspace(0, 1, 3001)
    interval = bootstrap(values, resamples=3000)
    # The deviation of a uniform variable is sqrt(1/12) = 0.2887; over sqrt(3001), times 1.96: 0.01033.
    assert interval.high - interval.mean == pytest.approx(0.01033, rel=0.08)
    assert interval.mean - interval.low == pytest.approx(0.01033, rel=0.08)


def test_bootstrap_is_the_same_each_time_and_another_with_another_seed():
    values = np.random.default_rng(0).random(50)
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values) != bootstrap(values, seed=1)


@pytest.mark.parametrize("values", [[0.25], [1.0] * 40, [0.0] * 3])
def test_bootstrap_of_equal_values_has_no_width(values):
    interval = bootstrap(values)
    assert (interval.low, interval.mean, interval.high) == (values[0],) * 3


def test_bootstrap_refuses_nothing_and_matrices():
    with pytest.raises(ValueError, match="n >= 1"):
        bootstrap([])
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        bootstrap(np.zeros((2, 2)))


def test_pass_at_k_is_the_share_of_subsets_with_a_right_attempt():
    for n in range(1, 8):
        for c in range(n + 1):
            attempts = [True] * c + [False] * (n - c)
            for k in range(1, n + 1):
                subsets = list(combinations(attempts, k))
                expected = sum(any(subset) for subset in subsets) / len(subsets)
                assert pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_takes_many_questions_and_large_numbers():
    found = pass_at_k([4, 4, 2000], [0, 4, 1], 4)
    # One right attempt of 2,000 is among 4 drawn in 4/2000 of the draws.
    assert found == pytest.approx([0.0, 1.0, 0.002], abs=1e-12)
    exact = 1 - Fraction(comb(1990, 1000), comb(2000, 1000))
    assert pass_at_k(2000, 10, 1000) == pytest.approx(float(exact), abs=1e-12)


def test_pass_at_k_refuses_too_few_attempts_and_impossible_counts():
    with pytest.raises(ValueError, match="pass@4 needs at least 4"):
        pass_at_k([4, 3], [1, 1], 4)
    with pytest.raises(ValueError, match="more attempts are correct"):
        pass_at_k(4, 5, 2)


def test_majority_is_none_without_votes_and_in_a_tie():
    assert majority(["7", "8", "7"]) == "7"
    assert majority([None, None, "8"]) == "8"
    assert majority(["7", "8"]) is None
    assert majority([None]) is None
    assert majority([]) is None


def test_maj_at_k_by_hand():
    answers, correct = ["7", "8", "7", "9"], [True, False, True, False]
    assert maj_at_k(answers, correct, 4) == 1.0  # 7 has two votes of four
    assert maj_at_k(answers, correct, 2) == 0.5  # {7, 8} tie: 1/2; {7, 9} tie: 1/2
    assert maj_at_k(answers, correct, 1) == 0.5  # the mean
    assert maj_at_k(answers, correct, 3) == 1.0  # one block of three: 7, 8, 7
    assert maj_at_k([None, None], [False, False], 2) == 0.0
    # A strict grader takes one of the two sevens only.
    assert maj_at_k(["7", "7", "8"], [True, False, False], 3) == 0.5
    with pytest.raises(ValueError, match="maj@5"):
        maj_at_k(answers, correct, 5)


def test_vote_share_by_hand():
    assert vote_share(["7", "8", "7", None]) == 0.5
    assert vote_share([None, None]) == 0.0


def test_calibration_by_hand():
    # Two votes of four in ten, of which one is right; three of nine in ten, all right.
    found = calibration([0.4, 0.4, 0.9, 0.9, 0.9], [1, 0, 1, 1, 1])
    assert [(each.count, each.share, each.right) for each in found.bins] == [
        (2, pytest.approx(0.4), 0.5),
        (3, pytest.approx(0.9), 1.0),
    ]
    assert found.error.mean == pytest.approx((2 * 0.1 + 3 * 0.1) / 5)
    assert found.error.low <= found.error.mean <= found.error.high
    # 0 and 1 are in the first and the last bin, and a bin holds its upper edge.
    assert [each.count for each in calibration([0.0, 0.1, 0.11, 1.0], [0, 0, 0, 1]).bins] == [2, 1, 1]


def test_a_vote_as_clear_as_it_is_right_is_calibrated_and_a_sure_one_that_is_not_is_not():
    generator = np.random.default_rng(5)
    shares = generator.integers(1, 9, 4000) / 8
    right = generator.random(4000) < shares
    assert calibration(shares, right).error.high < 0.04
    sure = calibration(np.ones(4000), right)
    assert sure.error.mean == pytest.approx(1 - right.mean())
    assert sure.error.low > 0.4


def test_calibration_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="n >= 1"):
        calibration([], [])
    with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
        calibration([0.5, 0.5], [1])


def test_paired_exact_by_hand():
    a = np.array([0, 0, 0, 0, 0, 1, 1, 0], dtype=bool)
    b = np.array([1, 1, 1, 1, 1, 0, 1, 0], dtype=bool)
    test = paired_exact(a, b)
    # 5 fixed, 1 broken: 2 * (C(6,0) + C(6,1)) / 2**6 = 14/64.
    assert (test.fixed, test.broken, test.p) == (5, 1, 14 / 64)
    assert paired_exact(b, a).p == test.p
    assert paired_exact(a, a).p == 1.0


def test_paired_exact_at_the_size_of_gsm8k_and_beyond():
    # The published answers: 626 and 718 right; say 150 fixed and 58 broken.
    a = np.array([False] * 150 + [True] * 58 + [True] * 568 + [False] * 543)
    b = np.array([True] * 150 + [False] * 58 + [True] * 568 + [False] * 543)
    expected = 2 * sum(Fraction(comb(208, i), 2**208) for i in range(59))
    assert paired_exact(a, b).p == pytest.approx(float(expected), rel=1e-12)
    many = np.arange(6000) % 2 == 0
    assert paired_exact(many, ~many).p == 1.0
    assert paired_exact(np.zeros(6000, dtype=bool), np.ones(6000, dtype=bool)).p == 0.0  # 2 ** -5999
    with pytest.raises(ValueError, match="same questions"):
        paired_exact(a, many)


def test_paired_exact_of_several_attempts_is_the_share_of_all_signs():
    generator = np.random.default_rng(3)
    for attempts in (1, 3):
        first, second = generator.random((2, 9, attempts)) < np.array([0.4, 0.6])[:, None, None]
        differences = second.sum(axis=1) - first.sum(axis=1)
        sums = [
            abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
            for signs in product((1, -1), repeat=9)
        ]
        expected = sum(each >= abs(differences.sum()) for each in sums) / 2**9
        assert paired_exact(first, second).p == pytest.approx(expected, abs=1e-12)


def test_attempts_at_one_question_are_one_observation_and_not_many():
    # Three seeds that agree on every question say no more than one of them.
    a = np.array([0, 0, 0, 0, 0, 1, 1, 0], dtype=bool)
    b = np.array([1, 1, 1, 1, 1, 0, 1, 0], dtype=bool)
    thrice = paired_exact(np.stack([a] * 3, axis=1), np.stack([b] * 3, axis=1))
    assert (thrice.fixed, thrice.broken) == (15, 3)
    assert thrice.p == paired_exact(a, b).p == 14 / 64
    once, many = paired_difference(a, b), paired_difference(np.stack([a] * 3, 1), np.stack([b] * 3, 1))
    assert once == many


def test_paired_difference_is_second_minus_first_and_uses_the_pairing():
    a = np.random.default_rng(0).random(400) < 0.5
    b = a.copy()
    b[np.flatnonzero(~a)[:40]] = True
    interval = paired_difference(a, b)
    assert interval.mean == pytest.approx(0.1)
    # 40 of 400 differ, all one way: sqrt(.1 * .9 / 400) = 0.015; unpaired it would be 0.035.
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.015, rel=0.1)
