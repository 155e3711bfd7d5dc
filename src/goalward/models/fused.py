"""The decoder's forward, rearranged for writing: fewer and larger operations a layer, and no gradients.

While a sequence is written, a step is so little work that what it waits for is the number of operations. So queries,
keys and values come from one matrix, gate and up from another, and both are copies, which `refresh` brings up to date
in place before each round; adapters are merged into them. Queries and keys are turned by one complex product: their
dimensions are reordered so that each pair that turns together stands together, which changes no dot product.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from goalward.models.decoder import Attend, Decoder, Layer, normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedLayer:
    """One layer's copies.

    qkv: [(heads + 2 kv heads) x D, hidden]; bias: of its rows, or None; head_norm: [heads + kv heads, D], the weights
    of Qwen3's norms of queries and keys, or None; gate_up: [2 x mlp, hidden].
    """

    layer: Layer
    qkv: Tensor
    bias: Tensor | None
    head_norm: Tensor | None
    gate_up: Tensor


class FusedDecoder:
    """A Decoder for writing. Queries come scaled by D^-1/2, as attention needs them."""

    def __init__(self, decoder: Decoder) -> None:
        """`refresh` must be called before the first use."""
        self.decoder = decoder
        size = decoder.head_dim
        self._heads = weight_of(decoder.layers[0].q).shape[0] // size
        self._pairs = torch.arange(size, device=decoder.embedding.device).view(2, -1).t().flatten()
        self._layers = [self._copies(layer) for layer in decoder.layers]

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the model's current weights."""
        for mine in self._layers:
            layer = mine.layer
            parts = [self._paired(weight_of(m)) for m in (layer.q, layer.k)]
            torch.cat([*parts, weight_of(layer.v)], out=mine.qkv)
            torch.cat([weight_of(layer.gate), weight_of(layer.up)], out=mine.gate_up)
            if mine.bias is not None:
                biases = [self._paired(bias_of(m)) for m in (layer.q, layer.k)]
                torch.cat([*biases, bias_of(layer.v)], out=mine.bias)
            if mine.head_norm is not None:
                kinds = ((layer.q_norm, self._heads), (layer.k_norm, self.decoder.kv_heads))
                rows = [self._paired(_weight(norm)).expand(n, -1) for norm, n in kinds if norm is not None]
                torch.cat(rows, out=mine.head_norm)

    def turns(self, length: int) -> Tensor:
        """The rotary factors of positions 0 to `length - 1`, [T, heads + kv heads, D / 2], complex."""
        cos, signed = self.decoder.rotary(length, self.decoder.embedding)
        half = self.decoder.head_dim // 2
        turn = torch.complex(cos[..., half:].float(), signed[..., half:].float())
        scale = torch.ones(self._heads + self.decoder.kv_heads, 1, device=turn.device)
        scale[: self._heads] = self.decoder.head_dim**-0.5
        return turn * scale

    def forward(self, tokens: Tensor, attend: Attend, turns: Tensor) -> Tensor:
        """Hidden states after the final norm, [B, T, hidden]; turns: of each token, [B, T, heads + kv heads, D / 2]."""
        decoder = self.decoder
        size, keys = decoder.head_dim, self._heads + decoder.kv_heads
        x: Tensor = decoder.embed(tokens)
        for index, mine in enumerate(self._layers):
            layer = mine.layer
            qkv = F.linear(normalise(x, layer.input_norm), mine.qkv, mine.bias)
            qkv = qkv.view(*tokens.shape, keys + decoder.kv_heads, size)
            turning = qkv[..., :keys, :]
            if mine.head_norm is not None and layer.q_norm is not None:
                epsilon = _epsilon(layer.q_norm)
                turning = F.rms_norm(turning, (size,), eps=epsilon) * mine.head_norm
            pairs = torch.view_as_complex(turning.float().reshape(*turning.shape[:-1], -1, 2))
            turned = torch.view_as_real(pairs * turns).flatten(-2).to(qkv.dtype)
            q, k = turned[..., : self._heads, :], turned[..., self._heads :, :]
            x = x + layer.o(attend(index, q, k, qkv[..., keys:, :]).flatten(-2))
            gate, up = F.linear(normalise(x, layer.post_norm), mine.gate_up).chunk(2, -1)
            x = x + layer.down(layer.activation(gate).mul_(up))
        return normalise(x, decoder.norm)

    def _copies(self, layer: Layer) -> FusedLayer:
        like = self.decoder.embedding
        q, k, v, gate, up = (weight_of(m) for m in (layer.q, layer.k, layer.v, layer.gate, layer.up))
        normed = (self._heads + self.decoder.kv_heads, self.decoder.head_dim)
        return FusedLayer(
            layer=layer,
            qkv=like.new_empty(len(q) + len(k) + len(v), q.shape[1]),
            bias=None if _base(layer.q).bias is None else like.new_empty(len(q) + len(k) + len(v)),
            head_norm=None if layer.q_norm is None else like.new_empty(normed),
            gate_up=like.new_empty(len(gate) + len(up), gate.shape[1]),
        )

    def _paired(self, rows: Tensor) -> Tensor:
        """The rows [heads x D, ...] with each head's dimensions in pairs."""
        heads = rows.view(-1, len(self._pairs), *rows.shape[1:])
        return heads[:, self._pairs].flatten(0, 1)


def weight_of(linear: Any) -> Tensor:
    """A linear module's weight, with its adapters where PEFT wraps it."""
    weight: Tensor = _base(linear).weight
    deltas: Sequence[Tensor] = [
        linear.get_delta_weight(name) for name in getattr(linear, "active_adapters", ())
    ]
    for delta in deltas:
        weight = weight + delta
    return weight


def bias_of(linear: Any) -> Tensor:
    """A linear module's bias."""
    bias: Tensor = _base(linear).bias
    return bias


def plain(decoder: Decoder) -> bool:
    """Whether the layers are what `FusedDecoder` takes apart: linear modules, maybe with adapters, and no other bias."""
    kept: Callable[[Any], bool] = lambda module: isinstance(_base(module), torch.nn.Linear)  # noqa: E731
    return all(
        all(map(kept, (layer.q, layer.k, layer.v, layer.gate, layer.up)))
        and _base(layer.gate).bias is None
        and _base(layer.up).bias is None
        for layer in decoder.layers
    )


def _base(linear: Any) -> Any:
    return linear.get_base_layer() if hasattr(linear, "get_base_layer") else linear


def _weight(norm: Any) -> Tensor:
    weight: Tensor = norm.weight
    return weight


def _epsilon(norm: Any) -> float:
    return float(norm.variance_epsilon)
