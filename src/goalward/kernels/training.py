"""The layers of a decoder over one line of tokens, forward and back, in C++ (training.cpp): the binding.

Each call is one thread's work and leaves Python to the others.
"""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Array, Structure, byref, c_double, c_int64, c_void_p
from functools import cache

from goalward.kernels.build import load

PARTS = 14
"""Parameters of a layer, in this order: the norm before attention, q, k and v, their biases, the norms of q and k, o,
the norm before the MLP, gate, up, down."""


class Model(Structure):
    """Sizes, and where the parameters are: PARTS of each layer, null for those that it lacks, and the last norm."""

    _fields_ = (
        ("hidden", c_int64),
        ("layers", c_int64),
        ("mlp", c_int64),
        ("heads", c_int64),
        ("kv_heads", c_int64),
        ("size", c_int64),
        ("biased", c_int64),
        ("head_normed", c_int64),
        ("epsilon", c_double),
        ("weights", POINTER(c_void_p)),
    )


class Line(Structure):
    """A line of tokens in segments.

    start, count: where each segment's tokens begin, and how many they are; parent: the segment that it continues, -1 for
    none, which stands before it. position: of each token in its sequence. All int64. cosine, sine: [positions, head size],
    fp32; the first half of the sine is negated.
    """

    _fields_ = (
        ("tokens", c_int64),
        ("segments", c_int64),
        ("start", c_void_p),
        ("count", c_void_p),
        ("parent", c_void_p),
        ("position", c_void_p),
        ("cosine", c_void_p),
        ("sine", c_void_p),
    )


class Training:
    """The compiled functions. Pointers are to contiguous fp32; nothing is checked."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.lanes: int = library.lanes()
        self._memory, self._forward, self._backward = library.memory, library.forward, library.backward
        self._memory.restype = c_int64
        self._memory.argtypes = [POINTER(Model), POINTER(Line), c_int64]
        self._forward.argtypes = [POINTER(Model), POINTER(Line), c_int64, *[c_void_p] * 3]
        self._backward.argtypes = [POINTER(Model), POINTER(Line), *[c_void_p] * 5]

    def memory(self, model: Model, line: Line, *, keep: bool) -> int:
        """Numbers of memory that a pass takes; keep: and the way back."""
        size: int = self._memory(byref(model), byref(line), keep)
        return size

    def forward(self, model: Model, line: Line, memory: int, x: int, out: int, *, keep: bool) -> None:
        """`out` [tokens, hidden] becomes `x` [tokens, hidden] after all layers and the last norm."""
        self._forward(byref(model), byref(line), keep, memory, x, out)

    def backward(
        self, model: Model, line: Line, memory: int, x: int, of_out: int, of_x: int, of_weights: int
    ) -> None:
        """From the gradient of `out`: `of_x` becomes that of `x`, and the parameters' are added to `of_weights`.

        memory: as `forward` left it. of_weights: the parameters one after another in their order.
        """
        self._backward(byref(model), byref(line), memory, x, of_out, of_x, of_weights)


def pointers(addresses: Sequence[int | None]) -> Array[c_void_p]:
    """For `Model.weights`."""
    return (c_void_p * len(addresses))(*addresses)


@cache
def training() -> Training | None:
    """The kernels; None where they cannot be compiled."""
    library = load("training")
    return None if library is None else Training(library)
