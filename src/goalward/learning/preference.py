"""Learning from preferences: of two attempts at a task, make the better one likelier and the worse one less.

Everything here is a function of S, the sum of a completion's log-probabilities (never the mean, which
would favour long bad answers), or of d = S - S_ref, its log-ratio to the reference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from goalward.learning.algorithm import Likelihood, Source, TokenBatch
from goalward.learning.credit import by_attempt
from goalward.learning.imitation import log_likelihood_loss
from goalward.types import Example, Group, Rollout

Array = NDArray[np.float64]
Objective = Literal["dpo", "ipo", "simpo", "orpo"]

FAMILY: dict[str, dict[str, object]] = {
    "dpo": {"objective": "dpo"},
    "ipo": {"objective": "ipo"},
    "simpo": {"objective": "simpo", "beta": 2.0, "gamma": 1.0},
    "orpo": {"objective": "orpo", "anchor": 1.0},
    "scpo": {"objective": "dpo", "beta": 0.5, "anchor": 1.0, "extremes": True},
}
"""DPO arXiv:2305.18290, IPO arXiv:2310.12036, SimPO arXiv:2405.14734, ORPO arXiv:2403.07691, ScPO arXiv:2411.04109."""


def log_sigmoid(x: Array) -> Array:
    """log(1 / (1 + exp(-x))) without overflow, of any shape."""
    return np.asarray(-np.logaddexp(0.0, -x))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow, of any shape."""
    return np.asarray(np.exp(log_sigmoid(x)))


def logistic(margin: Array, beta: float, gamma: float = 0.0) -> tuple[Array, Array]:
    """-log sigmoid(beta * margin - gamma), and its slope in the margin; both of the margin's shape.

    With the margin d_chosen - d_rejected and gamma 0 this is DPO.
    """
    inner = beta * margin - gamma
    return -log_sigmoid(inner), -beta * sigmoid(-inner)


def squared(margin: Array, beta: float) -> tuple[Array, Array]:
    """(margin - 1 / (2 beta))^2 and its slope (IPO, arXiv:2310.12036, eq. 17): it has a finite target."""
    excess = margin - 1 / (2 * beta)
    return excess**2, 2 * excess


def log_odds(mean: Array) -> tuple[Array, Array]:
    """log(p / (1 - p)) of p = exp(mean), mean < 0, and its slope in `mean`: 1 / (1 - p) (ORPO)."""
    rest = -np.expm1(np.minimum(mean, -1e-6))
    return mean - np.log(rest), 1 / rest


def kahneman_tversky(
    ratio: Array, desirable: NDArray[np.bool_], beta: float, zero: float
) -> tuple[Array, Array]:
    """KTO's value function as a loss (arXiv:2402.01306, eq. 8), and its slope in the log-ratio; all [n].

    1 - sigmoid(beta (d - zero)) for what is desirable, 1 - sigmoid(beta (zero - d)) for the rest: both
    are flat far from `zero`, the reference point.
    """
    sign = np.where(desirable, 1.0, -1.0)
    value = sigmoid(beta * sign * (ratio - zero))
    return 1 - value, -beta * sign * value * (1 - value)


def pairs(group: Group) -> list[tuple[int, int]]:
    """Pairs (better, worse) of a judged group: the best with the worst, the second best with the second worst...

    Each attempt stands in one pair at most, and ties and attempts without a verdict in none. Among equals
    the earlier attempt counts as the better.
    """
    judged = [(f.score, -i) for i, f in enumerate(group.feedback) if f.score is not None]
    order = [(score, -place) for score, place in sorted(judged, reverse=True)]
    met = zip(order[: len(order) // 2], reversed(order), strict=False)
    return [(better, worse) for (high, better), (low, worse) in met if high > low]


def _gap(group: Group, better: int, worse: int) -> float:
    high, low = group.feedback[better].score, group.feedback[worse].score
    assert high is not None and low is not None  # `pairs` takes no others
    return high - low


def pair_examples(chosen: Sequence[tuple[Rollout, Rollout, float]]) -> list[Example]:
    """Examples in twos, the better and then the worse, from (better, worse, weight).

    A sampled token's weight is its pair's over the number of pairs, so that the loss is a mean.
    """
    return [
        Example(
            rollout=rollout,
            advantage=np.full(rollout.completion.size, sign, np.float32),
            weight=np.where(rollout.sampled, weight / len(chosen), 0).astype(np.float32),
        )
        for better, worse, weight in chosen
        for rollout, sign in ((better, 1.0), (worse, -1.0))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """DPO and its family, on pairs made from the attempts at one task (a Relative algorithm).

    beta: how sharply a margin counts; dpo and ipo: the KL penalty's weight; orpo: the weight of the odds.
    gamma: the margin that simpo asks for.
    anchor: weight of the better attempt's negative log-likelihood per token, which keeps the loss from
    being lowered by making both unlikely.
    extremes: of each task the best attempt and the worst one only, weighted by how far apart they scored; on the
    votes' shares (`soft_vote`) that is ScPO.
    """

    objective: Objective = "dpo"
    beta: float = 0.1
    gamma: float = 0.0
    anchor: float = 0.0
    extremes: bool = False
    source: ClassVar[Source] = "attempts"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1
    needs_divergence: ClassVar[bool] = False

    @property
    def weighs_reference(self) -> bool:
        """SimPO and ORPO do without."""
        return self.objective in ("dpo", "ipo")

    def useful(self, group: Group) -> bool:
        """Some attempt is better than another."""
        return bool(pairs(group))

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """The pairs of every group, each with the same weight, or the extremes with that of their distance."""
        return pair_examples(
            [
                (group.rollouts[i], group.rollouts[j], _gap(group, i, j) if self.extremes else 1.0)
                for group in groups
                for i, j in pairs(group)[: 1 if self.extremes else None]
            ]
        )

    def weigh(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood]
    ) -> tuple[list[Example], dict[str, float]]:
        """The slope of each pair's loss in the log-probabilities of its two sequences."""
        sums = np.array([_sum(each.policy) for each in likelihoods]).reshape(-1, 2)
        if self.weighs_reference:
            sums -= np.array([_sum(each.reference) for each in likelihoods]).reshape(-1, 2)
        lengths = np.array([np.count_nonzero(e.weight) for e in examples], float).reshape(-1, 2)
        share = np.array([e.weight.max() for e in examples], float).reshape(-1, 2)[:, 0]
        loss, slope, margin = self._pair_loss(sums, lengths)
        nll = -np.array([_sum(each.policy) for each in likelihoods[::2]]) / lengths[:, 0]
        slope[:, 0] -= self.anchor / lengths[:, 0]
        return by_attempt(examples, -slope.ravel()), {
            "loss": float(share @ (loss + self.anchor * nll)),
            "margin": float(margin.mean()),
            "preferred_share": float((margin > 0).mean()),
        }

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The log-likelihood, weighted by the slopes."""
        return log_likelihood_loss(batch)

    def _pair_loss(self, sums: Array, lengths: Array) -> tuple[Array, Array, Array]:
        """Loss [pairs], slope in the two sums [pairs, 2] and margin [pairs] of sums and lengths [pairs, 2]."""
        both = np.array([1.0, -1.0])
        if self.objective in ("dpo", "ipo"):
            margin = sums @ both
            shape: Callable[[Array, float], tuple[Array, Array]] = (
                logistic if self.objective == "dpo" else squared
            )
            loss, slope = shape(margin, self.beta)
            return loss, slope[:, None] * both, margin
        if self.objective == "simpo":
            margin = (sums / lengths) @ both
            loss, slope = logistic(margin, self.beta, self.gamma)
            return loss, slope[:, None] * both / lengths, margin
        odds, steep = log_odds(sums / lengths)
        margin = odds @ both
        loss, slope = logistic(margin, 1.0)
        return self.beta * loss, self.beta * slope[:, None] * both * steep / lengths, margin


@dataclass(frozen=True, slots=True, kw_only=True)
class KTO:
    """Learn from single judgements, good or bad, without pairs (arXiv:2402.01306; a Relative algorithm).

    An attempt is desirable if it scores at least `threshold`. `good` and `bad` weigh the two kinds. The
    reference point is the step's mean log-ratio, at least 0; the paper takes it from mismatched pairs.
    """

    beta: float = 0.1
    threshold: float = 1.0
    good: float = 1.0
    bad: float = 1.0
    source: ClassVar[Source] = "attempts"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1
    needs_divergence: ClassVar[bool] = False
    weighs_reference: ClassVar[bool] = True

    def useful(self, group: Group) -> bool:
        """Any judgement teaches."""
        return any(feedback.score is not None for feedback in group.feedback)

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """Advantage +1 for what is desirable and -1 for the rest; what has no verdict is left out."""
        judged = [
            (rollout, 1.0 if feedback.score >= self.threshold else -1.0)
            for group in groups
            for rollout, feedback in zip(group.rollouts, group.feedback, strict=True)
            if feedback.score is not None
        ]
        return [
            Example(
                rollout=rollout,
                advantage=np.full(rollout.completion.size, sign, np.float32),
                weight=np.where(
                    rollout.sampled, (self.good if sign > 0 else self.bad) / len(judged), 0
                ).astype(np.float32),
            )
            for rollout, sign in judged
        ]

    def weigh(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood]
    ) -> tuple[list[Example], dict[str, float]]:
        """The slope of the value function in each attempt's log-ratio."""
        ratio = log_ratios(likelihoods)
        zero = max(float(ratio.mean()), 0.0)
        desirable = np.array([example.advantage[0] > 0 for example in examples])
        loss, slope = kahneman_tversky(ratio, desirable, self.beta, zero)
        share = np.array([example.weight.max() for example in examples])
        return by_attempt(examples, -slope), {"loss": float(share @ loss), "reference_point": zero}

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The log-likelihood, weighted by the slopes."""
        return log_likelihood_loss(batch)


def log_ratios(likelihoods: Sequence[Likelihood]) -> Array:
    """D = log pi(y) - log pi_ref(y) of each example, [n]."""
    return np.array([_sum(each.policy) - _sum(each.reference) for each in likelihoods])


def _sum(logprobs: NDArray[np.float32] | None) -> float:
    assert logprobs is not None  # the learner gives what `weighs_reference` asks for
    return float(logprobs.sum(dtype=np.float64))
