"""Offline RL: learning from recorded attempts, failures included, what none of them did.

An attempt that failed still says what its steps are worth, once values or consistency join it with others.
d is log pi - log pi_ref of a token, b the weight of the KL to the reference, R an attempt's score. All of these
are Relative: their slopes in the log-probabilities become advantages, and the policy's loss stays a sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from goalward.learning.algorithm import Likelihood, Source, TokenBatch, ValueBatch, drift
from goalward.learning.credit import by_attempt, to_go
from goalward.learning.imitation import exponential_weights, log_likelihood_loss
from goalward.learning.objectives import backup, conservative, expectile, masked_mean
from goalward.types import Example, Group

Array = NDArray[np.float64]


def scored(groups: Sequence[Group]) -> list[Example]:
    """Every judged attempt with its score as the advantage; each attempt has the same share.

    The weight of a sampled token is 1 / attempts. Nothing is left out for being a failure.
    """
    judged = [
        (rollout, feedback.score)
        for group in groups
        for rollout, feedback in zip(group.rollouts, group.feedback, strict=True)
        if feedback.score is not None
    ]
    return [
        Example(
            rollout=rollout,
            advantage=np.full(rollout.completion.size, score, np.float32),
            weight=(rollout.sampled / len(judged)).astype(np.float32),
        )
        for rollout, score in judged
    ]


def _weighted(examples: Sequence[Example], total: float) -> list[Example]:
    """The examples with 1 / total as the weight of every sampled token."""
    return [replace(e, weight=(e.rollout.sampled / total).astype(np.float32)) for e in examples]


def _less(examples: Sequence[Example], baseline: float) -> list[Example]:
    return [replace(e, advantage=e.advantage - np.float32(baseline)) for e in examples]


def by_token(groups: Sequence[Group]) -> list[Example]:
    """As `scored`, but each sampled token has the same share."""
    examples = scored(groups)
    return _weighted(examples, sum(int(example.rollout.sampled.sum()) for example in examples))


@dataclass(frozen=True, slots=True, kw_only=True)
class TOPR:
    """Off-policy REINFORCE with a taper on failures (arXiv:2503.14286; a Relative algorithm).

    What is better than the baseline counts in full, what is worse by pi(y) / mu(y), at most 1, so that pushing it
    down ends when it has become unlikely. mu is what was recorded, else the reference. baseline: what a score
    is compared with, a number or the mean of the task's attempts ("group"), which leaves out ties exactly.
    kl: weight of the exact KL to the reference.
    """

    baseline: float | Literal["group"] = 0.5
    kl: float = 0.0
    source: ClassVar[Source] = "attempts"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1
    weighs_reference: ClassVar[bool] = True

    @property
    def needs_divergence(self) -> bool:
        """Where the KL has a weight."""
        return self.kl > 0

    def useful(self, group: Group) -> bool:
        """Any judgement teaches."""
        return bool(scored([group]))

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """The score less the baseline; what equals it is left out where it has no KL to keep to."""
        examples = [
            example
            for group in groups
            for own in [scored([group])]
            for example in _less(own, self._baseline(own))
        ]
        return [e for e in _weighted(examples, len(examples)) if e.advantage[0] != 0 or self.kl]

    def _baseline(self, examples: Sequence[Example]) -> float:
        if self.baseline != "group":
            return self.baseline
        return float(np.mean([example.advantage[0] for example in examples])) if examples else 0.0

    def weigh(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood]
    ) -> tuple[list[Example], dict[str, float]]:
        """The tapered score of each attempt."""
        ratio = np.array([self._ratio(*each) for each in zip(examples, likelihoods, strict=True)])
        score = np.array([float(example.advantage[0]) for example in examples])
        taper = np.where(score >= 0, 1.0, np.exp(np.minimum(ratio, 0.0)))
        sums = np.array([each.policy.sum(dtype=np.float64) for each in likelihoods])
        return by_attempt(examples, taper * score), {
            "loss": float(-np.mean(taper * score * sums)),
            "taper": float(taper[score < 0].mean()) if (score < 0).any() else 1.0,
        }

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The log-likelihood, weighted, and the KL."""
        return regularised(batch, self.kl)

    def _ratio(self, example: Example, likelihood: Likelihood) -> float:
        recorded = example.rollout.logprobs
        behaviour = likelihood.reference if recorded is None else np.nan_to_num(recorded)
        assert behaviour is not None
        learned = example.weight != 0
        return float((likelihood.policy - behaviour)[learned].sum(dtype=np.float64))


REGRESSION: dict[str, dict[str, object]] = {"dro": {"value": "head"}, "astar_po": {"value": "group"}}
"""DRO arXiv:2405.19107, A*-PO arXiv:2505.20686."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoryRegression:
    """Fit (b sum d + V(x) - R)^2: the KL-regularised optimum is where it is 0 on every attempt (Relative).

    beta: b. value: where V(x) comes from: a critic on the prompt, fitted with the same loss, or the soft mean
    b1 log mean exp(R / b1) of the task's attempts, with `temperature` as b1.
    """

    value: Literal["head", "group"] = "head"
    beta: float = 0.03
    temperature: float = 0.1
    source: ClassVar[Source] = "attempts"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1
    needs_divergence: ClassVar[bool] = False
    weighs_reference: ClassVar[bool] = True

    @property
    def critic(self) -> Literal["v", "vq"] | None:
        """A value of the prompt, unless the group gives it."""
        return "v" if self.value == "head" else None

    def useful(self, group: Group) -> bool:
        """Any judgement teaches, ties too."""
        return bool(scored([group]))

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """The score, less the group's soft mean where that is the value."""
        if self.value == "head":
            return scored(groups)
        examples = scored(groups)
        place = 0
        for group in groups:
            scores = np.array([f.score for f in group.feedback if f.score is not None], float)
            if not scores.size:
                continue
            mean = self.temperature * (np.logaddexp.reduce(scores / self.temperature) - np.log(scores.size))
            for index in range(place, place + scores.size):
                example = examples[index]
                examples[index] = replace(example, advantage=example.advantage - np.float32(mean))
            place += scores.size
        return examples

    def weigh(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood]
    ) -> tuple[list[Example], dict[str, float]]:
        """-2 b (b sum d + V - R) for every token of an attempt."""
        residual = np.array(
            [
                self.beta * drift(each).sum(dtype=np.float64)
                + (0.0 if each.value is None else float(each.value[0]))
                - float(example.advantage[0])
                for example, each in zip(examples, likelihoods, strict=True)
            ]
        )
        return by_attempt(examples, -2 * self.beta * residual), {"loss": float(np.mean(residual**2))}

    def value_loss(self, batch: ValueBatch) -> Tensor:
        """The same loss in V(x), at the attempts' beginnings."""
        residual = self.beta * batch.drift + batch.value - batch.returns
        return (residual**2)[batch.first].mean()

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The log-likelihood, weighted."""
        return log_likelihood_loss(batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class REBEL:
    """Fit (delta log-ratio - eta delta R)^2 on pairs of attempts, ties too (arXiv:2404.16767; Relative).

    A tie says that the two must stay equally likely, and with that what failures have in common.
    """

    eta: float = 5.0
    source: ClassVar[Source] = "attempts"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1
    needs_divergence: ClassVar[bool] = False
    weighs_reference: ClassVar[bool] = True

    def useful(self, group: Group) -> bool:
        """There are two judged attempts."""
        return len(scored([group])) > 1

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """Neighbours in a group make a pair; a last one alone is left out."""
        paired = [
            example for group in groups for own in [scored([group])] for example in own[: len(own) // 2 * 2]
        ]
        return _weighted(paired, len(paired) / 2)

    def weigh(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood]
    ) -> tuple[list[Example], dict[str, float]]:
        """-2 (delta - eta delta R) for the first of a pair, and its negative for the second."""
        sums = np.array([drift(each).sum(dtype=np.float64) for each in likelihoods]).reshape(-1, 2)
        score = np.array([float(e.advantage[0]) for e in examples]).reshape(-1, 2)
        residual = (sums - self.eta * score) @ np.array([1.0, -1.0])
        slope = 2 * residual[:, None] * np.array([1.0, -1.0])
        return by_attempt(examples, -slope.ravel()), {"loss": float(np.mean(residual**2))}

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The log-likelihood, weighted."""
        return log_likelihood_loss(batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class OREO:
    """Soft Bellman consistency at every token (arXiv:2412.16145; Relative and Valued).

    The critic fits V(s_t) + b sum_{i>=t} d_i = R, the policy V(s_t) + b (d_t + sg sum_{i>t} d_i) = R. What a
    limit cut off is no end: there the last value that is known stands for R. beta: b; kl: weight of the
    exact KL to the reference.
    """

    beta: float = 0.03
    kl: float = 0.01
    source: ClassVar[Source] = "attempts"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1
    weighs_reference: ClassVar[bool] = True
    critic: ClassVar[Literal["v", "vq"]] = "v"

    @property
    def needs_divergence(self) -> bool:
        """Where the KL has a weight."""
        return self.kl > 0

    def useful(self, group: Group) -> bool:
        """Any judgement teaches."""
        return bool(scored([group]))

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """The score; the weight makes a mean over tokens."""
        return by_token(groups)

    def weigh(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood]
    ) -> tuple[list[Example], dict[str, float]]:
        """-2 b (V(s_t) + b sum_{i>=t} d_i - R) for each token."""
        weighed, losses = [], []
        for example, each in zip(examples, likelihoods, strict=True):
            assert each.value is not None
            goal, moved = float(example.advantage[0]), drift(each)
            if example.rollout.stop == "length":
                goal, moved = float(each.value[-1]), np.append(moved[:-1], np.float32(0))
            residual = each.value + self.beta * to_go(moved) - goal
            if example.rollout.stop == "length":
                residual[-1] = 0.0
            losses.append(residual[example.weight != 0] ** 2)
            weighed.append(replace(example, advantage=(-2 * self.beta * residual).astype(np.float32)))
        return weighed, {"loss": float(np.concatenate(losses).mean())}

    def value_loss(self, batch: ValueBatch) -> Tensor:
        """(V(s_t) + b sum_{i>=t} d_i - R)^2, a mean over the tokens of attempts that came to an end."""
        residual = batch.value + self.beta * batch.drift - batch.returns
        return masked_mean(residual**2, ~_of_cut(batch))

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The log-likelihood, weighted, and the KL."""
        return regularised(batch, self.kl)


@dataclass(frozen=True, slots=True, kw_only=True)
class IQL:
    """Implicit Q-learning on tokens (arXiv:2110.06169; ILQL arXiv:2206.11871; Relative and Valued).

    The critic learns Q by r + V(s') and V as an upper expectile of Q over what was recorded, so that no action
    is ever judged that nobody took; the policy imitates each token by exp(beta (Q - V)) (extraction).

    tau: the expectile; it must grow with depth x branching. cql: weight of the term that keeps Q low where
    nothing was recorded, for decoding with `perturbed`. beta: the inverse temperature; largest: the clamp;
    kl: weight of the exact KL to the reference.
    """

    tau: float = 0.9
    cql: float = 0.01
    beta: float = 10.0
    largest: float = 50.0
    kl: float = 0.0
    source: ClassVar[Source] = "attempts"
    needs_reference: ClassVar[bool] = False
    reward_kl: ClassVar[float] = 0.0
    rounds: ClassVar[int] = 1
    weighs_reference: ClassVar[bool] = False
    critic: ClassVar[Literal["v", "vq"]] = "vq"

    @property
    def needs_divergence(self) -> bool:
        """Where the KL has a weight."""
        return self.kl > 0

    def useful(self, group: Group) -> bool:
        """Any judgement teaches."""
        return bool(scored([group]))

    def credit(self, groups: Sequence[Group]) -> list[Example]:
        """The score; the weight makes a mean over tokens."""
        return by_token(groups)

    def weigh(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood]
    ) -> tuple[list[Example], dict[str, float]]:
        """exp(beta (Q - V)) for each token, clamped and divided by its mean."""
        weights = []
        for example, each in zip(examples, likelihoods, strict=True):
            assert each.value is not None
            assert each.quality is not None
            better = (each.quality - each.value).astype(float)
            weight = exponential_weights(better, 1 / self.beta, self.largest)
            weights.append(np.where(example.weight != 0, weight, 0.0))
        tokens = sum(np.count_nonzero(example.weight) for example in examples)
        mean = sum(float(weight.sum()) for weight in weights) / tokens
        nll = sum(float(-(w * each.policy).sum()) for w, each in zip(weights, likelihoods, strict=True))
        return [
            replace(example, advantage=(weight / mean).astype(np.float32))
            for example, weight in zip(examples, weights, strict=True)
        ], {"loss": nll / mean / tokens}

    def value_loss(self, batch: ValueBatch) -> Tensor:
        """Two squared errors of Q, the expectile loss of V, and the conservative term."""
        assert batch.qualities is not None
        assert batch.target is not None
        goal = backup(batch.returns, batch.value.detach(), batch.last)
        taken = [q.gather(1, batch.action[:, None])[:, 0] for q in batch.qualities]
        known = ~batch.cut
        bellman = sum((masked_mean((goal - q) ** 2, known) for q in taken), start=goal.new_zeros(()))
        low = sum((conservative(q, batch.action).mean() for q in batch.qualities), start=goal.new_zeros(()))
        return bellman + masked_mean(expectile(batch.target - batch.value, self.tau), known) + self.cql * low

    def loss(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The log-likelihood, weighted, and the KL."""
        return regularised(batch, self.kl)


OFFLINE: Mapping[str, tuple[type, Mapping[str, object]]] = {
    "topr": (TOPR, {}),
    **{name: (TrajectoryRegression, changes) for name, changes in REGRESSION.items()},
    "rebel": (REBEL, {}),
    "oreo": (OREO, {}),
    "iql": (IQL, {}),
}
"""By the name in a recipe."""


def regularised(batch: TokenBatch, kl: float) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted log-likelihood, and kl times the exact KL to the reference.

    Exact, over the vocabulary: recorded tokens are not sampled from the policy, so no estimate from them is.
    """
    loss, sums = log_likelihood_loss(batch)
    if not kl:
        return loss, sums
    assert batch.divergence is not None
    divergence = (batch.weight * batch.divergence).sum()
    return loss + kl * divergence, sums | {"kl": divergence}


def _of_cut(batch: ValueBatch) -> Tensor:
    """[n], the tokens of attempts that a limit cut off."""
    attempt = batch.first.cumsum(0) - 1
    return batch.cut[batch.last][attempt]
