"""GRPO and its family: one class, and a table that shows what each named member changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from goalward.learning import objectives
from goalward.learning.algorithm import Source, TokenBatch
from goalward.learning.credit import (
    Normalise,
    Scores,
    group_mean,
    leave_one_out,
    soft_overlong,
    token_weights,
)
from goalward.types import Example, Group

FAMILY: dict[str, dict[str, object]] = {
    "grpo": {},
    "dr_grpo": {"scale": False, "normalise": "constant"},
    "rloo": {"baseline": "leave_one_out", "scale": False, "normalise": "sum", "kl_in": "reward"},
    "dapo": {"normalise": "token", "clip_high": 0.28, "rounds": 4},
}
"""GRPO arXiv:2402.03300, Dr.GRPO arXiv:2503.20783, RLOO arXiv:2402.14740, DAPO arXiv:2503.14476."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGradient:
    """Make the tokens of better-than-usual attempts likelier, and of worse ones less likely.

    baseline, scale: what an attempt's score is compared with (see `credit`).
    normalise: what the loss is a mean over (see `credit.token_weights`).
    clip_low, clip_high: how far a token's ratio to the old policy may move before its gradient is cut.
    beta, kl_in: weight of the KL to the reference, and whether it stands in the loss or in the reward.
    rounds: over 1 is DAPO's dynamic sampling: groups without spread are sampled anew, so often in all.
    overlong_buffer: tokens before the limit from which DAPO's length penalty grows to -1; 0 for none.
    mask_truncated: learn nothing from attempts cut off at the limit.
    importance_cap: upper bound of the weight that corrects a gap to the sampler's probabilities; 0 is off.
    max_tokens: the longest completion; the recipe fills it in from its sampling settings.
    """

    baseline: Literal["group_mean", "leave_one_out"] = "group_mean"
    scale: bool = True
    normalise: Normalise = "sequence"
    clip_low: float = 0.2
    clip_high: float = 0.2
    beta: float = 0.0
    kl_in: Literal["loss", "reward"] = "loss"
    rounds: int = 1
    overlong_buffer: int = 0
    mask_truncated: bool = False
    importance_cap: float = 2.0
    max_tokens: int = 0
    source: ClassVar[Source] = "attempts"

    @property
    def needs_reference(self) -> bool:
        """Only the KL in the loss reads it there."""
        return self.beta > 0 and self.kl_in == "loss"

    @property
    def reward_kl(self) -> float:
        """The KL's weight where it is part of the reward."""
        return self.beta if self.kl_in == "reward" else 0.0

    def useful(self, group: Group) -> bool:
        """The attempts differ in what they earned."""
        return bool(self._advantages(group).any())

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """Advantages within each group; weights over the whole step.

        Attempts with no advantage are left out where they could not move the weights, that is without
        a KL in the loss; they still count in the normaliser, so leaving them out is exact.
        """
        learned = [
            (rollout, advantage)
            for group in groups
            for rollout, feedback, advantage in zip(
                group.rollouts, group.feedback, self._advantages(group), strict=True
            )
            if feedback.score is not None and not (self.mask_truncated and rollout.stop == "length")
        ]
        lengths = [int(rollout.sampled.sum()) for rollout, _ in learned]
        weights = token_weights(lengths, self.normalise, self.max_tokens)
        return [
            Example(
                rollout=rollout,
                advantage=np.full(rollout.completion.size, advantage, np.float32),
                weight=np.where(rollout.sampled, weight, 0).astype(np.float32),
            )
            for (rollout, advantage), weight in zip(learned, weights, strict=True)
            if advantage != 0 or self.needs_reference
        ]

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The clipped surrogate, corrected for the sampler, plus the KL if it stands in the loss."""
        window = (batch.advantage, self.clip_low, self.clip_high)
        losses = objectives.clipped_surrogate(batch.logprobs, batch.old, *window)
        sums = {"clip_share": objectives.clipped(batch.logprobs, batch.old, *window)}
        if self.importance_cap:
            sums["importance_weight"] = objectives.importance(batch.old, batch.behaviour, self.importance_cap)
            losses = losses * sums["importance_weight"]
        if batch.reference is not None:
            sums["kl"] = objectives.k3(batch.logprobs, batch.reference)
            losses = losses + self.beta * sums["kl"]
        return (batch.weight * losses).sum(), {
            name: (batch.weight * value).sum() for name, value in sums.items()
        }

    def _advantages(self, group: Group) -> Scores:
        scores = np.array([np.nan if f.score is None else f.score for f in group.feedback])
        if self.overlong_buffer:
            scores += [
                soft_overlong(r.completion.size, limit=self.max_tokens, buffer=self.overlong_buffer)
                for r in group.rollouts
            ]
        if self.baseline == "leave_one_out":
            return leave_one_out(scores)
        return group_mean(scores, scale=self.scale)
