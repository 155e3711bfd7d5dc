"""A transformer of two layers, and the learner's steps on it: algorithms are the library's own, the rest is small.

For benchmarks where a policy is trained hundreds of times. What it sees is the whole walk so far, or only
the last token ("markov"), which is the same network with attention to itself alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from goalward.learning.algorithm import Algorithm, Likelihood, Relative, TokenBatch, Valued
from goalward.learning.critic import Critic
from goalward.models.values import ValueHeads
from goalward.types import Example

Sees = Literal["markov", "history"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walks:
    """Examples as tensors. tokens: [B, T], padded on the right; rows, cols: [n], before each learned token."""

    tokens: Tensor
    rows: Tensor
    cols: Tensor

    @property
    def taken(self) -> Tensor:
        """The learned tokens, [n]."""
        return self.tokens[self.rows, self.cols + 1]


class Trunk(nn.Module):
    """Tokens [B, T] to hidden states [B, T, width]."""

    def __init__(
        self, vocabulary: int, sees: Sees, *, width: int = 32, layers: int = 2, heads: int = 2
    ) -> None:
        super().__init__()
        self.sees = sees
        self.embed = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(torch.randn(16, width) * 0.1)
        layer = [Block(width, heads, alone=sees == "markov") for _ in range(layers)]
        self.blocks = nn.Sequential(*layer)
        self.norm = nn.RMSNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """See the class."""
        x = self.embed(tokens)
        if self.sees == "history":
            x = x + self.place[: tokens.shape[1]]
        found: Tensor = self.norm(self.blocks(x))
        return found


class Block(nn.Module):
    """Attention to what lies before (or to itself alone), then an MLP; both behind a norm."""

    def __init__(self, width: int, heads: int, *, alone: bool) -> None:
        super().__init__()
        self.heads, self.alone = heads, alone
        self.before, self.after = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] to the same."""
        b, t, width = x.shape
        q, k, v = self.qkv(self.before(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # Alone, the softmax is over one key.
        attended = v if self.alone else nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).reshape(b, t, width))
        found: Tensor = x + self.mlp(self.after(x))
        return found


class TinyPolicy(nn.Module):
    """Tokens to log-probabilities of the next."""

    def __init__(self, vocabulary: int, sees: Sees) -> None:
        super().__init__()
        self.trunk = Trunk(vocabulary, sees)
        self.head = nn.Linear(self.trunk.embed.embedding_dim, vocabulary, bias=False)

    def forward(self, walks: Walks) -> Tensor:
        """[n, vocabulary], before each learned token."""
        logits: Tensor = self.head(self.trunk(walks.tokens)[walks.rows, walks.cols])
        return logits.log_softmax(-1)


class TinyValues(nn.Module):
    """A critic's network with a trunk of its own."""

    def __init__(self, vocabulary: int, sees: Sees, *, actions: bool) -> None:
        super().__init__()
        self.trunk = Trunk(vocabulary, sees)
        self.heads = ValueHeads(self.trunk.embed.embedding_dim, vocabulary, actions=actions)

    def forward(self, walks: Walks) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """As a Critic wants it."""
        found: tuple[Tensor, tuple[Tensor, Tensor] | None] = self.heads(
            self.trunk(walks.tokens)[walks.rows, walks.cols]
        )
        return found


def lay_out(examples: Sequence[Example]) -> Walks:
    """Examples to tensors."""
    lengths = [e.rollout.prompt.size + e.rollout.completion.size for e in examples]
    tokens = np.zeros((len(examples), max(lengths)), np.int64)
    rows, cols = [], []
    for row, (example, length) in enumerate(zip(examples, lengths, strict=True)):
        prompt = example.rollout.prompt.size
        tokens[row, :prompt] = example.rollout.prompt
        tokens[row, prompt:length] = example.rollout.completion
        learned = np.flatnonzero(example.weight)
        rows.append(np.full(learned.size, row))
        cols.append(learned + (prompt - 1))
    return Walks(
        tokens=torch.from_numpy(tokens),
        rows=torch.from_numpy(np.concatenate(rows)),
        cols=torch.from_numpy(np.concatenate(cols)),
    )


class TinyLearner:
    """`Learner` in the small: one optimizer step for each batch of examples, whatever the algorithm."""

    def __init__(
        self,
        policy: TinyPolicy,
        algorithm: Algorithm,
        *,
        reference: TinyPolicy | None,
        critic: Critic | None,
        learning_rate: float,
        steps: int,
    ) -> None:
        self._policy, self._algorithm = policy, algorithm
        self._reference, self._critic = reference, critic
        self._optimizer = torch.optim.AdamW(policy.parameters(), lr=learning_rate, weight_decay=0.0)
        self._schedule = torch.optim.lr_scheduler.LinearLR(self._optimizer, 1.0, 0.0, steps)

    def update(self, examples: Sequence[Example]) -> dict[str, float]:
        """Learn from one batch; returns what the algorithm reports."""
        noticed: dict[str, float] = {}
        if not examples:
            return noticed
        walks, algorithm = lay_out(examples), self._algorithm
        everything = self._policy(walks)
        logprobs = everything.gather(1, walks.taken[:, None])[:, 0]
        now = logprobs.detach()
        before = None
        if self._reference is not None:
            with torch.no_grad():
                before = self._reference(walks)
        if isinstance(algorithm, Relative):
            likely = _likelihoods(examples, now, before, walks.taken)
            if self._critic is not None and isinstance(algorithm, Valued):
                likely, noticed["value_loss"] = self._critic.step(examples, likely, algorithm)
            weighed, found = algorithm.weigh(examples, likely)
            noticed |= found
        else:
            weighed = list(examples)

        loss, _ = algorithm.loss(
            TokenBatch(
                logprobs=logprobs,
                old=now,
                behaviour=now,
                reference=None,
                advantage=_flat([e.advantage for e in weighed], examples),
                weight=_flat([e.weight for e in weighed], examples),
                divergence=None if before is None else (everything.exp() * (everything - before)).sum(-1),
            )
        )
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimizer.step()
        self._schedule.step()
        return noticed


def _likelihoods(
    examples: Sequence[Example], now: Tensor, before: Tensor | None, taken: Tensor
) -> list[Likelihood]:
    sizes = np.cumsum([np.count_nonzero(e.weight) for e in examples])[:-1]
    policy = np.split(now.numpy(), sizes)
    old = None if before is None else np.split(before.gather(1, taken[:, None])[:, 0].numpy(), sizes)
    return [
        Likelihood(policy=own, reference=None if old is None else old[index])
        for index, own in enumerate(policy)
    ]


def _flat(values: Sequence[np.ndarray], examples: Sequence[Example]) -> Tensor:
    learned = [value[example.weight != 0] for value, example in zip(values, examples, strict=True)]
    return torch.from_numpy(np.concatenate(learned))
