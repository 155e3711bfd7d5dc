"""How likely the policy finds given tokens: the one place that training and references score with."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from goalward.models.decoder import Decoder
from goalward.models.layout import Layout
from goalward.models.policy import Policy
from goalward.models.stack import Stack

_LOGITS_AT_ONCE = {"cpu": 2**24, "cuda": 2**28}
"""Logits held at once (64 MiB and 1 GiB in fp32). More are made in chunks, and again in the backward pass."""


def score(
    policy: Policy, layout: Layout, at: Tensor, targets: Tensor, *, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Log-probability of token `targets` after flat place `at` of the layout, and the entropy of that choice.

    at, targets: [n] int64. Returns log pi(targets) and the entropy in nats under softmax(logits / temperature),
    both [n] in fp32. The first is differentiable; the entropy is detached.

    The head runs on the n scored positions only, and a few at a time where the vocabulary is large,
    as logits would otherwise be most of the memory.
    """
    longest = max(len(path) for path in layout.paths)
    decoder = policy.lean(longest)
    if decoder is None:
        # The model's own head may scale or cap its logits, so it must make them all. Attention is
        # causal: what is padded on the right reaches no scored position.
        logits = policy.model(input_ids=layout.tokens, use_cache=False).logits
        return log_probability(logits.flatten(0, 1)[at], targets, temperature)
    chosen = last_hidden(decoder, layout, longest).flatten(0, 1)[at]
    head = decoder.head
    if type(head) is nn.Linear:  # not one that an adapter has wrapped
        logprobs, entropy = _HeadScore.apply(  # type: ignore[no-untyped-call]
            chosen, head.weight, head.bias, targets, temperature
        )
        return logprobs, entropy
    return log_probability(head(chosen), targets, temperature)


def last_hidden(decoder: Decoder, layout: Layout, longest: int) -> Tensor:
    """Hidden states behind the last norm of all that is laid out, [B, T, hidden]; longest: of its sequences."""
    if layout.positions is None:
        return decoder.forward(layout.tokens)
    cos, sin = decoder.rotary(longest, decoder.embedding)
    stack = Stack.bind(decoder)
    if stack is not None:
        return stack.forward(layout, cos, sin)
    rotary = cos[layout.positions], sin[layout.positions]
    return decoder.forward(layout.tokens, layout.attend, rotary)


def log_probability(logits: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probability of targets [n] and detached entropy in nats, under softmax(logits [n, V] / temperature)."""
    logits = logits.float()
    if temperature != 1.0:
        logits = logits / temperature
    logprobs = logits.log_softmax(-1)
    with torch.no_grad():
        entropy = torch.special.entr(logprobs.exp()).sum(-1)
    return logprobs.gather(-1, targets[:, None])[:, 0], entropy


class _HeadScore(torch.autograd.Function):
    """`log_probability` of a linear head, a few rows of logits at a time; they are not kept.

    The gradient of log p[target] by the logits is (one-hot - p) / temperature, so the backward pass needs no more
    than the normaliser, and makes the logits again.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        normalisers, logprobs, entropies = [], [], []
        for h, target in zip(*_chunks(len(weight), hidden, targets), strict=True):
            logits = _logits(h, weight, bias, temperature)
            normaliser = logits.logsumexp(-1)
            logprobs.append(logits.gather(-1, target[:, None])[:, 0] - normaliser)
            share = torch.exp(logits - normaliser[:, None])
            entropies.append(normaliser - share.mul_(logits).sum(-1))
            normalisers.append(normaliser)
        ctx.temperature = temperature
        ctx.save_for_backward(hidden, weight, bias, targets, torch.cat(normalisers))
        entropy = torch.cat(entropies)
        ctx.mark_non_differentiable(entropy)
        return torch.cat(logprobs), entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, normalisers = ctx.saved_tensors
        of_hidden = torch.empty_like(hidden)
        # fp32: chunks must not round it; none for a head that an adapter leaves alone.
        learns = ctx.needs_input_grad[1]
        of_weight = torch.zeros(weight.shape, device=weight.device) if learns else None
        of_bias = None if bias is None else torch.zeros(bias.shape, device=bias.device)
        parts = _chunks(len(weight), hidden, of_hidden, targets, normalisers, gradient)
        for h, of_h, target, normaliser, g in zip(*parts, strict=True):
            slope = _logits(h, weight, bias, ctx.temperature).sub_(normaliser[:, None]).exp_()
            slope.mul_(-g[:, None]).scatter_add_(-1, target[:, None], g[:, None])
            if ctx.temperature != 1.0:
                slope.div_(ctx.temperature)
            if of_bias is not None:
                of_bias += slope.sum(0)
            slope = slope.to(hidden.dtype)
            torch.mm(slope, weight, out=of_h)
            if of_weight is not None:
                of_weight += _product(slope.t(), h)
        return (
            of_hidden,
            None if of_weight is None else of_weight.to(weight.dtype),
            None if of_bias is None else of_bias.to(bias.dtype),
            None,
            None,
        )


def _chunks(vocabulary: int, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Each tensor [n, ...] cut into as few parts as may be, and all alike."""
    most = _LOGITS_AT_ONCE.get(tensors[0].device.type, 2**24)
    return [torch.split(tensor, max(1, most // vocabulary)) for tensor in tensors]


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, temperature: float) -> Tensor:
    logits = _product(hidden, weight.t())
    if bias is not None:
        logits += bias
    return logits if temperature == 1.0 else logits.div_(temperature)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply a [n, k] by b [k, m], in fp32."""
    if a.is_cuda and a.dtype != torch.float32:
        return torch.mm(a, b, out_dtype=torch.float32)
    return torch.mm(a, b).float()
