"""The decoder's layers in C++ where a model is small and on a CPU: one operation with a gradient, for all of them.

A small model's tensors fit into a core's cache if a few tokens are taken at a time. PyTorch's operations take the whole
line each, so that most of them wait for memory. Values and gradients are the plain decoder's, up to rounding.
"""

import mmap
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from goalward.kernels.training import Line, Model, Training, pointers, training
from goalward.models.decoder import Decoder, Layer
from goalward.models.fused import plain
from goalward.models.lanes import SMALL
from goalward.models.layout import Layout
from goalward.models.packed import known, trusted


@dataclass(frozen=True, slots=True)
class Stack:
    """The layers and the last norm of one decoder. Make it with `bind`."""

    decoder: Decoder
    kernels: Training
    parameters: tuple[Tensor | None, ...]
    hidden: int
    mlp: int

    @classmethod
    def bind(cls, decoder: Decoder) -> Self | None:
        """None where the kernels do not know a module, a shape or a device, or are not to be had.

        What a compiler made of them is compared with the plain decoder once: a disagreement is a warning, and None.
        """
        embedding = decoder.embedding
        if embedding.device.type != "cpu" or not known(decoder) or _adapted(decoder):
            return None
        each = [_parameters(layer) for layer in decoder.layers]
        parameters = (*chain.from_iterable(each), _tensor(decoder.norm.weight))
        present = [parameter for parameter in parameters if parameter is not None]
        if sum(p.numel() for p in (embedding, *present)) > SMALL or not all(
            p.is_contiguous() for p in present
        ):
            return None
        alike = len({tuple(part is None for part in parts) for parts in each}) == 1
        kernels = training() if alike else None
        hidden, mlp = embedding.shape[1], len(_tensor(decoder.layers[0].gate.weight))
        if kernels is None or any(width % kernels.lanes for width in (hidden, mlp, decoder.head_dim)):
            return None
        stack = cls(decoder, kernels, parameters, hidden, mlp)
        return stack if trusted(decoder, "training.cpp", partial(_agrees, stack)) else None

    def forward(self, layout: Layout, cosine: Tensor, sine: Tensor) -> Tensor:
        """Hidden states behind the last norm, [1, N, hidden]; cosine, sine: of each position (`Decoder.rotary`)."""
        x = self.decoder.embed(layout.tokens)[0]
        line = _Line.of(layout, cosine, sine)
        learns = torch.is_grad_enabled() and any(
            p is not None and p.requires_grad for p in (x, *self.parameters)
        )
        if learns:
            out: Tensor = _Layers.apply(x, self, line, *self.parameters)  # type: ignore[no-untyped-call]
            return out[None]
        return self.run(line, x.detach(), self.parameters, keep=False)[0][None]

    def run(
        self, line: "_Line", x: Tensor, parameters: Sequence[Tensor | None], *, keep: bool
    ) -> tuple[Tensor, Tensor | None]:
        """From x [N, hidden], hidden states of the same shape, and what `backward` needs if it is to be kept."""
        model = self.model(parameters)
        memory = _pool.take(self.kernels.memory(model, line.view, keep=keep))
        out = torch.empty_like(x)
        self.kernels.forward(model, line.view, memory.data_ptr(), x.data_ptr(), out.data_ptr(), keep=keep)
        if keep:
            return out, memory
        _pool.give(memory)
        return out, None

    def model(self, parameters: Sequence[Tensor | None]) -> Model:
        """What the kernels need to know."""
        decoder = self.decoder
        layer = decoder.layers[0]
        return Model(
            hidden=self.hidden,
            layers=len(decoder.layers),
            mlp=self.mlp,
            heads=decoder.heads,
            kv_heads=decoder.kv_heads,
            size=decoder.head_dim,
            biased=layer.q.bias is not None,
            head_normed=layer.q_norm is not None,
            epsilon=decoder.norm.variance_epsilon,
            weights=pointers([None if p is None else p.data_ptr() for p in parameters]),
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """A Line, and the tensors that it points to."""

    view: Line
    held: tuple[Tensor, ...]

    @classmethod
    def of(cls, layout: Layout, cosine: Tensor, sine: Tensor) -> Self:
        assert layout.positions is not None
        segments = torch.from_numpy(layout.segments).T.contiguous()
        held = (segments, layout.positions.contiguous(), cosine.contiguous(), sine.contiguous())
        start, count, parent = (row.data_ptr() for row in segments)
        view = Line(
            tokens=layout.positions.numel(),
            segments=segments.shape[1],
            start=start,
            count=count,
            parent=parent,
            position=held[1].data_ptr(),
            cosine=held[2].data_ptr(),
            sine=held[3].data_ptr(),
        )
        return cls(view, held)


class _Layers(torch.autograd.Function):
    """`Stack.run` with gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stack: Stack, line: _Line, *parameters: Tensor | None) -> Tensor:
        out, ctx.memory = stack.run(line, x, parameters, keep=True)
        ctx.stack, ctx.line = stack, line
        ctx.save_for_backward(x, *parameters)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: Tensor) -> tuple[Tensor | None, ...]:
        x, *parameters = ctx.saved_tensors
        memory, ctx.memory = ctx.memory, None
        if memory is None:
            raise RuntimeError("the layers were gone back through already: what that needs is kept only once")
        sizes = [0 if p is None else p.numel() for p in parameters]
        of_x, of_parameters, of_out = torch.empty_like(x), x.new_zeros(sum(sizes)), of_out.contiguous()
        ctx.stack.kernels.backward(
            ctx.stack.model(parameters),
            ctx.line.view,
            memory.data_ptr(),
            x.data_ptr(),
            of_out.data_ptr(),
            of_x.data_ptr(),
            of_parameters.data_ptr(),
        )
        _pool.give(memory)
        gradients = [
            None if p is None else part.view_as(p)
            for p, part in zip(parameters, of_parameters.split(sizes), strict=True)
        ]
        return of_x, None, None, *gradients


class _Pool:
    """Memory that the next pass writes over: to get it fresh from the system takes longer than to fill it."""

    def __init__(self) -> None:
        self._free: list[Tensor] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> Tensor:
        """At least `size` numbers, anything in them."""
        with self._lock:
            self._free.sort(key=len)
            for index, memory in enumerate(self._free):
                if len(memory) >= size:
                    return self._free.pop(index)
            if self._free:
                self._free.pop()  # too small: the larger one takes its place
        # What is never written to is no memory, so the next pass may be larger.
        room = mmap.mmap(-1, 4 * 2 ** (size - 1).bit_length())
        if hasattr(mmap, "MADV_HUGEPAGE"):
            room.madvise(mmap.MADV_HUGEPAGE)
        return torch.frombuffer(room, dtype=torch.float32)

    def give(self, memory: Tensor) -> None:
        """Take it back."""
        with self._lock:
            self._free.append(memory)


_pool = _Pool()


def _agrees(stack: Stack) -> bool:
    """Whether values and gradients are the plain decoder's on a few tokens."""
    decoder, count = stack.decoder, 40
    tokens = (torch.arange(count)[None] * 37 + 11) % len(decoder.embedding)
    places = np.arange(count)
    positions, segments = torch.from_numpy(places)[None], np.array([[0, count, -1]])
    layout = Layout(tokens=tokens, paths=(places,), positions=positions, segments=segments)
    weight = torch.randn(1, count, stack.hidden, generator=torch.Generator().manual_seed(0))
    learned = [p for p in stack.parameters if p is not None and p.requires_grad]

    def probe(forward: Callable[[], Tensor]) -> list[Tensor]:
        with torch.enable_grad():
            out = forward()
            return [out.detach(), *(torch.autograd.grad((out * weight).sum(), learned) if learned else ())]

    found = probe(lambda: stack.forward(layout, *decoder.rotary(count, decoder.embedding)))
    expected = probe(lambda: decoder.forward(tokens))
    pairs = zip(found, expected, strict=True)
    return all(float((a - b).norm()) <= 1e-3 * float(b.norm()) + 1e-6 for a, b in pairs)


def _adapted(decoder: Decoder) -> bool:
    """Whether a linear module stands in an adapter's wrapper."""
    each = (
        (layer.q, layer.k, layer.v, layer.o, layer.gate, layer.up, layer.down) for layer in decoder.layers
    )
    return any(plain(linear) is not linear for linear in chain.from_iterable(each))


def _parameters(layer: Layer) -> tuple[Tensor | None, ...]:
    """In the kernels' order."""
    attention: tuple[Any, ...] = (layer.q, layer.k, layer.v)
    rest: tuple[Any, ...] = (layer.o, layer.post_norm, layer.gate, layer.up, layer.down)
    return (
        _tensor(layer.input_norm.weight),
        *(linear.weight for linear in attention),
        *(linear.bias for linear in attention),
        *(None if norm is None else _tensor(norm.weight) for norm in (layer.q_norm, layer.k_norm)),
        *(module.weight for module in rest),
    )


def _tensor(parameter: Any) -> Tensor:
    assert isinstance(parameter, Tensor)
    return parameter
