"""Keys and values in slots that never move, so that a step is recorded once and played again: for GPUs.

A step is some hundreds of small kernels, which a GPU finishes faster than Python can ask for them; a CUDA graph asks
for all at once. It reads and writes where it did when it was recorded. So each sequence gets a slot as long as the
longest sequence, weights change in place, and one graph is recorded for each number of rows and each reach that comes
up, both rounded up; all of them serve until the weights move elsewhere.

Written without a GPU at hand: tests hold its steps to the plain ones on the CPU, where they are computed instead of
played, and on CUDA wherever there is one. If a recording fails, steps are computed, and a warning says so.
"""

import sys
import warnings
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from goalward.engines.cache import PREFILL_TOKENS
from goalward.models.fused import FusedDecoder
from goalward.models.layout import lay_out, table
from goalward.models.policy import Policy
from goalward.types import IntArray

_FEWEST_ROWS = 8
_REACH = 128
"""Graphs are for 8, 16, 32, ... rows that read up to 128, 256, 384, ... tokens."""


def slot_length(longest: int) -> int:
    """Tokens of a slot for sequences of up to `longest`."""
    return -(-longest // _REACH) * _REACH


class SlotMemory:
    """A Memory (see `cache`) of up to `rows` sequences of up to `length` tokens, kept from rollout to rollout."""

    grows = True
    room = sys.maxsize  # a slot holds a whole sequence

    def __init__(self, policy: Policy, fused: FusedDecoder, rows: int, longest: int, wanted: int) -> None:
        """Takes all its memory now. wanted: the rows that `rows` were to be, had there been memory."""
        self.rows = rows
        self._wanted = wanted
        self.length = slot_length(longest)
        self._policy = policy
        self._fused = fused
        self._decoder = fused.decoder
        weight = self._decoder.embedding
        shape = (rows, self._decoder.kv_heads, self.length, self._decoder.head_dim)
        # Zeros, as what is not a number would stay so under a mask.
        self._keys = [weight.new_zeros(shape) for _ in self._decoder.layers]
        self._values = [weight.new_zeros(shape) for _ in self._decoder.layers]
        self._tokens = torch.zeros(rows, dtype=torch.long, device=weight.device)
        self._positions = torch.zeros_like(self._tokens)
        self._logits = weight.new_zeros((rows, policy.vocabulary))
        self._turns = fused.turns(self.length)
        self._ends: IntArray = np.zeros(0, np.int64)  # the positions of the rows in use, on this side
        self._graphs: dict[tuple[int, int], torch.cuda.CUDAGraph] = {}
        self._records = weight.is_cuda
        self._weights = self._addresses()

    def suit(self, rows: int, longest: int) -> bool:
        """Whether new slots would hold no more rows, and sequences of `longest` fit."""
        return rows <= self._wanted and longest <= self.length

    def begin(self) -> None:
        """Forget all rows, and take up the weights of now."""
        self._ends = self._ends[:0]
        self._fused.refresh()
        if self._addresses() != self._weights:
            self._graphs.clear()
            self._weights = self._addresses()

    def admit(self, prompts: Sequence[IntArray], owner: Tensor, room: int) -> Tensor:
        """See Memory."""
        owners = owner.tolist()
        start = len(self._ends)
        lengths = np.array([len(prompt) for prompt in prompts], np.int64)
        self._ends = np.concatenate([self._ends, lengths[owners]])
        self._place()
        at_once = max(1, PREFILL_TOKENS // int(lengths.max()))
        last = []
        for first in range(0, len(prompts), at_once):
            mine = (owner >= first) & (owner < first + at_once)
            rows = mine.nonzero()[:, 0]
            last.append(self._prefill(prompts[first : first + at_once], owner[rows] - first, rows + start))
        logits: Tensor = self._decoder.head(torch.cat(last))
        return logits[owner]

    def _prefill(self, prompts: Sequence[IntArray], owner: Tensor, rows: Tensor) -> Tensor:
        """Read prompts into slots: prompt owner[r] into slot rows[r]; returns the state of each one's last token."""
        empty = np.zeros(0, np.int32)
        layout = lay_out([(prompt, empty) for prompt in prompts], self._policy)
        assert layout.positions is not None
        places = table(layout.paths, owner.device)
        width = places.shape[1]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            for slots, new in ((self._keys[layer], k), (self._values[layer], v)):
                slots[rows, :, :width] = new[0][places].transpose(1, 2)[owner]
            return layout.attend(layer, q * q.shape[-1] ** 0.5, k, v)  # which scales by itself

        hidden = self._fused.forward(layout.tokens, attend, self._turns[layout.positions])
        return hidden[0, [path[-1] for path in layout.paths]]

    def step(self, tokens: Tensor) -> Tensor:
        """See Memory. What is returned is overwritten by the next step."""
        count = len(self._ends)
        self._tokens[:count] = tokens
        bucket = max(_FEWEST_ROWS, 1 << (count - 1).bit_length())
        self._play(min(bucket, self.rows), slot_length(int(self._ends.max()) + 1))
        # Rows that have ended write on until they leave: into their last place, if they come so far.
        self._ends = np.minimum(self._ends + 1, self.length - 1)
        self._positions[:count].add_(1).clamp_(max=self.length - 1)
        return self._logits[:count]

    def keep(self, rows: Tensor) -> None:
        """See Memory."""
        reach = int(self._ends.max()) if len(self._ends) else 0
        for slots in (*self._keys, *self._values):
            slots[: len(rows), :, :reach] = slots[rows, :, :reach]
        self._ends = self._ends[rows.cpu().numpy()]
        self._place()

    def _place(self) -> None:
        """Positions of all rows; of slots that are not in use, the first."""
        self._positions.zero_()
        self._positions[: len(self._ends)] = torch.from_numpy(self._ends).to(self._positions.device)

    def _compute(self, rows: int, reach: int) -> None:
        """One step of the first `rows` slots, none of which reads beyond `reach`: tokens to logits, in place."""
        positions = self._positions[:rows]
        line = torch.arange(rows, device=positions.device)
        unseen = torch.arange(reach, device=positions.device) > positions[:, None]
        mask = torch.zeros(unseen.shape, dtype=self._logits.dtype, device=positions.device)
        mask = mask.masked_fill_(unseen, -torch.inf)[:, None, None]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self._keys[layer], self._values[layer]
            keys[line, :, positions], values[line, :, positions] = k[:, 0], v[:, 0]
            q = q.view(rows, k.shape[2], -1, q.shape[-1])  # the queries that share a key head, as a sequence
            found = F.scaled_dot_product_attention(
                q, keys[:rows, :, :reach], values[:rows, :, :reach], attn_mask=mask, scale=1.0
            )
            return found.reshape(rows, 1, -1, q.shape[-1])

        turns = self._turns[positions][:, None]
        hidden = self._fused.forward(self._tokens[:rows, None], attend, turns)
        self._logits[:rows] = self._decoder.head(hidden[:, 0])

    def _play(self, rows: int, reach: int) -> None:
        """A step by its graph, which is recorded if there is none; computed where nothing is recorded."""
        if self._records and (rows, reach) not in self._graphs:
            try:
                self._graphs[rows, reach] = self._record(rows, reach)
            except RuntimeError as error:
                self._records = False
                warnings.warn(
                    f"no CUDA graph could be recorded ({error}); sampling goes on without, which is slower."
                    " Please report it with the model's name and the GPU's.",
                    stacklevel=2,
                )
        if self._records:
            self._graphs[rows, reach].replay()
        else:
            self._compute(rows, reach)

    def _record(self, rows: int, reach: int) -> torch.cuda.CUDAGraph:
        # What is recorded must have run once, on a stream of its own; a step computed twice writes the same.
        now = torch.cuda.current_stream()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(now)
        with torch.cuda.stream(aside):
            self._compute(rows, reach)
        now.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values())).pool() if self._graphs else None
        with torch.cuda.graph(graph, pool=pool):
            self._compute(rows, reach)
        return graph

    def _addresses(self) -> tuple[int, ...]:
        """Where the model's weights are: others may stand in their place, whose graphs these are not."""
        return tuple(parameter.data_ptr() for parameter in self._policy.inner.parameters())
