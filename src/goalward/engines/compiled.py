"""Writing in C++, for small models on a CPU: see kernels/forward.cpp."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from goalward.engines.engine import Sampling
from goalward.engines.writer import Draw, Places
from goalward.errors import UsageError
from goalward.kernels import forward as kernel
from goalward.models.decoder import Decoder
from goalward.models.packed import Packed, trusted
from goalward.types import FloatArray, IntArray

_BLOCK = 16
"""Tokens written between looks at what has ended. A row that ends in between costs nothing."""

_PROBE = 40
"""Tokens that the kernels are tried on."""


def compiled_writer(
    decoder: Decoder, longest: int, shared: int, endings: Sequence[int], lanes: int
) -> "CompiledWriter | None":
    """A CompiledWriter of the weights as they are now; None where the kernels do not know the model.

    What a compiler made of them is compared with the decoder once: a disagreement is a warning, and None.
    """
    packed = Packed.of(decoder, max(longest, _PROBE))
    if packed is None:
        return None
    if not trusted(decoder, "forward.cpp", partial(_agrees, packed, decoder)):
        return None
    return CompiledWriter(packed, longest, shared, endings, lanes)


def _agrees(packed: Packed, decoder: Decoder) -> bool:
    """Whether the logits behind a few tokens are the decoder's."""
    prompt = (np.arange(_PROBE) * 37 + 11) % packed.embeddings
    writer = CompiledWriter(packed, _PROBE, 0, (), 1)
    writer.admit([prompt.astype(np.int32)], np.zeros(1, np.int64), np.ones(1, np.int64))
    found = writer.first_logits()[0]
    expected = decoder.head(decoder.forward(torch.from_numpy(prompt)[None]))[0, -1].float().numpy()
    gap, size = np.abs(found - expected).max(), np.abs(expected).max()
    return not gap > 1e-3 * size  # weights that are not numbers are for the engine to name


class CompiledWriter:
    """A Writer whose tokens are read and chosen by lanes that do not wait for each other.

    Keys and values lie in stretches: one for each prompt, one for each row's own tokens, and one for what all prompts
    begin with. A stretch is in an arena, which lives as long as one of its rows.

    A row's tokens do not depend on its neighbours, but for how many tokens all prompts share: each number is summed in
    one order, whatever stands beside it.
    """

    grows = True
    full = False

    def __init__(self, packed: Packed, longest: int, shared: int, endings: Sequence[int], lanes: int) -> None:
        """For sequences of up to `longest` tokens, which all begin with the same `shared` ones, in so many threads."""
        self._packed = packed
        self._longest = longest
        self._shared = shared
        self._endings = np.array(endings, np.int32)
        self._lanes = lanes
        self._stem: FloatArray | None = None
        self._arenas: list[FloatArray] = []
        self._rows = np.zeros(0, kernel.ROW)
        self._fresh = np.zeros(0, np.uintp)  # where a new row's first logits are; 0 where it has begun
        self._last = np.zeros(0, np.int32)  # what each row said last
        self._logits: list[FloatArray] = []

    def admit(self, prompts: Sequence[IntArray], owner: Places, limits: Places) -> None:
        """See Writer."""
        if self._shared and self._stem is None:
            self._stem = self._floats(self._room(self._shared))
            stem = np.zeros(1, kernel.ROW)
            stem["prompt"], stem["prompt_room"] = self._stem.ctypes.data, self._room(self._shared)
            self._read(stem, [prompts[0][: self._shared]], None)
        own = [prompt[self._shared :] for prompt in prompts]
        read, rows = np.zeros(len(prompts), kernel.ROW), np.zeros(len(owner), kernel.ROW)
        if self._stem is not None:
            read["stem"], read["stem_room"] = self._stem.ctypes.data, self._room(self._shared)
            read["stem_length"] = self._shared
        self._settle(read, "prompt", np.array([len(prompt) for prompt in own]))
        self._settle(rows, "own", limits)
        logits = np.empty((len(prompts), self._packed.padded_vocabulary), np.float32)
        self._read(read, own, logits)
        read["prompt_length"] = [len(prompt) for prompt in own]
        for name in ("stem", "prompt"):
            for field in (name, f"{name}_room", f"{name}_length"):
                rows[field] = read[field][owner]
        logits = logits[owner]  # a copy for each row, which sampling overwrites
        self._logits.append(logits)
        fresh = logits.ctypes.data + np.arange(len(owner), dtype=np.uintp) * np.uintp(logits.strides[0])
        self._rows = np.concatenate([self._rows, rows])
        self._fresh = np.concatenate([self._fresh, fresh])
        self._last = np.concatenate([self._last, np.zeros(len(owner), np.int32)])

    def first_logits(self) -> FloatArray:
        """Of the first token of each row that was admitted last and has none yet, [R, vocabulary]."""
        return self._logits[-1][:, : self._packed.vocabulary]

    def write(self, left: Places, draw: Draw, sampling: Sampling) -> tuple[Places, FloatArray]:
        """See Writer."""
        count = min(_BLOCK, int(left.max()))
        tokens = np.zeros((len(left), count), np.int32)
        logprobs = np.zeros((len(left), count), np.float32)
        limits, uniforms = left.astype(np.int32), np.ascontiguousarray(draw(count), np.float32)
        self._packed.kernels.write(
            self._packed.model,
            _address(self._rows),
            tokens.shape,
            left=_address(limits),
            fresh=_address(self._fresh),
            last=_address(self._last),
            uniforms=_address(uniforms),
            sampling=kernel.Sampling(sampling.temperature, sampling.top_p, sampling.top_k),
            endings=(_address(self._endings), len(self._endings)),
            lanes=self._lanes,
            longest=self._longest,
            tokens=_address(tokens),
            logprobs=_address(logprobs),
        )
        self._fresh[:] = 0
        self._logits.clear()
        self._last = tokens[:, -1].copy()
        return tokens.astype(np.int64), logprobs

    def keep(self, rows: Places) -> None:
        """See Writer."""
        self._rows, self._fresh, self._last = self._rows[rows], self._fresh[rows], self._last[rows]
        used = np.concatenate([self._rows["prompt"], self._rows["own"]])
        self._arenas = [arena for arena in self._arenas if _holds(arena, used)]

    def _read(self, rows: NDArray[np.void], prompts: Sequence[IntArray], logits: FloatArray | None) -> None:
        lines = [np.ascontiguousarray(prompt, np.int32) for prompt in prompts]
        highest = max(int(line.max()) for line in lines)
        if highest >= self._packed.embeddings:  # which would read what stands behind them
            raise UsageError(
                f"a prompt has token {highest}, and the model embeddings for {self._packed.embeddings}"
            )
        starts = np.array([line.ctypes.data for line in lines], np.uintp)
        lengths = np.array([len(line) for line in lines], np.int64)
        self._packed.kernels.read(
            self._packed.model,
            _address(rows),
            len(lines),
            _address(starts),
            _address(lengths),
            lanes=self._lanes,
            longest=self._longest,
            logits=0 if logits is None else _address(logits),
        )

    def _settle(self, rows: NDArray[np.void], name: str, lengths: Places) -> None:
        """Give each row a stretch `name` for so many tokens, in an arena of their own."""
        rooms = np.array([self._room(int(length)) for length in lengths])
        arena = self._floats(int(rooms.sum()))
        size = self._packed.floats_a_token * arena.itemsize
        rows[name] = arena.ctypes.data + (np.cumsum(rooms) - rooms) * size
        rows[f"{name}_room"] = rooms
        self._arenas.append(arena)

    def _room(self, tokens: int) -> int:
        """Tokens rounded up to whole blocks."""
        block = self._packed.kernels.lanes
        return -(-tokens // block) * block

    def _floats(self, tokens: int) -> FloatArray:
        return np.empty(tokens * self._packed.floats_a_token, np.float32)


def _holds(arena: FloatArray, addresses: NDArray[np.uintp]) -> bool:
    start = arena.ctypes.data
    return bool(((addresses >= start) & (addresses < start + arena.nbytes)).any())


def _address(array: NDArray[np.generic]) -> int:
    return int(array.ctypes.data)
