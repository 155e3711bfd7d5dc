"""A small model's weights as the C++ kernels read them: in panels, a copy made anew where they have changed.

A panel holds as many rows of a matrix as a register tile has columns, and of these one input after another, so that
a kernel reads memory from front to back.
"""

import warnings
from collections.abc import Callable
from typing import Any, Self
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from goalward.kernels import forward as kernel
from goalward.models.decoder import Decoder
from goalward.models.decoder import Layer as DecoderLayer
from goalward.models.fused import plain, weight_of


class Packed:
    """One model's copy. `model` is what the kernels take; it is good while this lives."""

    @classmethod
    def of(cls, decoder: Decoder, longest: int) -> Self | None:
        """From the weights as they are now, for sequences of up to `longest` tokens.

        None where there is no compiler, or the model is not what the kernels know: fp32 on a CPU, linear modules
        (with adapters or without), biases on queries, keys and values at most, SiLU.
        """
        kernels = kernel.forward() if known(decoder) and _ends_known(decoder) else None
        if kernels is None or decoder.head_dim % kernels.lanes:
            return None
        if decoder.heads // decoder.kv_heads > kernels.most_sharing:
            return None
        return cls(decoder, kernels, longest)

    @torch.no_grad()
    def __init__(self, decoder: Decoder, kernels: kernel.Forward, longest: int) -> None:
        """See `of`."""
        self.kernels = kernels
        self.vocabulary = _rows(decoder.head)
        self.embeddings = len(decoder.embedding)
        self._kept: list[Tensor] = []
        first = decoder.layers[0]
        cos, signed = decoder.rotary(longest, decoder.embedding)
        layers = (kernel.Layer * len(decoder.layers))(*map(self._layer, decoder.layers))
        self.model = kernel.Model(
            layers=len(decoder.layers),
            hidden=decoder.embedding.shape[1],
            heads=decoder.heads,
            kv_heads=decoder.kv_heads,
            size=decoder.head_dim,
            mlp=_rows(first.gate),
            vocabulary=self.vocabulary,
            epsilon=_epsilon(first.input_norm),
            embedding=self._hold(decoder.embedding),
            norm=self._vector(weight_of(decoder.norm)),
            head=self._matrix(weight_of(decoder.head)),
            head_bias=self._vector(plain(decoder.head).bias),
            cosine=self._hold(cos[:, 0]),
            sine=self._hold(signed[:, 0]),
            layer=layers,
        )
        self.floats_a_token = 2 * len(decoder.layers) * decoder.kv_heads * decoder.head_dim

    @property
    def padded_vocabulary(self) -> int:
        """Logits of a position, in whole panels."""
        return -(-self.vocabulary // self.kernels.panel) * self.kernels.panel

    def _layer(self, layer: DecoderLayer) -> kernel.Layer:
        together = (layer.q, layer.k, layer.v)
        biases = [plain(linear).bias for linear in together]
        return kernel.Layer(
            input_norm=self._vector(weight_of(layer.input_norm)),
            qkv=self._matrix(torch.cat([weight_of(linear) for linear in together])),
            qkv_bias=None if biases[0] is None else self._vector(torch.cat(biases)),
            q_norm=None if layer.q_norm is None else self._vector(weight_of(layer.q_norm)),
            k_norm=None if layer.k_norm is None else self._vector(weight_of(layer.k_norm)),
            out=self._matrix(weight_of(layer.o)),
            post_norm=self._vector(weight_of(layer.post_norm)),
            gate=self._matrix(weight_of(layer.gate)),
            up=self._matrix(weight_of(layer.up)),
            down=self._matrix(weight_of(layer.down)),
        )

    def _matrix(self, weight: Tensor) -> int:
        """A matrix [rows, depth] as panels [rows / PANEL, depth, PANEL]; zeros where rows end."""
        padded = pad(weight, (0, 0, 0, -len(weight) % self.kernels.panel))
        return self._hold(padded.view(-1, self.kernels.panel, weight.shape[1]).transpose(1, 2))

    def _vector(self, weight: Tensor | None) -> int | None:
        return None if weight is None else self._hold(pad(weight, (0, -len(weight) % self.kernels.panel)))

    def _hold(self, tensor: Tensor) -> int:
        """The address of the tensor, or of a copy, which stays as long as this does."""
        self._kept.append(tensor.detach().contiguous())
        return self._kept[-1].data_ptr()


_trusted: WeakKeyDictionary[Decoder, dict[str, bool]] = WeakKeyDictionary()


def trusted(decoder: Decoder, text: str, agrees: Callable[[], bool]) -> bool:
    """Whether what a compiler made of `text` agrees with PyTorch on this model: asked once; a warning if not."""
    found = _trusted.setdefault(decoder, {})
    if text not in found:
        found[text] = agrees()
        if not found[text]:
            warnings.warn(
                f"goalward's {text}, as compiled here, disagrees with PyTorch on this model, so PyTorch computes it,"
                " which is slower. Please report it with the compiler's version and the CPU's name.",
                stacklevel=2,
            )
    return found[text]


def known(decoder: Decoder) -> bool:
    """Whether all that the kernels do in a layer is all that the model does, adapters aside."""
    norms = [decoder.norm]
    parameters: list[Tensor] = [decoder.embedding]
    for layer in decoder.layers:
        turning = [plain(linear) for linear in (layer.q, layer.k, layer.v)]
        bare = [plain(linear) for linear in (layer.o, layer.gate, layer.up, layer.down)]
        own = [n for n in (layer.input_norm, layer.post_norm, layer.q_norm, layer.k_norm) if n is not None]
        norms += own
        parameters += [p for module in (*turning, *bare, *own) for p in module.parameters()]
        if not all(type(linear) is nn.Linear for linear in (*turning, *bare)) or not _silu(layer.activation):
            return False
        if len({linear.bias is None for linear in turning}) > 1 or any(
            linear.bias is not None for linear in bare
        ):
            return False
    return (
        decoder.head_dim % 2 == 0
        and len(set(map(_epsilon, norms))) == 1
        and all(p.device.type == "cpu" and p.dtype == torch.float32 for p in parameters)
    )


def _ends_known(decoder: Decoder) -> bool:
    """The same for what stands before and behind the layers."""
    head = plain(decoder.head)
    return (
        type(decoder.embed) is nn.Embedding and type(head) is nn.Linear and head.weight.dtype == torch.float32
    )


def _silu(activation: Callable[[Tensor], Tensor]) -> bool:
    return type(activation).__name__ in ("SiLU", "SiLUActivation")


def _epsilon(norm: Any) -> float:
    return float(norm.variance_epsilon)


def _rows(linear: Any) -> int:
    return int(plain(linear).weight.shape[0])
