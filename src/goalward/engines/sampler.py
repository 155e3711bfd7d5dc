"""Logits and uniform numbers to tokens and their log-probabilities."""

import torch
from torch import Tensor

from goalward.engines.engine import Sampling


def choose(logits: Tensor, uniform: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """One token a row, and its log-probability before top-p and top-k cut the distribution.

    logits: [R, V]; uniform: [R] in [0, 1), not used where greedy.
    Returns tokens [R] int64 and log-probabilities [R] fp32, under softmax(logits / temperature)
    (temperature 1 where greedy).
    """
    logits = logits.float()
    if sampling.temperature not in (0.0, 1.0):
        logits = logits / sampling.temperature
    mass = (logits - logits.amax(-1, keepdim=True)).exp_()
    cumulative = mass.cumsum(-1)
    total = cumulative[:, -1:].clone()
    if sampling.temperature == 0.0:
        tokens = logits.argmax(-1, keepdim=True)
    else:
        if sampling.top_k or sampling.top_p < 1.0:
            mass_kept = truncate(mass, top_k=sampling.top_k, top_p=sampling.top_p)
            cumulative = mass_kept.cumsum(-1)
        tokens = invert(cumulative, uniform[:, None])
    return tokens[:, 0], (mass.gather(-1, tokens) / total).log_()[:, 0]


def invert(cumulative: Tensor, uniform: Tensor) -> Tensor:
    """The first token whose cumulative mass exceeds `uniform` of the total; never one without mass.

    cumulative: [R, V], not falling; uniform: [R, 1] in [0, 1). Returns [R, 1] int64.
    """
    total = cumulative[:, -1:]
    # Rounding could carry the product up to the total itself, behind which there is no token.
    aim = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    # Where logits are not numbers the search ends behind the last token; the log-probability will tell.
    return torch.searchsorted(cumulative, aim, right=True).clamp_max_(cumulative.shape[-1] - 1)


def truncate(mass: Tensor, *, top_k: int, top_p: float) -> Tensor:
    """Zero all but the `top_k` heaviest tokens, then all but the fewest that hold `top_p` of what is left.

    mass: [R, V], not negative, of any sum. The heaviest token always stays. Nucleus sampling is
    Holtzman et al. 2019, arXiv:1904.09751.
    """
    width = mass.shape[-1]
    ranked, order = mass.topk(min(top_k or width, width), dim=-1)
    before = ranked.cumsum(-1) - ranked
    ranked = ranked.masked_fill(before >= top_p * ranked.sum(-1, keepdim=True), 0.0)
    ranked[:, 0] = mass.amax(-1)
    return torch.zeros_like(mass).scatter_(-1, order, ranked)
