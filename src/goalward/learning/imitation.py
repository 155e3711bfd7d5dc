"""Learning by imitation: SFT, and rejection sampling, which is SFT on one's own successes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import Tensor

from goalward.learning.algorithm import Source, TokenBatch
from goalward.learning.credit import token_weights
from goalward.types import Example, Group, Rollout


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
    """Imitate one's own attempts that score at least `threshold` (expert iteration, RFT: arXiv:2308.01825)."""

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
            rollout.completion.tobytes(): rollout
            for rollout, feedback in zip(group.rollouts, group.feedback, strict=True)
            if feedback.score is not None and feedback.score >= self.threshold
        }
        return list(passed.values())
