"""What every learning rule can do: turn feedback into credit, and credit into a loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from goalward.types import Example, FloatArray, Group

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """How likely the tokens of one example are now: log-probabilities, [C], 0 where its weight is 0.

    policy: under the weights that are about to be updated; reference: under the reference, or None.
    """

    policy: FloatArray
    reference: FloatArray | None


@runtime_checkable
class Relative(Protocol):
    """What an Algorithm also does where its credit hangs on how likely the policy finds the attempts now.

    Pairs, ratios of whole sequences and consistency with a value all join tokens that may stand in
    different micro-batches. Their gradient is still a sum over tokens, of d loss / d log pi times the
    gradient of log pi, and those factors need no gradient themselves. So the learner scores the examples
    first, `weigh` turns the factors into advantages, and the loss stays a plain sum: exact, and no split
    into micro-batches can change it. It holds for one optimizer step, so `minibatches` is 1.
    """

    @property
    def weighs_reference(self) -> bool:
        """Whether `weigh` reads `Likelihood.reference`."""
        ...

    def weigh(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood]
    ) -> tuple[list[Example], dict[str, float]]:
        """What `credit` gave, in its order, with -d loss / d log pi as the advantage; and metrics to report.

        The metric "loss" is the objective's own value: the surrogate's says nothing.
        """
        ...
