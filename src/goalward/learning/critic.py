"""A critic beside the policy: values of states and actions, learned with an optimizer of its own."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from goalward.learning.algorithm import Likelihood, ValueBatch, Valued
from goalward.learning.credit import to_go
from goalward.learning.objectives import perturbed
from goalward.types import Example, FloatArray

Encode = Callable[[Sequence[Example]], Any]
"""What the network reads of the learned tokens (weight not 0) of some examples, flat and in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticSettings:
    """learning_rate: AdamW's; polyak: how far the slow copy moves to the learned one at each step."""

    learning_rate: float = 1e-3
    polyak: float = 0.005


class Critic:
    """A value network with a slow copy of itself.

    network: inputs -> (V [n], (Q [n, vocabulary], Q) or None), each of the state before a learned token.
    """

    def __init__(self, network: nn.Module, encode: Encode, settings: CriticSettings) -> None:
        self._network = network
        self._slow = copy.deepcopy(network).requires_grad_(False)
        self._encode = encode
        self._settings = settings
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=0.0)

    def step(
        self, examples: Sequence[Example], likelihoods: Sequence[Likelihood], algorithm: Valued
    ) -> tuple[list[Likelihood], float]:
        """Appraise the tokens, then learn from what became of them by the algorithm's `value_loss`.

        Returns the likelihoods with V, and where the network has it the slow copies' lower Q, as they were
        before; and the loss. The score of an attempt is its examples' advantage.
        """
        inputs = self._encode(examples)
        value, qualities = self._network(inputs)
        action = _actions(examples).to(value.device)
        with torch.no_grad():
            slow = self._slow(inputs)[1]
        target = None if slow is None else lower(slow, action)
        found = _with_values(examples, likelihoods, _numpy(value), None if target is None else _numpy(target))
        loss = algorithm.value_loss(
            ValueBatch(
                value=value,
                qualities=qualities,
                action=action,
                target=target,
                **{name: flat.to(value.device) for name, flat in _flat(examples, likelihoods).items()},
            )
        )
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimizer.step()
        with torch.no_grad():
            for behind, weight in zip(self._slow.parameters(), self._network.parameters(), strict=True):
                behind.lerp_(weight, self._settings.polyak)
        return found, float(loss.detach())

    @torch.no_grad()
    def perturb(self, logprobs: Tensor, inputs: Any, beta: float) -> Tensor:
        """Log-probabilities [n, vocabulary] of the policy perturbed by the slow copies' lower Q (see `perturbed`)."""
        value, qualities = self._slow(inputs)
        assert qualities is not None
        return perturbed(logprobs, torch.minimum(*qualities), value, beta)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {
            "network": self._network.state_dict(),
            "slow": self._slow.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved `state`."""
        self._network.load_state_dict(state["network"])
        self._slow.load_state_dict(state["slow"])
        self._optimizer.load_state_dict(state["optimizer"])


def lower(qualities: tuple[Tensor, Tensor], action: Tensor) -> Tensor:
    """The lower of two estimates [n, vocabulary] of the action taken, [n]: against optimism (twin Q)."""
    first, second = (q.gather(1, action.to(q.device)[:, None])[:, 0] for q in qualities)
    return torch.minimum(first, second)


def _actions(examples: Sequence[Example]) -> Tensor:
    taken = np.concatenate([e.rollout.completion[e.weight != 0] for e in examples])
    return torch.from_numpy(taken.astype(np.int64))


def _with_values(
    examples: Sequence[Example],
    likelihoods: Sequence[Likelihood],
    value: FloatArray,
    quality: FloatArray | None,
) -> list[Likelihood]:
    ends = np.cumsum([np.count_nonzero(example.weight) for example in examples]).tolist()
    return [
        replace(
            likelihood,
            value=_place(example, value[start:end]),
            quality=None if quality is None else _place(example, quality[start:end]),
        )
        for example, likelihood, start, end in zip(examples, likelihoods, [0, *ends[:-1]], ends, strict=True)
    ]


def _flat(examples: Sequence[Example], likelihoods: Sequence[Likelihood]) -> dict[str, Tensor]:
    """What a ValueBatch holds of the log, by name, [n]."""
    returns, drifts, first, last, cut = [], [], [], [], []
    for example, likelihood in zip(examples, likelihoods, strict=True):
        learned = example.weight != 0
        size = int(learned.sum())
        returns.append(example.advantage[learned])
        moved = (
            np.zeros_like(likelihood.policy)
            if likelihood.reference is None
            else likelihood.policy - likelihood.reference
        )
        drifts.append(to_go(moved[learned]).astype(np.float32))
        places = np.arange(size)
        first.append(places == 0)
        last.append(places == size - 1)
        cut.append((places == size - 1) & (example.rollout.stop == "length"))
    return {
        name: torch.from_numpy(np.concatenate(parts))
        for name, parts in (
            ("returns", returns),
            ("drift", drifts),
            ("first", first),
            ("last", last),
            ("cut", cut),
        )
    }


def _place(example: Example, learned: FloatArray) -> FloatArray:
    values = np.zeros(example.weight.shape, np.float32)
    values[example.weight != 0] = learned
    return values


def _numpy(values: Tensor) -> FloatArray:
    found: FloatArray = values.detach().float().cpu().numpy()
    return found
