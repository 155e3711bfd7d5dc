"""A copy of a policy that follows it slowly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from goalward.models.policy import Policy


class MovingAverage:
    """The exponential moving average of a policy's trainable weights: steadier than the policy itself."""

    def __init__(self, policy: Policy, decay: float) -> None:
        """Begins as the policy is now. `decay` is the share of the average that stays at each step."""
        self._policy = policy
        self._decay = decay
        self._kept = [parameter.detach().clone() for parameter in policy.parameters()]

    @torch.no_grad()
    def follow(self) -> None:
        """Take a step after the policy."""
        for kept, parameter in zip(self._kept, self._policy.parameters(), strict=True):
            kept.lerp_(parameter, 1 - self._decay)

    @contextmanager
    def acting(self) -> Iterator[Policy]:
        """The policy with the averaged weights in place, until the block ends."""
        with self._policy.wearing(self._kept) as policy:
            yield policy

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"average": self._kept}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved `state`."""
        for kept, saved in zip(self._kept, state["average"], strict=True):
            kept.copy_(saved)
