"""What lies beside log-probabilities: value heads on hidden states, and the exact KL to the reference."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from goalward.models.layout import Layout, lay_out
from goalward.models.logprobs import last_hidden
from goalward.models.policy import Policy
from goalward.types import Example


class ValueHeads(nn.Module):
    """V of a state and, if asked for, two estimates of Q for every token (ILQL, arXiv:2206.11871).

    forward: hidden states [n, hidden] -> (V [n], (Q [n, vocabulary], Q) or None). Each is two layers; the
    last begins at zero, so nothing is worth anything before it is learned.
    """

    def __init__(self, hidden: int, vocabulary: int, *, actions: bool) -> None:
        super().__init__()
        self.value = _head(hidden, 1)
        self.qualities = nn.ModuleList(_head(hidden, vocabulary) for _ in range(2 if actions else 0))

    def forward(self, states: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """See the class."""
        states = states.float()
        value: Tensor = self.value(states)[:, 0]
        if not len(self.qualities):
            return value, None
        first, second = (head(states) for head in self.qualities)
        return value, (first, second)


def _head(hidden: int, size: int) -> nn.Sequential:
    last = nn.Linear(2 * hidden, size)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.GELU(), last)


@torch.no_grad()
def hidden_states(policy: Policy, examples: Sequence[Example], *, budget: int) -> Tensor:
    """The last hidden state before each learned token (weight not 0), [n, hidden], in the examples' order.

    budget: tokens in one forward pass.
    """
    found: list[Tensor] = []
    rest = list(examples)
    while rest:
        size, longest = 0, 0
        for example in rest:
            longest = max(longest, example.rollout.prompt.size + example.rollout.completion.size)
            if size and longest * (size + 1) > budget:
                break
            size += 1
        chosen, rest = rest[:size], rest[size:]
        layout = lay_out([(e.rollout.prompt, e.rollout.completion) for e in chosen], policy)
        places = [
            path[example.rollout.prompt.size - 1 + np.flatnonzero(example.weight)]
            for path, example in zip(layout.paths, chosen, strict=True)
        ]
        at = torch.from_numpy(np.concatenate(places)).to(policy.device)
        found.append(_states(policy, layout).flatten(0, 1)[at])
    return torch.cat(found)


def distribution(policy: Policy, layout: Layout, at: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Log-probabilities of every token after each flat place `at` of the layout, [n, vocabulary]; differentiable."""
    decoder = policy.lean(max(len(path) for path in layout.paths))
    logits: Tensor = (
        policy.model(input_ids=layout.tokens, use_cache=False).logits.flatten(0, 1)[at]
        if decoder is None
        else decoder.head(_states(policy, layout).flatten(0, 1)[at])
    )
    return (logits.float() / temperature).log_softmax(-1)


def divergence(now: Tensor, before: Tensor) -> Tensor:
    """KL(now || before) of log-probabilities [n, vocabulary], [n]: exact, with a gradient in `now`."""
    return (now.exp() * (now - before)).sum(-1)


def _states(policy: Policy, layout: Layout) -> Tensor:
    longest = max(len(path) for path in layout.paths)
    decoder = policy.lean(longest)
    if decoder is not None:
        return last_hidden(decoder, layout, longest)
    states: Tensor = policy.model(
        input_ids=layout.tokens, use_cache=False, output_hidden_states=True
    ).hidden_states[-1]
    return states
