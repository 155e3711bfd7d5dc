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
    reference: under the reference policy, or None where the algorithm does not ask for it;
    divergence: KL(pi || reference) over the whole vocabulary at each token, with a gradient, or None.
    """

    logprobs: Tensor
    old: Tensor
    behaviour: Tensor
    reference: Tensor | None
    advantage: Tensor
    weight: Tensor
    divergence: Tensor | None = None


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

    policy: under the weights that are about to be updated; reference: under the reference, or None;
    value: what a critic expects before each token, and quality: what it expects of the token itself (the
    lower of two estimates); None where the algorithm has no critic.
    """

    policy: FloatArray
    reference: FloatArray | None
    value: FloatArray | None = None
    quality: FloatArray | None = None


def drift(likelihood: Likelihood) -> FloatArray:
    """Log pi - log pi_ref of each token, [C]."""
    assert likelihood.reference is not None
    return likelihood.policy - likelihood.reference


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

    @property
    def needs_divergence(self) -> bool:
        """Whether `loss` reads `TokenBatch.divergence`, the exact KL to the reference."""
        ...

    def weigh(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood]
    ) -> tuple[list[Example], dict[str, float]]:
        """What `credit` gave, at least one and in its order, with -d loss / d log pi as the advantage; and metrics to report.

        The metric "loss" is the objective's own value: the surrogate's says nothing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueBatch:
    """The learned tokens of one step as a critic sees them, flat; every [n] is fp32.

    value: [n], V before each token, with gradient; qualities: two estimates of Q before each token, each
    [n, vocabulary], with gradient, or None; action: [n], the token taken; target: [n], the lower of the slow
    copies' estimates of Q for it; returns: [n], the attempt's score; drift: [n], log pi - log pi_ref of the rest of the attempt from this token on; first, last: [n], where attempts begin
    and end; cut: [n], ends that are only where a limit cut the attempt off, so nothing is known beyond.
    """

    value: Tensor
    qualities: tuple[Tensor, Tensor] | None
    action: Tensor
    target: Tensor | None
    returns: Tensor
    drift: Tensor
    first: Tensor
    last: Tensor
    cut: Tensor


@runtime_checkable
class Valued(Protocol):
    """What a Relative algorithm also does where its credit comes from a critic that is learned beside."""

    @property
    def critic(self) -> Literal["v", "vq"] | None:
        """What the critic estimates: values of states, or of actions too; None: this setting needs none."""
        ...

    def value_loss(self, batch: ValueBatch) -> Tensor:
        """The critic's loss: a mean over tokens."""
        ...
