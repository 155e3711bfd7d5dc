"""Writing sequences side by side, some tokens at a time: what the engine asks for, and how it is done in steps."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalward.engines.cache import Memory
from goalward.engines.engine import Sampling
from goalward.engines.sampler import choose
from goalward.types import FloatArray, IntArray

_BLOCK = {"cpu": 1, "cuda": 8}
"""Tokens sampled between looks at what has ended: to look makes a GPU wait, not to look wastes tokens."""

Places = NDArray[np.int64]
Draw = Callable[[int], FloatArray]
"""The next so many uniform numbers of each row, [R, count]."""


class Writer(Protocol):
    """Sequences that are being written side by side, a row each."""

    @property
    def grows(self) -> bool:
        """Whether rows may be added while others are being written."""
        ...

    @property
    def full(self) -> bool:
        """Whether rows that have ended must leave before others go on."""
        ...

    def admit(self, prompts: Sequence[IntArray], owner: Places, limits: Places) -> None:
        """Add rows behind the others; row r continues prompt owner[r], which never falls, by up to limits[r] tokens.

        Each prompt is read once.
        """
        ...

    def write(self, left: Places, draw: Draw, sampling: Sampling) -> tuple[Places, FloatArray]:
        """Some tokens a row, at least one where left[r] > 0 are still wanted; and their log-probabilities, [R, count].

        What stands behind an end token, or behind left[r] tokens, means nothing.
        """
        ...

    def keep(self, rows: Places) -> None:
        """Forget all rows but `rows`, in their order, which become rows 0 to K - 1."""
        ...


class StepWriter:
    """Writes a token of every row at once, with PyTorch."""

    def __init__(self, memory: Memory, device: torch.device) -> None:
        self._memory = memory
        self._device = device
        self._logits: Tensor | None = None  # of the next token, where they are there already
        self._chosen = torch.zeros(0, dtype=torch.long, device=device)  # what each row said last
        self.grows = memory.grows

    @property
    def full(self) -> bool:
        """See Writer."""
        return self._memory.room == 0

    def admit(self, prompts: Sequence[IntArray], owner: Places, limits: Places) -> None:
        """See Writer."""
        before = [self._next()] if len(self._chosen) else []
        owners = torch.from_numpy(owner).to(self._device)
        self._logits = torch.cat([*before, self._memory.admit(prompts, owners, int(limits.max()))])

    def write(self, left: Places, draw: Draw, sampling: Sampling) -> tuple[Places, FloatArray]:
        """See Writer."""
        count = min(_BLOCK.get(self._device.type, 1), int(left[left > 0].min()), self._memory.room + 1)
        uniform = torch.from_numpy(draw(count)).to(self._device)
        tokens: list[Tensor] = []
        logprobs: list[Tensor] = []
        for column in range(count):
            self._chosen, logprob = choose(self._next(), uniform[:, column], sampling)
            tokens.append(self._chosen)
            logprobs.append(logprob)
        return torch.stack(tokens, 1).cpu().numpy(), torch.stack(logprobs, 1).cpu().numpy()

    def keep(self, rows: Places) -> None:
        """See Writer."""
        kept = torch.from_numpy(rows).to(self._device)
        self._memory.keep(kept)
        self._chosen = self._chosen[kept]

    def _next(self) -> Tensor:
        logits, self._logits = self._logits, None
        return self._memory.step(self._chosen) if logits is None else logits
