"""How sure to be of a measurement: intervals, pass@k, votes and paired tests. Pure functions on NumPy arrays."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_DRAWS_AT_ONCE = 4_000_000
"""Bounds the bootstrap's memory (32 MB of counts), however many questions there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and its 95 % confidence interval."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Questions whose vote was about equally clear: how clear on average, and the share that it got right."""

    count: int
    share: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Does the share of equal answers say how likely they are right?

    error: the mean distance of share and right answers over the bins, by their counts (expected calibration error).
    Chance alone makes it greater than 0, the more so the fewer the questions.
    """

    error: Interval
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """Two models on the same questions: `fixed` only the second got right, `broken` only the first.

    p: how likely a split at least so uneven would be if both were equally good (two-sided, exact).
    """

    fixed: int
    broken: int
    p: float


def bootstrap(values: ArrayLike, *, seed: int = 0, resamples: int = 10_000) -> Interval:
    """The mean of `values` [n], one for each question, with a 95 % percentile interval over questions.

    The question is what is resampled, so several attempts at one question must be averaged first.
    Values that are all equal give an interval of no width: resampling has seen nothing else.

    Raises:
        ValueError: there are no values.

    Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"expected values of shape [n], n >= 1, found shape {array.shape}")
    # To draw n questions with replacement is to draw how often each distinct value appears; a right
    # or wrong answer has two values, so 10,000 resamples of 1,319 questions cost 20,000 numbers.
    distinct, counts = np.unique(array, return_counts=True)
    generator = np.random.default_rng(seed)
    size, share = array.size, counts / array.size
    chunk = max(1, _DRAWS_AT_ONCE // distinct.size)
    means = np.concatenate(
        [
            generator.multinomial(size, share, size=min(chunk, resamples - start)) @ distinct / size
            for start in range(0, resamples, chunk)
        ]
    )
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(low=float(low), mean=float(array.mean()), high=float(high))


def pass_at_k(attempts: ArrayLike, correct: ArrayLike, k: int) -> NDArray[np.float64]:
    """The chance that at least one of `k` attempts is right, without bias: 1 - C(n - c, k) / C(n, k).

    attempts: n, scalar or [questions]; correct: c, broadcast against it. The ratio of binomials is
    a product of k factors between 0 and 1, so nothing overflows.

    Raises:
        ValueError: a question has fewer than `k` attempts; nothing unbiased can be said then.

    Chen et al., "Evaluating Large Language Models Trained on Code", 2021.
    """
    n = np.asarray(attempts, dtype=np.float64)
    c = np.asarray(correct, dtype=np.float64)
    if k < 1 or (n < k).any():
        raise ValueError(f"pass@{k} needs at least {max(k, 1)} attempts at every question")
    if (c < 0).any() or (c > n).any():
        raise ValueError("more attempts are correct than there are")
    drawn = np.arange(k)
    wrong = np.clip((n - c)[..., None] - drawn, 0, None) / (n[..., None] - drawn)
    return np.asarray(1.0 - wrong.prod(axis=-1))


def modes(answers: Sequence[str | None]) -> tuple[str, ...]:
    """The answers given most often, in the order in which they first came. No answer (None) is no vote."""
    votes = Counter(answer for answer in answers if answer is not None)
    most = max(votes.values(), default=0)
    return tuple(answer for answer, count in votes.items() if count == most)


def majority(answers: Sequence[str | None]) -> str | None:
    """The answer given most often; None where nobody voted or where the vote is tied."""
    winners = modes(answers)
    return winners[0] if len(winners) == 1 else None


def maj_at_k(answers: Sequence[str | None], correct: Sequence[bool], k: int) -> float:
    """How often the majority of `k` attempts at one question is right, from n >= k attempts at it.

    The mean over the n // k blocks of k attempts: blocks share no attempt, so it has no bias. A tie
    gets what tossing a coin among the tied would get on average. `correct` may differ between
    attempts with the same answer (a strict grader looks at the form too): a winner earns the mean
    of those who voted for it. Nobody voting earns 0.

    Raises:
        ValueError: fewer than `k` attempts.

    Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", 2022.
    """
    if not 1 <= k <= len(answers):
        raise ValueError(f"maj@{k} needs at least {max(k, 1)} attempts, found {len(answers)}")
    return float(
        np.mean(
            [
                _vote(answers[start : start + k], correct[start : start + k])
                for start in range(0, len(answers) - k + 1, k)
            ]
        )
    )


def vote_share(answers: Sequence[str | None]) -> float:
    """The share of all attempts that gave the answer given most often; no answer votes for none."""
    votes = Counter(answer for answer in answers if answer is not None)
    return max(votes.values(), default=0) / len(answers)


def calibration(shares: ArrayLike, right: ArrayLike, *, bins: int = 10, seed: int = 0) -> Calibration:
    """Hold `shares` against `right`, both [questions]: how clear each vote was, and how right (0 to 1).

    `bins` of equal width, each with its upper edge, as Guo et al., "On Calibration of Modern Neural Networks", 2017;
    those without questions are left out. The error's interval comes from 1,000 draws of questions.

    Raises:
        ValueError: there are no questions, or the shapes differ.
    """
    clear, hit = np.asarray(shares, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if clear.ndim != 1 or clear.shape != hit.shape or not clear.size:
        raise ValueError(f"expected two rows of n >= 1 values, found shapes {clear.shape} and {hit.shape}")
    which = np.clip(np.ceil(clear * bins).astype(int) - 1, 0, bins - 1)

    def error(chosen: NDArray[np.int64]) -> float:
        apart = np.bincount(which[chosen], (clear - hit)[chosen], minlength=bins)
        return float(np.abs(apart).sum() / chosen.size)

    everyone = np.arange(clear.size)
    generator = np.random.default_rng(seed)
    drawn = [error(generator.choice(everyone, everyone.size)) for _ in range(1000)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Calibration(
        error=Interval(low=float(low), mean=error(everyone), high=float(high)),
        bins=tuple(
            Bin(
                count=int((which == each).sum()),
                share=float(clear[which == each].mean()),
                right=float(hit[which == each].mean()),
            )
            for each in np.unique(which)
        ),
    )


def _vote(answers: Sequence[str | None], correct: Sequence[bool]) -> float:
    winners = set(modes(answers))
    # Tied winners have equally many voters, so the mean over all their voters is the coin's mean.
    earned = [right for answer, right in zip(answers, correct, strict=True) if answer in winners]
    return float(np.mean(earned)) if earned else 0.0


def paired_exact(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Is `second` better or worse than `first` on the same questions?

    first, second: [n] of right or wrong; or [n, k] where each question was attempted k times (samples, seeds). Attempts
    at one question resemble each other, so the question is the unit: if both models were equally good, its difference
    (right attempts of the second minus those of the first) would be as likely with the other sign. p is the share of
    all 2**n choices of signs whose sum is at least as far from 0 as the one found. Exact in integers, at any n; with
    one attempt this is McNemar's test, and `fixed` and `broken` count questions; else they count attempts, net of
    those at the same question.

    Raises:
        ValueError: the shapes differ.

    McNemar, "Note on the sampling error of the difference between correlated proportions", 1947; Fisher, "The Design
    of Experiments", 1935, section 21.
    """
    a, b = _same_questions(first, second)
    differences = [int(d) for d in (b.sum(axis=1) - a.sum(axis=1)) if d]
    fixed, broken = sum(d for d in differences if d > 0), sum(-d for d in differences if d < 0)
    # prod (1 + x**|d|), whose coefficient of x**t says how many choices put t on the one side, as one integer at
    # x = 2**width: a coefficient, and the sum of all, is at most 2**n and fits into a place. Sides are symmetric, hence the 2.
    width, ways = len(differences) + 2, 1
    for d in differences:
        ways += ways << (width * abs(d))
    tail = ways & ((1 << (width * (min(fixed, broken) + 1))) - 1)
    extreme = tail % ((1 << width) - 1)  # the sum of the places, as a number's digits are summed by mod 9
    return PairedTest(fixed=fixed, broken=broken, p=min(1.0, 2 * extreme / 2 ** len(differences)))


def paired_difference(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> Interval:
    """How much higher the mean of `second` is than that of `first`, over the same questions.

    [n], or [n, k] for k attempts at each; the interval is over questions, as `bootstrap`'s.
    """
    a, b = _same_questions(first, second)
    return bootstrap((b - a).mean(axis=1), seed=seed)


def _same_questions(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as [n, k]."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim not in (1, 2):
        raise ValueError(f"expected the same questions twice, found shapes {a.shape} and {b.shape}")
    return a.reshape(len(a), -1), b.reshape(len(b), -1)
