"""What a model remembers of the sequences it is writing, so that each token is computed once."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from goalward.engines.reading import Read, Shared, merge, read, with_ones
from goalward.models.fused import FusedDecoder
from goalward.models.layout import lay_out, table
from goalward.models.policy import Policy
from goalward.types import IntArray

PREFILL_TOKENS = 2**14
"""Prompt tokens computed at once; more would hold more activations, and be no faster."""


class Memory(Protocol):
    """The state of sequences that are being written side by side, a row each."""

    @property
    def grows(self) -> bool:
        """Whether rows may be added while others are being written."""
        ...

    @property
    def room(self) -> int:
        """How many tokens every row can still append."""
        ...

    def admit(self, prompts: Sequence[IntArray], owner: Tensor, room: int) -> Tensor:
        """Add rows behind the others; row r continues prompt owner[r], which never falls, by up to `room` tokens.

        Each prompt is read once. Returns the logits of each new row's first token, [R, V].
        """
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """Append a token [R] to each row; returns the logits of the next, [R, V]."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but `rows` [K], in their order, which become rows 0 to K - 1."""
        ...


def memory_for(policy: Policy, fused: FusedDecoder | None, longest: int, shared: int) -> Memory:
    """A memory for sequences of up to `longest` tokens, which all begin with the same `shared` ones."""
    if fused is None or policy.lean(longest) is None:
        return TransformersMemory(policy)
    return LeanMemory(policy, fused, longest, shared)


def row_bytes(policy: Policy, length: int) -> int:
    """What a sequence of `length` tokens takes in memory: keys and values of each layer."""
    config = policy.inner.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = policy.inner.get_input_embeddings().weight.element_size()
    return int(2 * config.num_hidden_layers * heads * head_dim * size * length)


@dataclass(slots=True, kw_only=True)
class Cohort:
    """Rows that were admitted together, and so have written equally many tokens: these need no mask.

    prompts: what they continue; positions: [R], each row's next place; keys and values of a layer:
    [R, kv heads, room, D and D + 1], of which `filled` are written.
    """

    prompts: Shared
    positions: Tensor
    keys: list[Tensor]
    values: list[Tensor]
    filled: int = 0

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def room(self) -> int:
        """How many tokens its rows can still append."""
        return self.keys[0].shape[2] - self.filled

    def reads(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> list[Read]:
        """Append k and v [R, kv heads, D]; what q [R x kv heads, queries, D] reads in prompts and own tokens."""
        keys, values, end = self.keys[layer], self.values[layer], self.filled + 1
        keys[:, :, self.filled], values[:, :, self.filled, :-1] = k, v
        values[:, :, self.filled, -1] = 1
        own = read(q, keys[:, :, :end].flatten(0, 1), values[:, :, :end].flatten(0, 1))
        return [self.prompts.read(layer, q), own]

    def keep(self, rows: Tensor) -> None:
        """See Memory."""
        self.positions = self.positions[rows]
        for cache in (self.keys, self.values):
            for layer, old in enumerate(cache):
                cache[layer] = old.new_empty((len(rows), *old.shape[1:]))
                cache[layer][:, :, : self.filled] = old[rows, :, : self.filled]
        self.prompts = self.prompts.keep(rows)


class LeanMemory:
    """Keys and values in slots that are allocated once, for models that the decoder knows.

    What rows share is kept once and read once for all of them in each step, as reading is what a step waits
    for: the beginning of all prompts, and each prompt by its attempts.
    """

    grows = True

    def __init__(self, policy: Policy, fused: FusedDecoder, longest: int, shared: int) -> None:
        """See memory_for."""
        self._policy = policy
        self._fused = fused
        self._decoder = fused.decoder
        self._shared = shared
        self._turns = fused.turns(longest)
        self._prefix: Shared | None = None
        self._cohorts: list[Cohort] = []

    @property
    def room(self) -> int:
        """See Memory."""
        return min(cohort.room for cohort in self._cohorts)

    def admit(self, prompts: Sequence[IntArray], owner: Tensor, room: int) -> Tensor:
        """See Memory."""
        weight = self._decoder.embedding
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=weight.device)
        width = int(lengths.max()) - self._shared
        heads, size = self._decoder.kv_heads, self._decoder.head_dim
        layers = self._decoder.layers

        def slots(count: int, room: int, size: int) -> list[Tensor]:
            return [weight.new_empty((count, heads, room, size)) for _ in layers]

        # Numbers behind a short prompt's end too, as what is not a number stays so under a mask.
        held = Shared.of(
            [kept.fill_(1) for kept in slots(len(prompts), width, size)],
            [kept.fill_(1) for kept in slots(len(prompts), width, size + 1)],
            lengths - self._shared,
            owner,
        )
        at_once = max(1, PREFILL_TOKENS // max(width, 1))
        last = [
            self._prefill(prompts[start : start + at_once], held, start)
            for start in range(0, len(prompts), at_once)
        ]
        cohort = Cohort(
            prompts=held,
            positions=lengths[owner],
            keys=slots(len(owner), room, size),
            values=slots(len(owner), room, size + 1),
        )
        self._cohorts.append(cohort)
        self._regroup()
        logits: Tensor = self._decoder.head(torch.cat(last))
        return logits[owner]

    def _prefill(self, prompts: Sequence[IntArray], held: Shared, start: int) -> Tensor:
        """Read prompts, the first of which is number `start`; returns the hidden state of each one's last token."""
        empty = np.zeros(0, np.int32)
        layout = lay_out([(prompt, empty) for prompt in prompts], self._policy, shared=self._shared)
        assert layout.positions is not None
        device = self._turns.device
        own = table([path[self._shared :] for path in layout.paths], device)
        rows = slice(start, start + len(prompts))
        stem: list[tuple[Tensor, Tensor]] = []

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            held.keys[layer][rows, :, : own.shape[1]] = k[0][own].transpose(1, 2)
            held.values[layer][rows, :, : own.shape[1], :-1] = v[0][own].transpose(1, 2)
            stem.append((k[:, : self._shared], v[:, : self._shared]))
            return layout.attend(layer, q * k.shape[-1] ** 0.5, k, v)

        hidden = self._fused.forward(layout.tokens, attend, self._turns[layout.positions])
        if self._shared and self._prefix is None:
            self._prefix = Shared.of(
                [k.transpose(1, 2).contiguous() for k, _ in stem],
                [with_ones(v.transpose(1, 2)) for _, v in stem],
                torch.tensor([self._shared], device=device),
                torch.zeros(0, dtype=torch.long, device=device),
            )
        return hidden[0, [path[-1] for path in layout.paths]]

    def step(self, tokens: Tensor) -> Tensor:
        """See Memory."""
        positions = torch.cat([cohort.positions for cohort in self._cohorts])
        hidden = self._fused.forward(tokens[:, None], self._attend, self._turns[positions][:, None])
        for cohort in self._cohorts:
            cohort.positions = cohort.positions + 1
            cohort.filled += 1
        logits: Tensor = self._decoder.head(hidden[:, 0])
        return logits

    def _attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        rows, heads, size = k.shape[0], *k.shape[-2:]
        q = q.reshape(rows * heads, -1, size)  # the queries that share a key head, together
        k, v = k[:, 0], v[:, 0]
        if len(self._cohorts) == 1:
            reads = self._cohorts[0].reads(layer, q, k, v)
            reads += [self._prefix.read(layer, q)] if self._prefix else []
            return merge(reads).to(k.dtype).view(rows, 1, -1, size)
        sizes = [len(cohort) for cohort in self._cohorts]
        parts = [count * heads for count in sizes]
        stem = self._prefix.read(layer, q).split(parts) if self._prefix else None
        attended = [
            merge(cohort.reads(layer, *part) + ([stem[index]] if stem else []))
            for index, (cohort, *part) in enumerate(
                zip(
                    self._cohorts,
                    torch.split(q, parts),
                    torch.split(k, sizes),
                    torch.split(v, sizes),
                    strict=True,
                )
            )
        ]
        return torch.cat(attended).to(k.dtype).view(rows, 1, -1, size)

    def keep(self, rows: Tensor) -> None:
        """See Memory."""
        start, kept = 0, []
        for cohort in self._cohorts:
            end = start + len(cohort)
            mine = rows[(rows >= start) & (rows < end)] - start
            if len(mine):
                kept.append(cohort)
                if len(mine) < len(cohort):
                    cohort.keep(mine)
            start = end
        self._cohorts = kept
        self._regroup()

    def _regroup(self) -> None:
        """All rows continue what all prompts begin with."""
        if self._prefix is not None:
            count = sum(len(cohort) for cohort in self._cohorts)
            self._prefix = self._prefix.continued_by(
                torch.zeros(count, dtype=torch.long, device=self._turns.device)
            )


class TransformersMemory:
    """The model's own forward and cache, for architectures that the decoder does not know.

    Rows are padded on the left, as transformers does when it generates.
    """

    grows = False
    room = sys.maxsize

    def __init__(self, policy: Policy) -> None:
        self._model = policy.model
        takes = signature(policy.inner.forward).parameters
        self._takes_positions = "position_ids" in takes
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        self._pad = policy.pad_id
        self._cache: Any = None

    def admit(self, prompts: Sequence[IntArray], owner: Tensor, room: int) -> Tensor:
        """See Memory; only where there are no rows."""
        self._cache = None
        longest = max(len(prompt) for prompt in prompts)
        tokens = torch.full((len(prompts), longest), self._pad)
        mask = torch.zeros((len(prompts), longest), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            tokens[row, longest - len(prompt) :] = torch.from_numpy(prompt)
            mask[row, longest - len(prompt) :] = 1
        self._mask = mask.to(owner.device)
        logits = self._forward(tokens.to(owner.device), (self._mask.cumsum(-1) - 1).clamp_min(0))
        self.keep(owner)
        return logits[owner]

    def step(self, tokens: Tensor) -> Tensor:
        """See Memory."""
        self._mask = F.pad(self._mask, (0, 1), value=1)
        return self._forward(tokens[:, None], self._mask.sum(-1, keepdim=True) - 1)

    def keep(self, rows: Tensor) -> None:
        """See Memory."""
        self._mask = self._mask[rows]
        self._cache.reorder_cache(rows)

    def _forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        out = self._model(
            input_ids=tokens,
            attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
            **({"position_ids": positions} if self._takes_positions else {}),
            **self._last_only,
        )
        self._cache = out.past_key_values
        logits: Tensor = out.logits[:, -1]
        return logits
