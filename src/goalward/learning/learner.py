"""Credit to weights: the same for every algorithm."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goalward.learning.algorithm import Algorithm, Likelihood, Relative, TokenBatch, Valued
from goalward.learning.critic import Critic, CriticSettings
from goalward.learning.optimizer import Optimizer, OptimizerSettings, learning_rate
from goalward.learning.pack import MicroBatch, micro_batches, pack
from goalward.models.logprobs import score
from goalward.models.policy import Policy
from goalward.models.values import divergence as exact_kl
from goalward.types import Example, Feedback, FloatArray, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerSettings:
    """How examples become weights.

    micro_batch_tokens: padded tokens in one forward pass; memory, not the result, depends on it.
    minibatches: optimizer steps made from one batch of examples.
    critic: how value heads learn, where the algorithm has some.
    """

    micro_batch_tokens: int = 8192
    minibatches: int = 1
    critic: CriticSettings = field(default_factory=CriticSettings)


class Learner:
    """Updates a policy from examples. `step` counts the batches learned from."""

    def __init__(
        self,
        policy: Policy,
        settings: LearnerSettings,
        optimizer: OptimizerSettings,
        *,
        steps: int,
        temperature: float,
        seed: int,
        critic: Critic | None = None,
    ) -> None:
        """`temperature` is the sampling's: the policy that acted is softmax(logits / temperature).

        critic: for algorithms that are Valued.
        """
        self.step = 0
        self._policy = policy
        self._settings = settings
        self._schedule = optimizer
        self._optimizer = Optimizer(policy.parameters(), optimizer)
        self._steps = steps
        self._temperature = temperature
        self._seed = seed
        self._critic = critic

    @torch.no_grad()
    def penalise(self, groups: Sequence[Group], weight: float) -> list[Group]:
        """Take weight * log(pi / reference) of each attempt off its score, as a part named "kl"."""
        whole = [
            Example(rollout=r, advantage=r.sampled.astype(np.float32), weight=r.sampled.astype(np.float32))
            for group in groups
            for r in group.rollouts
        ]
        penalty: dict[int, float] = {}
        for part in micro_batches(whole, self._settings.micro_batch_tokens):
            micro = pack(part, pad=self._policy.pad_id, device=self._policy.device)
            gap = self._score(micro)[0] - self._reference(micro)
            sums = gap.new_zeros(len(part)).index_add(0, micro.rows, gap)
            for example, value in zip(part, sums.tolist(), strict=True):
                penalty[id(example.rollout)] = weight * value
        return [
            replace(
                group,
                feedback=tuple(
                    _less(given, penalty[id(rollout)])
                    for rollout, given in zip(group.rollouts, group.feedback, strict=True)
                ),
            )
            for group in groups
        ]

    def update(self, examples: Sequence[Example], algorithm: Algorithm) -> dict[str, float]:
        """Learn from one batch of examples, in `minibatches` optimizer steps; returns metrics.

        The gradient is the same, up to rounding, for any `micro_batch_tokens`.
        """
        start = time.perf_counter()
        rate = learning_rate(self._schedule, self.step, self._steps)
        noticed: dict[str, float] = {}
        if examples and isinstance(algorithm, Relative):
            found = likelihoods(
                self._policy,
                examples,
                budget=self._settings.micro_batch_tokens,
                temperature=self._temperature,
                reference=algorithm.weighs_reference,
            )
            if self._critic is not None and isinstance(algorithm, Valued):
                found, noticed["value_loss"] = self._critic.step(examples, found, algorithm)
            examples, weighed = algorithm.weigh(examples, found)
            noticed |= weighed
        parts = self._minibatches(examples)
        old = [self._old(part) for part in parts] if len(parts) > 1 else [None] * len(parts)
        sums: dict[str, float] = defaultdict(float)
        norms = []
        for part, before in zip(parts, old, strict=True):
            for index, micro in enumerate(part):
                loss, sized = self._loss(micro, algorithm, before[index] if before else None, len(parts))
                torch.autograd.backward(loss)
                self._optimizer.accumulate()
                for name, value in sized.items():
                    sums[name] += value
            norms.append(self._optimizer.step(rate))
        self.step += 1
        weight, tokens = sums.pop("weight", 0.0), sums.pop("tokens", 0.0)
        loss_sum, gap = sums.pop("loss", 0.0), sums.pop("logprob_gap", 0.0)
        seconds = time.perf_counter() - start
        trained = sum(e.rollout.prompt.size + e.rollout.completion.size for e in examples)
        return {
            "loss": loss_sum / len(parts),
            **{name: value / weight for name, value in sums.items() if weight},
            **({"logprob_gap": gap / tokens} if tokens else {}),
            "grad_norm": float(np.mean(norms)),
            "lr": rate,
            "examples": len(examples),
            "seconds/train": seconds,
            "tokens_per_second/train": trained / seconds,
            **noticed,
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside the model."""
        critic = {"critic": self._critic.state()} if self._critic is not None else {}
        return {"step": self.step, "optimizer": self._optimizer.state(), **critic}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved `state`; the policy's weights are loaded with the policy."""
        self.step = state["step"]
        self._optimizer.restore(state["optimizer"])
        if self._critic is not None:
            self._critic.restore(state["critic"])

    def _minibatches(self, examples: Sequence[Example]) -> list[list[MicroBatch]]:
        count = max(min(self._settings.minibatches, len(examples)), 1)
        order = list(range(len(examples)))
        if count > 1:
            order = np.random.default_rng([self._seed, self.step]).permutation(len(examples)).tolist()
        return [self._micro_batches([examples[i] for i in order[part::count]]) for part in range(count)]

    def _micro_batches(self, examples: Sequence[Example]) -> list[MicroBatch]:
        split = micro_batches(examples, self._settings.micro_batch_tokens)
        return [pack(part, pad=self._policy.pad_id, device=self._policy.device) for part in split]

    def _loss(
        self, micro: MicroBatch, algorithm: Algorithm, old: Tensor | None, scale: int
    ) -> tuple[Tensor, dict[str, float]]:
        # First, so that no graph is alive while the reference's weights stand in the policy's place.
        reference = self._reference(micro) if algorithm.needs_reference else None
        divergence = None
        if isinstance(algorithm, Relative) and algorithm.needs_divergence:
            places = (micro.tokens, micro.rows, micro.cols)
            divergence = exact_kl(self._policy, *places, temperature=self._temperature)
        logprobs, entropy = self._score(micro)
        now = logprobs.detach()
        old = now if old is None else old
        behaviour = torch.where(micro.behaviour.isnan(), old, micro.behaviour)
        batch = TokenBatch(
            logprobs=logprobs,
            old=old,
            behaviour=behaviour,
            reference=reference,
            advantage=micro.advantage,
            weight=micro.weight,
            divergence=divergence,
        )
        loss, reported = algorithm.loss(batch)
        sums = reported | {
            "loss": loss,
            "entropy": (micro.weight * entropy).sum(),
            "weight": micro.weight.sum(),
            "logprob_gap": (old - behaviour).abs().sum(),
        }
        # A minibatch holds a share of the step's weight; times their number it is a whole step's again.
        return loss * scale, {"tokens": float(now.numel())} | {n: float(v.detach()) for n, v in sums.items()}

    def _score(self, micro: MicroBatch) -> tuple[Tensor, Tensor]:
        return score(self._policy, micro.tokens, micro.rows, micro.cols, temperature=self._temperature)

    @torch.no_grad()
    def _old(self, part: Sequence[MicroBatch]) -> list[Tensor]:
        return [self._score(micro)[0] for micro in part]

    @torch.no_grad()
    def _reference(self, micro: MicroBatch) -> Tensor:
        with self._policy.reference() as reference:
            return score(reference, micro.tokens, micro.rows, micro.cols, temperature=self._temperature)[0]


@torch.no_grad()
def likelihoods(
    policy: Policy,
    examples: Sequence[Example],
    *,
    budget: int,
    temperature: float = 1.0,
    reference: bool = False,
) -> list[Likelihood]:
    """How likely the policy, and its reference if asked for, find the learned tokens of each example.

    budget: padded tokens in one forward pass.
    """
    found: dict[int, Likelihood] = {}
    for part in micro_batches(examples, budget):
        micro = pack(part, pad=policy.pad_id, device=policy.device)
        places = (micro.tokens, micro.rows, micro.cols)
        now = score(policy, *places, temperature=temperature)[0].cpu().numpy()
        before = None
        if reference:
            with policy.reference() as original:
                before = score(original, *places, temperature=temperature)[0].cpu().numpy()
        rows = micro.rows.cpu().numpy()
        for row, example in enumerate(part):
            found[id(example)] = Likelihood(
                policy=_spread(example, now[rows == row]),
                reference=None if before is None else _spread(example, before[rows == row]),
            )
    return [found[id(example)] for example in examples]


def _spread(example: Example, learned: FloatArray) -> FloatArray:
    """The values of the learned tokens at their places in the completion, 0 elsewhere: [C]."""
    values = np.zeros(example.weight.shape, np.float32)
    values[example.weight != 0] = learned
    return values


def _less(given: Feedback, penalty: float) -> Feedback:
    left = None if given.score is None else given.score - penalty
    return replace(given, score=left, parts={**given.parts, "kl": -penalty})
