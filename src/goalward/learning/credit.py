"""Feedback to credit: pure functions of NumPy arrays.

Scores are [G] floats, NaN where there is no verdict; such an attempt gets no credit and no say in
the others' baseline.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from goalward.types import Example, FloatArray

Scores = NDArray[np.float64]
Normalise = Literal["sequence", "token", "constant", "sum"]


def group_mean(scores: Scores, *, scale: bool, epsilon: float = 1e-4) -> Scores:
    """Score minus the group's mean, over its standard deviation if `scale` (GRPO, arXiv:2402.03300).

    scores [G] -> advantages [G]. The deviation is the sample's (G - 1). Without `scale` this is
    Dr.GRPO (arXiv:2503.20783), which does not favour the groups that are nearly unanimous.
    """
    judged = scores[~np.isnan(scores)]
    if judged.size < 2 or judged.min() == judged.max():
        return np.zeros_like(scores)
    advantages: Scores = np.nan_to_num(scores - judged.mean())
    return advantages / float(judged.std(ddof=1) + epsilon) if scale else advantages


def leave_one_out(scores: Scores) -> Scores:
    """Score minus the mean of the *other* attempts (RLOO, arXiv:2402.14740).

    scores [G] -> advantages [G]; equal to (score - mean) * G / (G - 1).
    """
    judged = int(np.count_nonzero(~np.isnan(scores)))
    return group_mean(scores, scale=False) * (judged / max(judged - 1, 1))


def soft_overlong(length: int, *, limit: int, buffer: int) -> float:
    """DAPO's length penalty (arXiv:2503.14476, eq. 13): 0 up to limit - buffer, then down to -1 at limit."""
    excess = length - (limit - buffer)
    return -min(max(excess / buffer, 0.0), 1.0)


def token_weights(lengths: Sequence[int], normalise: Normalise, limit: int) -> list[float]:
    """Each token's share in the loss, one number for each sequence of `lengths` learned tokens.

    sequence: mean over a sequence, then over sequences (GRPO); token: mean over all tokens (DAPO);
    constant: sum over `limit`, then mean over sequences (Dr.GRPO); sum: sum, then mean (RLOO).
    """
    count, total = len(lengths), sum(lengths)
    if normalise == "sequence":
        return [1 / (count * max(length, 1)) for length in lengths]
    if normalise == "token":
        return [1 / max(total, 1)] * count
    return [1 / (count * (limit if normalise == "constant" else 1))] * count


def by_attempt(examples: Sequence[Example], advantage: Scores) -> list[Example]:
    """The examples with one advantage, [n], for all tokens of each."""
    return [
        replace(example, advantage=np.full(example.weight.shape, value, np.float32))
        for example, value in zip(examples, advantage.tolist(), strict=True)
    ]


def to_go(values: FloatArray) -> Scores:
    """Sums from each place to the end, [C] -> [C]."""
    return np.asarray(np.cumsum(values[::-1], dtype=np.float64)[::-1])
