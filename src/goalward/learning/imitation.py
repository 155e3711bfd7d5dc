"""Learning by imitation: SFT, SFT on successes, and SFT weighted by reward."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from goalward.learning.algorithm import Source, TokenBatch
from goalward.learning.credit import Scores, group_mean, token_weights
from goalward.types import Example, FloatArray, Group, Rollout


def imitate(rollouts: Sequence[Rollout]) -> list[Example]:
    """Give every token of every rollout the same share and full credit."""
    weights = token_weights([rollout.completion.size for rollout in rollouts], "token", limit=0)
    return [
        Example(
            rollout=rollout,
            advantage=np.ones(rollout.completion.size, np.float32),
            weight=np.full(rollout.completion.size, weight, np.float32),
        )
        for rollout, weight in zip(rollouts, weights, strict=True)
    ]


def log_likelihood_loss(batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative log-likelihood per token, weighted."""
    return -(batch.weight * batch.advantage * batch.logprobs).sum(), {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SFT:
    """Supervised fine-tuning: imitate recorded demonstrations, on completion tokens only."""

    source: ClassVar[Source] = "demonstrations"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1

    def useful(self, group: Group) -> bool:
        """Every demonstration counts."""
        return True

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """Full credit for whatever was recorded; nobody judges it."""
        return imitate([rollout for group in groups for rollout in group.rollouts])

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy."""
        return log_likelihood_loss(batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionSampling:
    """Imitate the attempts that score at least `threshold` (expert iteration, RFT: arXiv:2308.01825).

    On a log this is filtered imitation.
    """

    threshold: float = 1.0
    source: ClassVar[Source] = "attempts"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1

    def useful(self, group: Group) -> bool:
        """Some attempt passed."""
        return bool(self._passed(group))

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """Full credit for what passed, once for each distinct text; none for the rest."""
        return imitate([rollout for group in groups for rollout in self._passed(group)])

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy."""
        return log_likelihood_loss(batch)

    def _passed(self, group: Group) -> list[Rollout]:
        passed = {
            (rollout.prompt.tobytes(), rollout.completion.tobytes()): rollout
            for rollout, feedback in zip(group.rollouts, group.feedback, strict=True)
            if feedback.score is not None and feedback.score >= self.threshold
        }
        return list(passed.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertIteration(SFT):
    """Imitate what a search has proved: of each goal its tactic, and with weight `value` how many are left.

    Expert iteration (arXiv:1705.08439) in AlphaProof's form. A group's first rollout says the value, and is learned
    from by its token alone; the others are tactics. Every goal counts the same.
    """

    value: float = 0.1

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """Full credit; nobody judges it."""
        return [
            Example(
                rollout=rollout,
                advantage=np.ones(rollout.completion.size, np.float32),
                weight=_said_value(rollout, self.value / len(groups))
                if place == 0
                else np.full(rollout.completion.size, 1 / len(groups), np.float32),
            )
            for group in groups
            for place, rollout in enumerate(group.rollouts)
        ]


def _said_value(rollout: Rollout, weight: float) -> FloatArray:
    """All the weight on what stands between the word "value" and the end."""
    weights = np.full(rollout.completion.size, weight, np.float32)
    weights[[0, -1]] = 0
    return weights


WEIGHTED: dict[str, dict[str, object]] = {"rwr": {"baseline": "none"}, "awr": {"baseline": "group_mean"}}
"""RWR: Peters & Schaal 2007; AWR: arXiv:1910.00177, with the mean of a task's attempts as the value."""


def exponential_weights(advantage: Scores, temperature: float, largest: float) -> Scores:
    """exp(advantage / temperature), [n], at most `largest`: the exponent is clamped, so nothing overflows."""
    return np.asarray(np.exp(np.minimum(advantage / temperature, np.log(largest))))


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedImitation:
    """Imitate every attempt, the better the more: weight exp((score - baseline) / temperature).

    A weight is at most `largest`; a step's weights are divided by their mean, so that the learning rate
    means the same as in SFT. Being an imitation, it never does better than the best that was recorded.
    """

    baseline: Literal["none", "group_mean"] = "group_mean"
    temperature: float = 0.3
    largest: float = 20.0
    source: ClassVar[Source] = "attempts"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1

    def useful(self, group: Group) -> bool:
        """Any judged attempt is imitated, however little."""
        return any(feedback.score is not None for feedback in group.feedback)

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """The weight as the advantage; what has no verdict is left out."""
        judged: list[Rollout] = []
        advantages: list[float] = []
        for group in groups:
            scores = np.array([np.nan if f.score is None else f.score for f in group.feedback])
            values = group_mean(scores, scale=False) if self.baseline == "group_mean" else scores
            known = np.flatnonzero(~np.isnan(scores))
            judged += [group.rollouts[i] for i in known]
            advantages += values[known].tolist()
        if not judged:
            return []
        weights = exponential_weights(np.array(advantages), self.temperature, self.largest)
        weights /= weights.mean()
        return [
            replace(example, advantage=example.advantage * np.float32(weight))
            for example, weight in zip(imitate(judged), weights, strict=True)
        ]

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy, weighted."""
        return log_likelihood_loss(batch)
