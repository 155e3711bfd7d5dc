"""What a model remembers of the sequences it is writing, so that each token is computed once."""

from collections.abc import Sequence
from inspect import signature
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from goalward.models.decoder import Decoder, causal
from goalward.models.policy import Policy
from goalward.types import IntArray

_PREFILL_TOKENS = 2**14
"""Prompt tokens computed at once; more would hold more activations, and be no faster."""


class Memory(Protocol):
    """The state of R sequences that are being written side by side."""

    def prefill(self, prompts: Sequence[IntArray], owner: Tensor) -> Tensor:
        """Read each prompt once. Row r continues prompt owner[r]. Returns its logits, [R, V]."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """Append a token [R] to each row; returns the logits of the next, [R, V]."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but `rows` [K], which become rows 0 to K - 1."""
        ...


def memory_for(policy: Policy, prompt: int, room: int) -> Memory:
    """A memory for prompts of up to `prompt` tokens and up to `room` more."""
    decoder = policy.lean(prompt + room)
    return TransformersMemory(policy) if decoder is None else SharedPromptMemory(decoder, room, policy.pad_id)


def row_bytes(policy: Policy, length: int) -> int:
    """What a sequence of `length` tokens takes in memory: keys and values of each layer."""
    config = policy.inner.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    size = policy.inner.get_input_embeddings().weight.element_size()
    return int(2 * config.num_hidden_layers * heads * head_dim * size * length)


class SharedPromptMemory:
    """Keys and values in slots that are allocated once, for models the decoder knows.

    A prompt is kept once for all rows that continue it, and read once for all of them in each step,
    as reading is what a step waits for. Every row has written equally many tokens, so these need no mask.

    prompt keys, values of a layer: [N, kv heads, P, head_dim]; written: [R, kv heads, room, head_dim].
    """

    def __init__(self, decoder: Decoder, room: int, pad: int) -> None:
        """`room`: tokens that a row may append."""
        self._decoder = decoder
        self._room = room
        self._pad = pad
        self._filled = 0

    def prefill(self, prompts: Sequence[IntArray], owner: Tensor) -> Tensor:
        """See Memory."""
        decoder, device = self._decoder, owner.device
        sizes = [len(prompt) for prompt in prompts]
        tokens = torch.full((len(prompts), max(sizes)), self._pad)
        for row, prompt in enumerate(prompts):
            tokens[row, : len(prompt)] = torch.from_numpy(prompt)
        tokens, lengths = tokens.to(device), torch.tensor(sizes, device=device)

        weight = decoder.embedding
        prompt_shape = (len(prompts), decoder.kv_heads, max(sizes), decoder.head_dim)
        shape = (len(owner), decoder.kv_heads, self._room, decoder.head_dim)
        self._prompt_keys = [weight.new_empty(prompt_shape) for _ in decoder.layers]
        self._prompt_values = [weight.new_empty(prompt_shape) for _ in decoder.layers]
        self._keys = [weight.new_empty(shape) for _ in decoder.layers]
        self._values = [weight.new_empty(shape) for _ in decoder.layers]
        self._rotary = decoder.rotary(max(sizes) + self._room, weight)
        self._positions = lengths[owner]
        self._mask = torch.zeros((len(prompts), max(sizes)), device=device)
        self._mask.masked_fill_(torch.arange(max(sizes), device=device) >= lengths[:, None], -torch.inf)
        self._group(owner)

        at_once = max(1, _PREFILL_TOKENS // max(sizes))
        last = [
            self._read(tokens, lengths, start, start + at_once) for start in range(0, len(prompts), at_once)
        ]
        logits: Tensor = decoder.head(torch.cat(last))
        return logits[owner]

    def _read(self, tokens: Tensor, lengths: Tensor, start: int, end: int) -> Tensor:
        """Read prompts `start` to `end`; returns the hidden state of each one's last token."""

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self._prompt_keys[layer][start:end] = k.transpose(1, 2)
            self._prompt_values[layer][start:end] = v.transpose(1, 2)
            return causal(layer, q, k, v)

        hidden = self._decoder.forward(tokens[start:end], attend)
        return hidden[torch.arange(len(hidden), device=hidden.device), lengths[start:end] - 1]

    def step(self, tokens: Tensor) -> Tensor:
        """See Memory."""
        cos, sin = (part[self._positions][:, None] for part in self._rotary)
        hidden = self._decoder.forward(tokens[:, None], self._attend, (cos, sin))
        self._positions = self._positions + 1
        self._filled += 1
        logits: Tensor = self._decoder.head(hidden[:, 0])
        return logits

    def _attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values, end = self._keys[layer], self._values[layer], self._filled + 1
        keys[:, :, self._filled], values[:, :, self._filled] = k[:, 0], v[:, 0]
        rows, heads, size = len(q), keys.shape[1], q.shape[-1]
        prompts, members = self._slots.shape
        width = self._mask.shape[-1]

        q = q.view(rows, heads, -1, size)  # the queries that share a key head, together
        # Rows by the prompt they continue: [N, kv heads, members x queries, head_dim].
        asked = q[self._slots].transpose(1, 2).reshape(prompts * heads, -1, size)
        of_prompt = scores(asked, self._prompt_keys[layer].flatten(0, 1))
        of_prompt = (
            of_prompt.view(prompts, heads, members, -1, width) + self._mask[:, None, None, None]
        ).transpose(1, 2)
        of_written = scores(q.flatten(0, 1), keys[:, :, :end].flatten(0, 1)).view(*q.shape[:-1], end)
        share = torch.cat((of_prompt[self._owner, self._rank], of_written), -1)
        share = share.mul_(size**-0.5).softmax(-1).to(q.dtype)

        to_prompt = share[..., :width][self._slots].transpose(1, 2).reshape(prompts * heads, -1, width)
        read = to_prompt.bmm(self._prompt_values[layer].flatten(0, 1)).view(prompts, heads, members, -1, size)
        own = share[..., width:].flatten(0, 1).bmm(values[:, :, :end].flatten(0, 1)).view(q.shape)
        return (own + read.transpose(1, 2)[self._owner, self._rank]).view(rows, 1, -1, size)

    def keep(self, rows: Tensor) -> None:
        """See Memory."""
        self._positions = self._positions[rows]
        for cache in (self._keys, self._values):
            for layer, old in enumerate(cache):
                cache[layer] = old.new_empty((len(rows), *old.shape[1:]))
                cache[layer][:, :, : self._filled] = old[rows, :, : self._filled]
        used = self._group(self._owner[rows])
        if len(used) < len(self._mask):
            self._mask = self._mask[used]
            self._prompt_keys = [old[used] for old in self._prompt_keys]
            self._prompt_values = [old[used] for old in self._prompt_values]

    def _group(self, owner: Tensor) -> Tensor:
        """Note which rows continue which prompt; returns the prompts that any row does.

        owner: [R], never falling. Row r is member rank[r] of prompt owner[r]; slots [N, members] has
        the rows of each prompt, and any row where a prompt has fewer.
        """
        used: Tensor
        used, self._owner, counts = torch.unique(owner, return_inverse=True, return_counts=True)
        rows = torch.arange(len(owner), device=owner.device)
        self._rank = rows - (counts.cumsum(0) - counts)[self._owner]
        self._slots = rows.new_zeros((len(used), int(counts.max())))
        self._slots[self._owner, self._rank] = rows
        return used


def scores(q: Tensor, k: Tensor) -> Tensor:
    """Dot products of q [n, a, D] and k [n, b, D] in fp32, [n, a, b]: rounding them would blur attention."""
    if q.is_cuda and q.dtype != torch.float32:
        return torch.bmm(q, k.transpose(1, 2), out_dtype=torch.float32)
    return torch.bmm(q, k.transpose(1, 2)).float()


class TransformersMemory:
    """The model's own forward and cache, for architectures that the decoder does not know.

    Rows are padded on the left, as transformers does when it generates.
    """

    def __init__(self, policy: Policy) -> None:
        self._model = policy.model
        takes = signature(policy.inner.forward).parameters
        self._takes_positions = "position_ids" in takes
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        self._pad = policy.pad_id
        self._cache: Any = None

    def prefill(self, prompts: Sequence[IntArray], owner: Tensor) -> Tensor:
        """See Memory."""
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
