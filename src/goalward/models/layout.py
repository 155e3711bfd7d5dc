"""Sequences laid out for one forward pass. What they share at the start stands there once.

Attempts at one task repeat its prompt, and prompts repeat their instructions. A token's hidden state hangs
on nothing but what stands before it, so each distinct beginning is computed once and read by all that
continue it: its gradient is the sum of theirs. Only attention knows of rows; all else sees one flat line of
tokens, without padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from goalward.models.decoder import causal
from goalward.models.policy import Policy
from goalward.models.ragged import Ragged, usable
from goalward.types import IntArray

_WORTH_SHARING = 16
"""Tokens that all prompts have in common, from which on they are computed apart."""

_ALIKE = 0.85
"""Segments attend side by side if none is shorter than this share of the longest."""

Places = NDArray[np.int64]
Line = tuple[IntArray, IntArray]
"""Prompt and completion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Segments of like length that attend side by side: R rows of up to Q tokens, which read up to K.

    own: [R, Q] and path: [R, K], places in the flat line of a segment's own tokens, and of those and all that
    it continues; padded with place 0. filled: [n] which of the R x Q are tokens; they stand one after another
    in the line. mask: [R, 1, Q, K], 0 or -inf, or None where nothing is continued.
    """

    own: Tensor
    path: Tensor
    filled: Tensor
    mask: Tensor | None

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """From q [N, heads, D], k and v [N, kv heads, D] of the whole line, [n, heads, D] of these segments."""
        rows = _spread(q, self.own), _spread(k, self.path), _spread(v, self.path)
        if self.mask is None:
            attended = causal(0, *rows)
        else:
            query, key, value = (x.transpose(1, 2) for x in rows)
            shared = query.shape[1] // key.shape[1]
            if shared > 1 and key.is_cuda:  # the kernel that takes a mask there wants a key for each query
                key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
            attended = F.scaled_dot_product_attention(
                query, key, value, attn_mask=self.mask, enable_gqa=query.shape[1] != key.shape[1]
            ).transpose(1, 2)
        return attended.flatten(0, 1)[self.filled]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Tokens [B, T] of one forward pass, and where each sequence's stand in them.

    paths: for each sequence the flat places (in B x T) of its tokens, in their order;
    positions: [B, T], each token's place in its sequence; rows: who attends to what, part of the line after part;
    segments: [S, 3], where each one begins in the line, its tokens, and the number of the one that it continues, or -1.
    Where `rows` is empty the tokens are plain sequences, padded on the right.
    """

    tokens: Tensor
    paths: tuple[Places, ...]
    positions: Tensor | None = None
    rows: tuple[Rows | Ragged, ...] = ()
    segments: Places = field(default_factory=lambda: np.zeros((0, 3), np.int64))

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """An `Attend` for the decoder: [1, N, heads, D] in and out."""
        return torch.cat([rows.attend(q[0], k[0], v[0]) for rows in self.rows])[None]


def lay_out(sequences: Sequence[Line], policy: Policy, *, shared: int | None = None) -> Layout:
    """Packed for models that the lean decoder knows, else padded on the right.

    shared: the number of tokens to compute once for all prompts, where it is known already.
    """
    longest = max(len(prompt) + len(completion) for prompt, completion in sequences)
    if policy.lean(longest) is None:
        return _padded(sequences, longest, policy)
    return _packed(sequences, policy, shared)


def count_tokens(sequences: Sequence[Line]) -> int:
    """Tokens in the packed line, but for what all prompts share."""
    prompts = {prompt.tobytes(): len(prompt) for prompt, _ in sequences}
    return sum(prompts.values()) + sum(len(completion) for _, completion in sequences)


def _padded(sequences: Sequence[Line], width: int, policy: Policy) -> Layout:
    tokens = np.full((len(sequences), width), policy.pad_id, np.int64)
    paths = []
    for row, sequence in enumerate(sequences):
        line = np.concatenate(sequence)
        tokens[row, : len(line)] = line
        paths.append(row * width + np.arange(len(line)))
    return Layout(tokens=torch.from_numpy(tokens).to(policy.device), paths=tuple(paths))


def _packed(sequences: Sequence[Line], policy: Policy, shared: int | None) -> Layout:
    prompts = {prompt.tobytes(): prompt for prompt, _ in sequences}
    shared = common_start(list(prompts.values())) if shared is None else shared
    packing = _Packing(policy)
    [stem] = (
        packing.add([(next(iter(prompts.values()))[:shared], np.zeros(0, np.int64))]) if shared else [None]
    )
    root = np.zeros(0, np.int64) if stem is None else stem
    stems = packing.add([(prompt[shared:], root) for prompt in prompts.values()])
    place = dict(zip(prompts, stems, strict=True))
    paths = packing.add([(completion, place[prompt.tobytes()]) for prompt, completion in sequences])
    return packing.layout(tuple(paths))


class _Packing:
    """Grows segment by segment."""

    def __init__(self, policy: Policy) -> None:
        self._device = policy.device
        decoder = policy.decoder
        assert decoder is not None
        self._dtype = decoder.embedding.dtype
        heads = (decoder.heads, decoder.kv_heads, decoder.head_dim)
        self._ragged = usable(self._device, self._dtype, *heads)
        self._segments: list[tuple[int, Places]] = []
        self._tokens: list[IntArray] = []
        self._positions: list[Places] = []
        self._rows: list[Rows] = []
        self._tree: list[tuple[int, int, int]] = []
        self._last: dict[int, int] = {}  # the segment that ends at a place
        self._size = 0

    def add(self, segments: Sequence[tuple[IntArray, Places]]) -> list[Places]:
        """Append segments (tokens, path of what they continue); returns each one's whole path."""
        paths: list[Places] = [before for _, before in segments]
        order = sorted(range(len(segments)), key=lambda i: -len(segments[i][0]))
        start = 0
        while start < len(order) and (longest := len(segments[order[start]][0])):
            end = start
            while end < len(order) and len(segments[order[end]][0]) >= _ALIKE * longest:
                end += 1
            for index in order[start:end]:
                tokens, before = segments[index]
                paths[index] = np.concatenate([before, self._size + np.arange(len(tokens))])
                parent = self._last[int(before[-1])] if len(before) else -1
                self._last[self._size + len(tokens) - 1] = len(self._tree)
                self._tree.append((self._size, len(tokens), parent))
                self._tokens.append(tokens)
                self._positions.append(np.arange(len(before), len(paths[index])))
                self._size += len(tokens)
            if self._ragged:
                self._segments += [(len(segments[i][0]), paths[i]) for i in order[start:end]]
            else:
                continued = [(len(segments[i][1]), paths[i]) for i in order[start:end]]
                self._rows.append(self._side_by_side(continued))
            start = end
        return paths

    def _side_by_side(self, segments: Sequence[tuple[int, Places]]) -> Rows:
        """Rows of (how much is continued, whole path)."""
        depths = torch.tensor([depth for depth, _ in segments], device=self._device)
        own = table([path[depth:] for depth, path in segments], self._device)
        path = table([path for _, path in segments], self._device)
        sizes = torch.tensor([len(path) - depth for depth, path in segments], device=self._device)
        columns = torch.arange(own.shape[1], device=self._device)
        mask = None
        if depths.any():
            reach = depths[:, None] + columns  # [R, Q]: the last that each token reads
            hidden = torch.arange(path.shape[1], device=self._device) > reach[..., None]
            mask = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device)
            mask = mask.masked_fill_(hidden, -torch.inf)[:, None]
        filled = (columns < sizes[:, None]).flatten().nonzero()[:, 0]
        return Rows(own=own, path=path, filled=filled, mask=mask)

    def layout(self, paths: tuple[Places, ...]) -> Layout:
        """All that was added."""
        tokens = np.concatenate(self._tokens).astype(np.int64)
        positions = np.concatenate(self._positions)
        return Layout(
            tokens=torch.from_numpy(tokens).to(self._device)[None],
            paths=paths,
            positions=torch.from_numpy(positions).to(self._device)[None],
            rows=(Ragged.of(self._segments, self._device),) if self._ragged else tuple(self._rows),
            segments=np.array(self._tree, np.int64),
        )


def table(paths: Sequence[Places], device: torch.device) -> Tensor:
    """Paths of several lengths as one table [N, longest], padded with place 0."""
    padded = np.zeros((len(paths), max(map(len, paths))), np.int64)
    for row, path in enumerate(paths):
        padded[row, : len(path)] = path
    return torch.from_numpy(padded).to(device)


def common_start(prompts: Sequence[IntArray]) -> int:
    """How many tokens several prompts all begin with, each keeping at least one of its own; 0 if few."""
    if len(prompts) < 2:
        return 0
    width = min(map(len, prompts)) - 1
    block = np.stack([prompt[:width] for prompt in prompts])
    differs = np.flatnonzero((block != block[0]).any(0))
    common = int(differs[0]) if differs.size else width
    return common if common >= _WORTH_SHARING else 0


def _spread(x: Tensor, places: Tensor) -> Tensor:
    """Take x [N, heads, D] at `places` [R, T]: [R, T, heads, D].

    As a look-up in a table, since its backward pass adds up equal places faster than indexing's.
    """
    return F.embedding(places, x.flatten(1)).view(*places.shape, *x.shape[1:])
