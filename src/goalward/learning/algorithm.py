"""What every learning rule can do: turn feedback into credit, and credit into a loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from goalward.types import Example, Group

Source = Literal["attempts", "demonstrations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBatch:
    """The learned tokens of one micro-batch, flat: every tensor is [n], fp32, on the policy's device.

    logprobs: log pi(token) of the policy being trained; the only one with a gradient;
    old: the same before this step's first update (equal to `logprobs`, detached, when on-policy);
    behaviour: as captured while sampling, or `old` for recorded text;
    reference: under the reference policy, or None where the algorithm does not ask for it.
    """

    logprobs: Tensor
    old: Tensor
    behaviour: Tensor
    reference: Tensor | None
    advantage: Tensor
    weight: Tensor


class Algorithm(Protocol):
    """A frozen dataclass whose fields are its knobs; its TOML table is its constructor."""

    @property
    def source(self) -> Source:
        """Where its experience comes from."""
        ...

    @property
    def needs_reference(self) -> bool:
        """Whether `loss` reads `TokenBatch.reference`."""
        ...

    @property
    def reward_kl(self) -> float:
        """Weight of the KL penalty that is taken off the score before credit is given; 0 for none."""
        ...

    @property
    def rounds(self) -> int:
        """How often a step may sample in all to fill its batch with groups that teach (`useful`)."""
        ...

    def useful(self, group: Group) -> bool:
        """Whether a judged group can teach anything; others are sampled anew while rounds are left."""
        ...

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """Turn the feedback of one step into examples; those with no influence may be left out."""
        ...

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to add up over micro-batches, and sums to report (weighted by `batch.weight`)."""
        ...
