"""How likely the policy finds given tokens: the one place that training and references score with."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from goalward.models.policy import Policy

_LOGITS_AT_ONCE = 2**24
"""Logits held at once (64 MiB in fp32). More are made in chunks, and again in the backward pass."""


def score(
    policy: Policy, tokens: Tensor, rows: Tensor, cols: Tensor, *, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Log-probability of the token after each (row, col), and the entropy of that choice.

    tokens: [B, T] int64, padded on the right with any token; rows, cols: [n] int64, cols < T - 1.
    Returns log pi(tokens[rows, cols + 1]) and the entropy in nats under softmax(logits / temperature),
    both [n] in fp32. The first is differentiable; the entropy is detached.

    The head runs on the n scored positions only, and a few at a time where the vocabulary is large,
    as logits would otherwise be most of the memory.
    """
    targets = tokens[rows, cols + 1]
    decoder = policy.lean(tokens.shape[1])
    if decoder is None:
        # The model's own head may scale or cap its logits, so it must make them all. Attention is
        # causal: what is padded on the right reaches no scored position.
        logits = policy.model(input_ids=tokens, use_cache=False).logits
        return log_probability(logits[rows, cols], targets, temperature)

    hidden = decoder.forward(tokens)[rows, cols]

    def scored(hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return log_probability(decoder.head(hidden), targets, temperature)

    size = max(1, _LOGITS_AT_ONCE // policy.vocabulary)
    if len(targets) <= size:
        return scored(hidden, targets)
    parts = [
        checkpoint(scored, h, t, use_reentrant=False) if torch.is_grad_enabled() else scored(h, t)
        for h, t in zip(torch.split(hidden, size), torch.split(targets, size), strict=True)
    ]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def log_probability(logits: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probability of targets [n] and detached entropy in nats, under softmax(logits [n, V] / temperature)."""
    logits = logits.float()
    if temperature != 1.0:
        logits = logits / temperature
    logprobs = logits.log_softmax(-1)
    with torch.no_grad():
        entropy = torch.special.entr(logprobs.exp()).sum(-1)
    return logprobs.gather(-1, targets[:, None])[:, 0], entropy
