"""A lean forward pass for the Llama family, bound to a Hugging Face module's own submodules.

One function serves training, prefill and decoding; what differs between them is only how a layer
attends, so that is an argument. The parameters stay where Hugging Face put them: no copy, no sync,
and adapters such as LoRA work because the projection modules themselves are called.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

FAMILIES = frozenset({"qwen2", "qwen3", "llama", "mistral"})

Rotary = tuple[Tensor, Tensor]
"""Cosine and signed sine, [..., T, 1, head_dim]; see `rotate`."""

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, q [B, T, heads, D], k and v [B, T, kv heads, D]) -> [B, T, heads, D]."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer's modules, looked up once; `q_norm` and `k_norm` exist in Qwen3 only."""

    input_norm: nn.Module
    q: nn.Module
    k: nn.Module
    v: nn.Module
    o: nn.Module
    q_norm: nn.Module | None
    k_norm: nn.Module | None
    post_norm: nn.Module
    gate: nn.Module
    up: nn.Module
    down: nn.Module
    activation: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, layer: Any) -> Self:
        """Take a Hugging Face decoder layer apart."""
        attention, mlp = layer.self_attn, layer.mlp
        return cls(
            input_norm=layer.input_layernorm,
            q=attention.q_proj,
            k=attention.k_proj,
            v=attention.v_proj,
            o=attention.o_proj,
            q_norm=getattr(attention, "q_norm", None),
            k_norm=getattr(attention, "k_norm", None),
            post_norm=layer.post_attention_layernorm,
            gate=mlp.gate_proj,
            up=mlp.up_proj,
            down=mlp.down_proj,
            activation=mlp.act_fn,
        )


class Decoder:
    """The functional forward of one model. Make it with `bind`."""

    def __init__(self, model: Any) -> None:
        config = model.config
        self.embed: nn.Module = model.model.embed_tokens
        self.layers = tuple(Layer.of(layer) for layer in model.model.layers)
        self.norm: nn.Module = model.model.norm
        self.head: nn.Module = model.lm_head
        self.rotary_module: nn.Module = model.model.rotary_emb
        self.head_dim: int = model.model.layers[0].self_attn.head_dim
        self.heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.window = _window(config)

    @classmethod
    def bind(cls, model: Any) -> Self | None:
        """Bind to a causal language model (the one inside, where PEFT wraps it).

        None where this forward would not be the model's own: another architecture, or rotary
        frequencies that change with the sequence's length.
        """
        if model.config.model_type not in FAMILIES:
            return None
        if model.model.rotary_emb.rope_type in ("dynamic", "longrope"):
            return None
        return cls(model)

    @property
    def embedding(self) -> Tensor:
        """The token embeddings [V, hidden], which tell the dtype and the device."""
        weight = self.embed.weight
        assert isinstance(weight, Tensor)
        return weight

    def fits(self, length: int) -> bool:
        """Whether no token of a sequence of `length` would lie outside a sliding window."""
        return self.window is None or length <= self.window

    def rotary(self, length: int, like: Tensor) -> Rotary:
        """Cosine and signed sine of positions 0 to `length - 1`, each [T, 1, head_dim].

        From the model's own module, so that every static scaling (linear, llama3, yarn) is right.
        """
        cos, sin = self.rotary_module(like, torch.arange(length, device=like.device)[None])
        half = self.head_dim // 2
        signed = torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)
        return cos[0, :, None], signed[0, :, None]

    def forward(self, tokens: Tensor, attend: Attend | None = None, rotary: Rotary | None = None) -> Tensor:
        """Hidden states after the final norm, [B, T, hidden]; `head` turns them into logits.

        tokens: [B, T], padded on the right if at all: what a real token attends to lies before it.
        attend: how each layer attends; causally within `tokens` where none is given.
        rotary: of each token's position; 0 to T - 1 where none is given.
        """
        attend = attend or causal
        x = self.embed(tokens)
        cos, sin = rotary or self.rotary(tokens.shape[1], x)
        heads = (*tokens.shape, -1, self.head_dim)
        for index, layer in enumerate(self.layers):
            h = normalise(x, layer.input_norm)
            q, k, v = layer.q(h).view(heads), layer.k(h).view(heads), layer.v(h).view(heads)
            if layer.q_norm is not None and layer.k_norm is not None:
                q, k = normalise(q, layer.q_norm), normalise(k, layer.k_norm)
            attended = attend(index, rotate(q, cos, sin), rotate(k, cos, sin), v)
            x = x + layer.o(attended.flatten(-2))
            h = normalise(x, layer.post_norm)
            x = x + layer.down(layer.activation(layer.gate(h)) * layer.up(h))
        return normalise(x, self.norm)


def _window(config: Any) -> int | None:
    """The sliding window, where a layer has one that is shorter than the model's longest sequence."""
    window: int | None = getattr(config, "sliding_window", None)
    types = getattr(config, "layer_types", None)
    if window is None or window >= config.max_position_embeddings:
        return None
    return None if types and "sliding_attention" not in types else window


def normalise(x: Tensor, norm: Any) -> Tensor:
    """RMS norm over the last dimension, with the module's weight and epsilon."""
    return F.rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding (Su et al. 2021, arXiv:2104.09864) of x [B, T, heads, D].

    With the sine of the first half negated beforehand, rotating the halves is a plain roll.
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


def causal(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention within the sequences given."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    attended = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])
    return attended.transpose(1, 2)


def verified(decoder: Decoder | None, model: Any) -> Decoder | None:
    """`decoder` where its logits and gradients are those of `model`; else None, and a loud warning."""
    if decoder is None:
        return None
    device = model.get_input_embeddings().weight.device
    tokens = (torch.arange(16, device=device).view(2, 8) * 37 + 11) % model.config.vocab_size
    # Every gradient of a small model; of a large one those of norms, biases and adapters, through
    # which the whole backward pass must be right.
    watched = [p for p in model.parameters() if p.requires_grad and p.numel() < 2**20]

    def probe(logits: Callable[[], Tensor]) -> list[Tensor]:
        with torch.enable_grad():
            out = logits().float()
            loss = out.log_softmax(-1)[..., 7 % out.shape[-1]].sum()
        grads = torch.autograd.grad(loss, watched, allow_unused=True) if watched else ()
        return [out.detach(), *(g.float() for g in grads if g is not None)]

    expected = probe(lambda: model(input_ids=tokens, use_cache=False).logits)
    found = probe(lambda: decoder.head(decoder.forward(tokens)))
    tolerance = 5e-4 if expected[0].dtype == decoder.norm.weight.dtype else 0.1
    if len(expected) == len(found) and all(map(_close(tolerance), found, expected)):
        return decoder
    warnings.warn(
        f"the lean forward disagrees with transformers on this {model.config.model_type} model; "
        "using transformers' own forward, which is slower. Please report it with the model's name.",
        stacklevel=2,
    )
    return None


def _close(tolerance: float) -> Callable[[Tensor, Tensor], bool]:
    return lambda a, b: bool((a - b).norm() <= tolerance * b.norm() + 1e-6)
