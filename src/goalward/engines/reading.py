"""Attention of one new token a row, in parts: what is shared is read once for all rows that share it.

A softmax over several stretches of keys needs no more from each stretch than the sum of its weights, relative to
the largest score in it, and the values summed with these weights: `read` gives them and `merge` joins them, as
in FlashAttention (Dao et al. 2022, arXiv:2205.14135).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Read:
    """What queries found in one stretch of keys, fp32.

    top: [..., 1], the largest score; out: [..., D + 1], the values summed with the weights exp(score - top), and
    behind them the sum of the weights, since values carry a 1 behind their D numbers.
    """

    top: Tensor
    out: Tensor

    def split(self, sizes: Sequence[int]) -> "list[Read]":
        """Rows cut apart."""
        return [
            Read(*parts)
            for parts in zip(
                torch.split(self.top, list(sizes)), torch.split(self.out, list(sizes)), strict=True
            )
        ]


def read(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Read:
    """What q [n, a, D] finds in keys [n, b, D] and values [n, b, D + 1]; `mask` [n, 1, b] is added to the scores."""
    scores = _scores(q, k)
    if mask is not None:
        scores += mask
    top = scores.amax(-1, keepdim=True)
    return Read(top, torch.bmm(scores.sub_(top).exp_().to(v.dtype), v).float())


def merge(reads: Sequence[Read]) -> Tensor:
    """The attention over all stretches together, [..., D]."""
    first, *others = reads
    top, out = first.top, first.out
    for other in others:
        highest = torch.maximum(top, other.top)
        out = out * torch.exp(top - highest) + other.out * torch.exp(other.top - highest)
        top = highest
    return out[..., :-1] / out[..., -1:]


def with_ones(values: Tensor) -> Tensor:
    """Values [..., D] with a 1 behind each."""
    return torch.nn.functional.pad(values, (0, 1), value=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Keys and values that several rows continue: N prompts, kept once.

    keys of a layer: [N, kv heads, P, D]; values: [N, kv heads, P, D + 1]; mask: [N x kv heads, 1, P], -inf behind a
    prompt's end, or None where all are equally long; owner: [R], the prompt of each row. Of R x kv heads questions,
    slots: [N x kv heads, M], those at each prompt and head, and any where there are fewer; place: [R x kv heads], where
    each one stands in slots.
    """

    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor | None
    owner: Tensor
    slots: Tensor
    place: Tensor

    @classmethod
    def of(cls, keys: list[Tensor], values: list[Tensor], lengths: Tensor, owner: Tensor) -> Self:
        """For prompts of `lengths` [N]; row r continues prompt owner[r], which never falls."""
        width = keys[0].shape[2]
        mask = None
        if int(lengths.min()) < width:
            mask = torch.zeros((len(lengths), 1, width), device=lengths.device)
            mask.masked_fill_(
                torch.arange(width, device=lengths.device) >= lengths[:, None, None], -torch.inf
            )
            mask = mask.repeat_interleave(keys[0].shape[1], 0)
        nothing = owner[:0]
        whole = cls(keys=keys, values=values, mask=mask, owner=nothing, slots=nothing[None], place=nothing)
        return whole.continued_by(owner)

    def continued_by(self, owner: Tensor) -> Self:
        """The same prompts for other rows."""
        heads = torch.arange(self.keys[0].shape[1], device=owner.device)
        counts = torch.bincount(owner, minlength=len(self.keys[0]))
        rows = torch.arange(len(owner), device=owner.device)
        rank = rows - (counts.cumsum(0) - counts)[owner]
        most = int(counts.max())
        members = rows.new_zeros((len(counts), most))
        members[owner, rank] = rows
        slots = members[:, None] * len(heads) + heads[:, None]  # [N, kv heads, M]
        place = (owner[:, None] * len(heads) + heads) * most + rank[:, None]  # [R, kv heads]
        return replace(self, owner=owner, slots=slots.flatten(0, 1), place=place.flatten())

    def keep(self, rows: Tensor) -> Self:
        """Forget all rows but these, and the prompts that none of them continues."""
        used, owner = torch.unique(self.owner[rows], return_inverse=True)
        if len(used) == len(self.keys[0]):
            return self.continued_by(owner)
        heads, width = self.keys[0].shape[1:3]
        fewer = replace(
            self,
            keys=[old[used] for old in self.keys],
            values=[old[used] for old in self.values],
            mask=None if self.mask is None else self.mask.view(-1, heads, 1, width)[used].flatten(0, 1),
        )
        return fewer.continued_by(owner)

    def read(self, layer: int, q: Tensor) -> Read:
        """What q [R x kv heads, queries, D] finds, each row in its prompt."""
        queries, size = q.shape[1:]
        asked = q[self.slots].view(len(self.slots), -1, size)  # [N x kv heads, M x queries, D]
        found = read(asked, self.keys[layer].flatten(0, 1), self.values[layer].flatten(0, 1), self.mask)
        places = self.slots.numel()
        return Read(
            found.top.view(places, queries, 1)[self.place], found.out.view(places, queries, -1)[self.place]
        )


def _scores(q: Tensor, k: Tensor) -> Tensor:
    """Dot products of q [n, a, D] and k [n, b, D] in fp32, [n, a, b]: rounding them would blur attention."""
    if q.is_cuda and q.dtype != torch.float32:
        return torch.bmm(q, k.transpose(1, 2), out_dtype=torch.float32)
    return torch.bmm(q, k.transpose(1, 2)).float()
