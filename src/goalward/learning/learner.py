"""Credit to weights: the same for every algorithm."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goalward.learning.algorithm import Algorithm, Likelihood, Relative, TokenBatch, Valued, drift
from goalward.learning.critic import Critic, CriticSettings
from goalward.learning.optimizer import Gradients, Optimizer, OptimizerSettings, add, learning_rate
from goalward.learning.pack import MicroBatch, micro_batches, pack
from goalward.models.lanes import lanes, side_by_side
from goalward.models.layout import count_tokens
from goalward.models.logprobs import score
from goalward.models.policy import Policy
from goalward.models.values import distribution, divergence
from goalward.types import Example, Feedback, FloatArray, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerSettings:
    """How examples become weights.

    micro_batch_tokens: tokens in one forward pass; memory, not the result, depends on it.
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
        inner = policy.inner
        embeddings = [inner.get_input_embeddings().weight, inner.get_output_embeddings().weight]
        self._optimizer = Optimizer(policy.parameters(), optimizer, embeddings)
        self._steps = steps
        self._temperature = temperature
        self._seed = seed
        self._critic = critic

    def penalise(self, groups: Sequence[Group], weight: float) -> list[Group]:
        """Take weight * log(pi / reference) of each attempt off its score, as a part named "kl"."""
        whole = [
            Example(rollout=r, advantage=r.sampled.astype(np.float32), weight=r.sampled.astype(np.float32))
            for group in groups
            for r in group.rollouts
        ]
        found = self.likelihoods(whole, reference=True)
        penalty = {
            id(example.rollout): weight * float(drift(each).sum(dtype=np.float64))
            for example, each in zip(whole, found, strict=True)
        }
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
            found = self.likelihoods(examples, reference=algorithm.weighs_reference)
            if self._critic is not None and isinstance(algorithm, Valued):
                found, noticed["value_loss"] = self._critic.step(examples, found, algorithm)
            examples, weighed = algorithm.weigh(examples, found)
            noticed |= weighed
        parts = self._minibatches(examples)
        # Demonstrations are not compared with what the policy was when it acted.
        compared = len(parts) > 1 and algorithm.source == "attempts"
        old = [self._logprobs(part) for part in parts] if compared else [None] * len(parts)
        sums: dict[str, float] = defaultdict(float)
        norms = []
        for part, before in zip(parts, old, strict=True):
            reference = self._reference(part) if algorithm.needs_reference else None
            apart = isinstance(algorithm, Relative) and algorithm.needs_divergence
            whole = self._reference(part, self._distributions) if apart else None
            for micro_sums in self._gradients(part, algorithm, before, reference, whole, scale=len(parts)):
                for name, value in micro_sums.items():
                    sums[name] += value
            norms.append(self._optimizer.step(rate))
        self.step += 1
        weight, tokens = sums.pop("weight", 0.0), sums.pop("tokens", 0.0)
        loss_sum, gap = sums.pop("loss", 0.0), sums.pop("logprob_gap", 0.0)
        seconds = time.perf_counter() - start
        trained = sum(e.rollout.prompt.size + e.rollout.completion.size for e in examples)
        return {
            "loss": loss_sum,
            **{name: value / weight for name, value in sums.items() if weight},
            **({"logprob_gap": gap / tokens} if tokens else {}),
            "grad_norm": float(np.mean(norms)),
            "lr": rate,
            "examples": len(examples),
            "seconds/train": seconds,
            "tokens_per_second/train": trained / seconds,
            **noticed,
        }

    def likelihoods(self, examples: Sequence[Example], *, reference: bool) -> list[Likelihood]:
        """How likely the policy, and its reference if asked for, find the learned tokens of each example."""
        split = self._split(examples)
        part = [pack(chosen, self._policy) for chosen in split]
        now = self._by_example(split, self._logprobs(part))
        before = self._by_example(split, self._reference(part)) if reference else {}
        return [Likelihood(policy=now[id(e)], reference=before.get(id(e))) for e in examples]

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
        prompts: dict[
            bytes, list[Example]
        ] = {}  # what one prompt was answered by stays together: it is read once
        for example in examples:
            prompts.setdefault(example.rollout.prompt.tobytes(), []).append(example)
        groups = list(prompts.values())
        count = max(min(self._settings.minibatches, len(groups)), 1)
        if count > 1:
            order = np.random.default_rng([self._seed, self.step]).permutation(len(groups)).tolist()
            groups = [groups[i] for i in order]
        parts = [self._split(list(chain.from_iterable(groups[part::count]))) for part in range(count)]
        return [[pack(micro, self._policy) for micro in part] for part in parts]

    def _split(self, examples: Sequence[Example]) -> list[list[Example]]:
        """Examples of each micro-batch; lanes share the budget, and get equally much to do."""
        sequences = [(example.rollout.prompt, example.rollout.completion) for example in examples]
        longest = max((len(prompt) + len(completion) for prompt, completion in sequences), default=0)
        packed = self._policy.lean(longest) is not None
        total = count_tokens(sequences) if packed else longest * len(sequences)
        count = lanes(self._policy)
        budget = self._settings.micro_batch_tokens // count
        rounds = max(-(-total // max(count * budget, 1)), 1)
        fair = total // (count * rounds) + longest // 2
        return micro_batches(examples, min(budget, fair), packed=packed)

    @staticmethod
    def _by_example(split: Sequence[Sequence[Example]], values: Sequence[Tensor]) -> dict[int, FloatArray]:
        """The values of each micro-batch's learned tokens, [C] for each example, 0 where it learns nothing."""
        found: dict[int, FloatArray] = {}
        for examples, flat in zip(split, values, strict=True):
            ends = np.cumsum([np.count_nonzero(example.weight) for example in examples])[:-1]
            for example, learned in zip(examples, np.split(flat.cpu().numpy(), ends), strict=True):
                found[id(example)] = np.zeros(example.weight.shape, np.float32)
                found[id(example)][example.weight != 0] = learned
        return found

    def _gradients(
        self,
        part: Sequence[MicroBatch],
        algorithm: Algorithm,
        old: Sequence[Tensor] | None,
        reference: Sequence[Tensor] | None,
        whole: Sequence[Tensor] | None,
        *,
        scale: int,
    ) -> list[dict[str, float]]:
        """Add the gradient of `part` to the optimizer's; returns what each micro-batch reports."""
        parameters = self._policy.parameters()
        count = min(lanes(self._policy), len(part))

        def lane(first: int) -> tuple[Gradients, list[dict[str, float]]]:
            total: Gradients = [None] * len(parameters)
            reports = []
            for index in range(first, len(part), count):
                loss, report = self._loss(
                    part[index],
                    algorithm,
                    old[index] if old else None,
                    reference[index] if reference else None,
                    whole[index] if whole else None,
                )
                # A minibatch holds a share of the step's weight; times their number it is a whole step's again.
                add(total, torch.autograd.grad(loss * scale, parameters, allow_unused=True))
                reports.append(report)
            return total, reports

        reports = []
        for total, reported in side_by_side([partial(lane, first) for first in range(count)]):
            self._optimizer.accumulate(total)
            reports += reported
        return reports

    def _loss(
        self,
        micro: MicroBatch,
        algorithm: Algorithm,
        old: Tensor | None,
        reference: Tensor | None,
        whole: Tensor | None,
    ) -> tuple[Tensor, dict[str, float]]:
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
            divergence=None if whole is None else divergence(self._distribution(micro), whole),
        )
        loss, reported = algorithm.loss(batch)
        sums = reported | {
            "loss": loss,
            "entropy": (micro.weight * entropy).sum(),
            "weight": micro.weight.sum(),
            "logprob_gap": (old - behaviour).abs().sum(),
        }
        names, values = list(sums), torch.stack([value.detach() for value in sums.values()]).tolist()
        return loss, {"tokens": float(now.numel())} | dict(zip(names, values, strict=True))

    def _score(self, micro: MicroBatch) -> tuple[Tensor, Tensor]:
        return score(self._policy, micro.layout, micro.at, micro.targets, temperature=self._temperature)

    def _logprobs(self, part: Sequence[MicroBatch]) -> list[Tensor]:
        """Log-probabilities of each micro-batch's learned tokens, without gradient."""
        count = min(lanes(self._policy), len(part))

        def lane(first: int) -> list[Tensor]:
            with torch.no_grad():
                return [self._score(micro)[0] for micro in part[first::count]]

        scored = side_by_side([partial(lane, first) for first in range(count)])
        return [scored[index % count][index // count] for index in range(len(part))]

    def _distribution(self, micro: MicroBatch) -> Tensor:
        return distribution(self._policy, micro.layout, micro.at, temperature=self._temperature)

    @torch.no_grad()
    def _distributions(self, part: Sequence[MicroBatch]) -> list[Tensor]:
        return [self._distribution(micro) for micro in part]

    def _reference(
        self, part: Sequence[MicroBatch], look: Callable[[Sequence[MicroBatch]], list[Tensor]] | None = None
    ) -> list[Tensor]:
        with self._policy.reference():  # its weights stand in the policy's place
            return (look or self._logprobs)(part)


def _less(given: Feedback, penalty: float) -> Feedback:
    left = None if given.score is None else given.score - penalty
    return replace(given, score=left, parts={**given.parts, "kl": -penalty})
