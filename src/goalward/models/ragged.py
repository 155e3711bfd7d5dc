"""Attention for sequences of any lengths side by side, without padding or masks: FlashAttention, on GPUs.

Written without a GPU at hand: its places are tested on the CPU with a plain stand-in for the kernel, and before it is used
on a GPU it is compared with the plain attention there.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

_TOLERANCE = 2e-2
"""Of the values' size: bf16 has eight bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ragged:
    """S segments of one line of tokens, each of which reads what it continues, and itself up to each token.

    reads: [K], places in the line of what each segment reads, segment after segment; asked and read: [S + 1], int32, where
    each one's own tokens begin in the line and its part in `reads`; most_asked, most_read: the longest of them.
    """

    reads: Tensor
    asked: Tensor
    read: Tensor
    most_asked: int
    most_read: int

    @classmethod
    def of(cls, segments: Sequence[tuple[int, NDArray[np.int64]]], device: torch.device) -> Self:
        """Segments as (own tokens, places of all that it reads), in the line's order."""
        own = [count for count, _ in segments]
        whole = [len(path) for _, path in segments]

        def starts(lengths: list[int]) -> Tensor:
            return torch.from_numpy(np.cumsum([0, *lengths]).astype(np.int32)).to(device)

        reads = torch.from_numpy(np.concatenate([path for _, path in segments])).to(device)
        return cls(
            reads=reads, asked=starts(own), read=starts(whole), most_asked=max(own), most_read=max(whole)
        )

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """From q [N, heads, D], k and v [N, kv heads, D] of the whole line, [N, heads, D]."""
        keys, values = (F.embedding(self.reads, x.flatten(1)).view(-1, *x.shape[1:]) for x in (k, v))
        return _kernel(q, keys, values, self)


def _kernel(q: Tensor, k: Tensor, v: Tensor, ragged: Ragged) -> Tensor:
    """FlashAttention; a segment's last token reads all of the segment's keys, the one before all but one, and so on."""
    from torch.nn.attention.varlen import varlen_attn

    found: Any = varlen_attn(
        q,
        k,
        v,
        ragged.asked,
        ragged.read,
        ragged.most_asked,
        ragged.most_read,
        window_size=(-1, 0),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    assert isinstance(found, Tensor)
    return found


def plain(q: Tensor, k: Tensor, v: Tensor, ragged: Ragged) -> Tensor:
    """What the kernel must give, segment by segment."""
    shared = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
    found = []
    asked, read = ragged.asked.tolist(), ragged.read.tolist()
    for index in range(len(asked) - 1):
        mine = q[asked[index] : asked[index + 1]].transpose(0, 1)
        keys, values = (x[read[index] : read[index + 1]].transpose(0, 1) for x in (k, v))
        before = keys.shape[1] - mine.shape[1]
        seen = torch.ones(mine.shape[1], keys.shape[1], dtype=torch.bool, device=q.device).tril(before)
        found.append(F.scaled_dot_product_attention(mine, keys, values, attn_mask=seen).transpose(0, 1))
    return torch.cat(found)


@cache
def usable(device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, size: int) -> bool:
    """Whether the kernel is for this device and dtype, and works here; a warning where it should and does not."""
    if device.type != "cuda" or dtype == torch.float32:
        return False
    why = trouble(device, dtype, heads, kv_heads, size)
    if why is not None:
        warnings.warn(
            f"attention for packed sequences {why}; training pads and masks instead, which is slower."
            " Please report it with the GPU's name and PyTorch's version.",
            stacklevel=2,
        )
    return why is None


def trouble(device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, size: int) -> str | None:
    """What is wrong with the kernel's values or gradients on a small example; None if nothing is."""
    segments = [(5, np.arange(5)), (4, np.arange(9)), (3, np.array([0, 1, 2, 3, 4, 9, 10, 11]))]
    ragged = Ragged.of(segments, device)
    chance = torch.Generator().manual_seed(0)
    keys = (len(ragged.reads), kv_heads, size)
    shapes = ((12, heads, size), (12, heads, size), keys, keys)
    weight, *inputs = (torch.randn(shape, generator=chance).to(device, dtype) for shape in shapes)

    def probe(attention: Callable[[Tensor, Tensor, Tensor, Ragged], Tensor]) -> list[Tensor]:
        with torch.inference_mode(False), torch.enable_grad():
            q, k, v = (x.clone().requires_grad_() for x in inputs)
            out = attention(q, k, v, ragged)
            return [out.detach(), *torch.autograd.grad((out * weight.clone()).sum(), (q, k, v))]

    try:
        pairs = zip(probe(_kernel), probe(plain), strict=True)
        agrees = all(float((a - b).norm()) <= _TOLERANCE * float(b.norm()) for a, b in pairs)
    except (ImportError, TypeError, RuntimeError) as error:
        return f"cannot run: {error}"
    return None if agrees else "disagrees with the plain attention"
