"""What lies beside log-probabilities: value heads on hidden states, and the exact KL to the reference."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

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

    budget: padded tokens in one forward pass.
    """
    texts = [np.concatenate([e.rollout.prompt, e.rollout.completion]).astype(np.int64) for e in examples]
    found: list[Tensor] = []
    start = 0
    while start < len(texts):
        end = start + 1
        longest = texts[start].size
        while end < len(texts) and max(longest, texts[end].size) * (end - start + 1) <= budget:
            longest = max(longest, texts[end].size)
            end += 1
        tokens = np.full((end - start, longest), policy.pad_id, np.int64)
        for row, text in enumerate(texts[start:end]):
            tokens[row, : text.size] = text
        states = last_hidden(policy, torch.from_numpy(tokens).to(policy.device))
        for row, example in enumerate(examples[start:end]):
            places = np.flatnonzero(example.weight) + example.rollout.prompt.size - 1
            found.append(states[row, torch.from_numpy(places).to(states.device)])
        start = end
    return torch.cat(found)


def last_hidden(policy: Policy, tokens: Tensor) -> Tensor:
    """Hidden states behind the last norm of tokens [B, T], padded on the right: [B, T, hidden]."""
    decoder = policy.lean(tokens.shape[1])
    if decoder is not None:
        return decoder.forward(tokens)
    states: Tensor = policy.model(input_ids=tokens, use_cache=False, output_hidden_states=True).hidden_states[
        -1
    ]
    return states


def divergence(
    policy: Policy, tokens: Tensor, rows: Tensor, cols: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """KL(pi || reference) over the whole vocabulary at each (row, col), [n], with a gradient.

    tokens: [B, T] int64, padded on the right. It costs a forward and backward pass of its own, and holds the
    distributions of all n positions: [n, vocabulary], twice.
    """
    with policy.reference() as original:  # first, so that no graph is alive while its weights stand here
        before = _distribution(original, tokens, rows, cols, temperature)
    now = _distribution(policy, tokens, rows, cols, temperature)
    return (now.exp() * (now - before)).sum(-1)


def _distribution(policy: Policy, tokens: Tensor, rows: Tensor, cols: Tensor, temperature: float) -> Tensor:
    decoder = policy.lean(tokens.shape[1])
    logits: Tensor = (
        policy.model(input_ids=tokens, use_cache=False).logits[rows, cols]
        if decoder is None
        else decoder.head(decoder.forward(tokens)[rows, cols])
    )
    return (logits.float() / temperature).log_softmax(-1)
