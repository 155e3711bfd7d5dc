"""Credit to loss, token by token: pure functions of flat [n] tensors."""

import torch
from torch import Tensor


def clipped_surrogate(logprobs: Tensor, old: Tensor, advantage: Tensor, low: float, high: float) -> Tensor:
    """PPO's pessimistic surrogate as a loss, [n] (arXiv:1707.06347); high > low is DAPO's clip-higher.

    Where `old` is `logprobs` detached (on-policy) its value is -advantage and its gradient that of
    REINFORCE: the loss then says nothing about progress, and being near 0 is no bug.
    """
    ratio = torch.exp(logprobs - old)
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


def clipped(logprobs: Tensor, old: Tensor, advantage: Tensor, low: float, high: float) -> Tensor:
    """1.0 where the clip cuts the gradient off, [n]."""
    ratio = torch.exp(logprobs - old)
    return (((ratio < 1 - low) & (advantage < 0)) | ((ratio > 1 + high) & (advantage > 0))).float()


def k3(logprobs: Tensor, reference: Tensor) -> Tensor:
    """Schulman's k3 estimate of KL(pi || reference) at tokens sampled from pi, [n]: never negative.

    Its value is unbiased; its gradient, which GRPO uses, is that of KL(reference || pi) to first order.
    """
    difference = reference - logprobs
    return torch.exp(difference) - difference - 1


def importance(old: Tensor, behaviour: Tensor, cap: float) -> Tensor:
    """Truncated weights pi_old / mu for tokens that another program's numerics sampled, [n], no gradient."""
    return torch.exp(old - behaviour).clamp(max=cap).detach()


def expectile(difference: Tensor, tau: float) -> Tensor:
    """|tau - 1(u < 0)| u^2 of each u, [n]: above tau = .5 its minimiser leans to the best that happens (IQL)."""
    return torch.where(difference < 0, 1 - tau, tau) * difference**2


def backup(reward: Tensor, after: Tensor, last: Tensor) -> Tensor:
    """The goal r + V(s') of Q at each token, [n]: the value of what follows, and the reward where nothing does.

    after: V before each token of the flat batch; the next token's stands one place on.
    """
    following = torch.roll(after, -1)
    return torch.where(last, reward, following)


def conservative(qualities: Tensor, action: Tensor) -> Tensor:
    """-log softmax(Q)[a], [n]: keeps actions that were never recorded from looking good (CQL)."""
    return torch.nn.functional.cross_entropy(qualities, action, reduction="none")


def perturbed(logprobs: Tensor, quality: Tensor, value: Tensor, beta: float) -> Tensor:
    """The policy that ILQL decodes with: log of pi exp(beta (Q - V)), normalised; [n, vocabulary], value [n]."""
    return torch.log_softmax(logprobs + beta * (quality - value[:, None]), -1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of values [n] where mask [n]; 0 where that is nowhere. One mask counts above and below."""
    return (values * mask).sum() / mask.sum().clamp(min=1)
