"""The decoder's forward, rearranged for writing: fewer and larger operations a layer, and no gradients.

While a sequence is written, a step is so little work that what it waits for is the number of operations. So queries,
keys and values come from one matrix, gate and up from another, adapters merged: copies, made anew for each round. Queries and keys are turned by one complex product: their
dimensions are reordered so that each pair that turns together stands together, which changes no dot product.
"""

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
        """From the model's weights as they are now."""
        self.decoder = decoder
        size = decoder.head_dim
        self._heads = decoder.heads
        self._pairs = torch.arange(size, device=decoder.embedding.device).view(2, -1).t().flatten()
        with torch.no_grad():
            self._layers = [self._fuse(layer) for layer in decoder.layers]

    @torch.no_grad()
    def refresh(self) -> None:
        """Take up the weights as they are now, in the memory that the copies have."""
        for mine in self._layers:
            fresh = self._fuse(mine.layer)
            for old, new in zip(_copies(mine), _copies(fresh), strict=True):
                old.copy_(new)

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
        epsilon = getattr(decoder.layers[0].q_norm, "variance_epsilon", None)
        x: Tensor = decoder.embed(tokens)
        for index, mine in enumerate(self._layers):
            layer = mine.layer
            qkv = F.linear(normalise(x, layer.input_norm), mine.qkv, mine.bias)
            qkv = qkv.view(*tokens.shape, keys + decoder.kv_heads, size)
            turning = qkv[..., :keys, :]
            if mine.head_norm is not None:
                turning = F.rms_norm(turning, (size,), eps=epsilon) * mine.head_norm
            pairs = torch.view_as_complex(turning.float().reshape(*turning.shape[:-1], -1, 2))
            turned = torch.view_as_real(pairs * turns).flatten(-2).to(qkv.dtype)
            q, k = turned[..., : self._heads, :], turned[..., self._heads :, :]
            x = x + layer.o(attend(index, q, k, qkv[..., keys:, :]).flatten(-2))
            gate, up = F.linear(normalise(x, layer.post_norm), mine.gate_up).chunk(2, -1)
            x = x + layer.down(layer.activation(gate).mul_(up))
        return normalise(x, decoder.norm)

    def _fuse(self, layer: Layer) -> FusedLayer:
        bias = None
        if plain(layer.q).bias is not None:
            turning = [self._paired(plain(linear).bias) for linear in (layer.q, layer.k)]
            bias = torch.cat([*turning, plain(layer.v).bias])
        norms = ((layer.q_norm, self._heads), (layer.k_norm, self.decoder.kv_heads))
        rows = [self._paired(weight_of(norm)).expand(n, -1) for norm, n in norms if norm is not None]
        return FusedLayer(
            layer=layer,
            qkv=torch.cat([*(self._paired(weight_of(m)) for m in (layer.q, layer.k)), weight_of(layer.v)]),
            bias=bias,
            head_norm=torch.cat(rows) if rows else None,
            gate_up=torch.cat([weight_of(layer.gate), weight_of(layer.up)]),
        )

    def _paired(self, rows: Tensor) -> Tensor:
        """The rows [heads x D, ...] with each head's dimensions in pairs."""
        heads = rows.view(-1, len(self._pairs), *rows.shape[1:])
        return heads[:, self._pairs].flatten(0, 1)


def _copies(layer: FusedLayer) -> list[Tensor]:
    held = (layer.qkv, layer.bias, layer.head_norm, layer.gate_up)
    return [tensor for tensor in held if tensor is not None]


def fuse(decoder: Decoder) -> FusedDecoder | None:
    """A FusedDecoder; None where the layers are not what it takes apart: linear modules, maybe with adapters."""
    for layer in decoder.layers:
        linears = [plain(module) for module in (layer.q, layer.k, layer.v, layer.gate, layer.up)]
        if not all(isinstance(linear, torch.nn.Linear) for linear in linears):
            return None
        if any(linear.bias is not None for linear in linears[3:]):
            return None
    return FusedDecoder(decoder)


def weight_of(module: Any) -> Tensor:
    """A module's weight, with its adapters where PEFT wraps it."""
    weight: Tensor = plain(module).weight
    for name in getattr(module, "active_adapters", ()):
        weight = weight + module.get_delta_weight(name)
    return weight


def plain(linear: Any) -> Any:
    """The module inside PEFT's wrapper, if there is one."""
    return linear.get_base_layer() if hasattr(linear, "get_base_layer") else linear
