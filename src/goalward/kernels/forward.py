"""Reading prompts and writing tokens with a small model, in C++ (forward.cpp): the binding.

Each call works in as many threads as it is given lanes, and leaves Python to the others.
"""

import ctypes
from ctypes import POINTER, Structure, byref, c_float, c_int64, c_void_p
from functools import cache

import numpy as np

from goalward.kernels.build import load


class Layer(Structure):
    """Where one layer's weights are, fp32: matrices in panels, null for what it lacks."""

    _fields_ = [
        (name, c_void_p)
        for name in (
            *("input_norm", "qkv", "qkv_bias", "q_norm", "k_norm"),
            *("out", "post_norm", "gate", "up", "down"),
        )
    ]


class Model(Structure):
    """Sizes, and where the rest of the weights is; cosine, sine: [positions, head size], the sine's first half negated."""

    _fields_ = [
        *((name, c_int64) for name in ("layers", "hidden", "heads", "kv_heads", "size", "mlp", "vocabulary")),
        ("epsilon", c_float),
        *((name, c_void_p) for name in ("embedding", "norm", "head", "head_bias", "cosine", "sine")),
        ("layer", POINTER(Layer)),
    ]


class Sampling(Structure):
    """As in engines/engine.py."""

    _fields_ = [("temperature", c_float), ("top_p", c_float), ("top_k", c_int64)]


ROW = np.dtype(
    [
        *((name, np.uintp) for name in ("stem", "prompt", "own")),
        *((f"{name}_room", np.int64) for name in ("stem", "prompt", "own")),
        *((f"{name}_length", np.int64) for name in ("stem", "prompt", "own")),
    ],
    align=True,
)
"""Where a row's keys and values are, of what all prompts begin with, of its prompt, and of its own tokens; how many
tokens there is room for, and how many are there."""


class Forward:
    """The compiled functions. Pointers are not checked.

    lanes: floats of a vector, of which heads are multiples, and tokens whose keys stand side by side; panel: columns
    that matrices are packed by; most_sharing: queries that may read one key.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        for name in ("vector_lanes", "panel_width", "most_sharing"):
            getattr(library, name).restype = c_int64
        self.lanes: int = library.vector_lanes()
        self.panel: int = library.panel_width()
        self.most_sharing: int = library.most_sharing()
        self._read, self._write = library.read_prompts, library.write_tokens
        self._read.restype = self._write.restype = None
        self._read.argtypes = [
            POINTER(Model),
            c_void_p,
            c_int64,
            c_void_p,
            c_void_p,
            c_int64,
            c_int64,
            c_void_p,
        ]
        self._write.argtypes = [
            *(POINTER(Model), c_void_p, c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_void_p, Sampling),
            *(c_void_p, c_int64, c_int64, c_int64, c_void_p, c_void_p),
        ]

    def read(
        self,
        model: Model,
        rows: int,
        prompts: int,
        tokens: int,
        lengths: int,
        *,
        lanes: int,
        longest: int,
        logits: int,
    ) -> None:
        """Read prompts into their rows' stretches; logits: of each one's last token, or 0. See `read_prompts`."""
        self._read(byref(model), rows, prompts, tokens, lengths, lanes, longest, logits or None)

    def write(
        self,
        model: Model,
        rows: int,
        shape: tuple[int, int],
        *,
        left: int,
        fresh: int,
        last: int,
        uniforms: int,
        sampling: Sampling,
        endings: tuple[int, int],
        lanes: int,
        longest: int,
        tokens: int,
        logprobs: int,
    ) -> None:
        """Write up to `shape` = (rows, tokens) tokens; endings: where they are, and how many. See `write_tokens`."""
        self._write(
            *(byref(model), rows, *shape, left, fresh, last, uniforms, sampling),
            *(*endings, lanes, longest, tokens, logprobs),
        )


@cache
def forward() -> Forward | None:
    """The kernels; None where they cannot be compiled."""
    library = load("forward")
    return None if library is None else Forward(library)
