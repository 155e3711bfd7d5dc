"""Examples to micro-batches of tensors, by a budget of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from goalward.types import Example, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """Some examples, right-padded, and where their learned tokens stand.

    tokens: [B, T] prompts and completions; rows, cols: [n] the position that predicts each learned
    token, which stands at cols + 1 (the first completion token is scored from the prompt's last);
    advantage, weight: [n]; behaviour: [n], NaN where the text was recorded.
    """

    tokens: Tensor
    rows: Tensor
    cols: Tensor
    advantage: Tensor
    weight: Tensor
    behaviour: Tensor


def micro_batches(examples: Sequence[Example], budget: int) -> list[list[Example]]:
    """Split so that rows x longest is within `budget` tokens, longest first.

    Neighbours in length share a batch, so little is padded; the longest come first, so that memory
    that does not suffice fails at once. An example longer than the budget stands alone.
    """
    batches: list[list[Example]] = []
    room = 0
    for example in sorted(examples, key=_length, reverse=True):
        if room < 1:
            batches.append([])
            room = max(budget // _length(example), 1)
        batches[-1].append(example)
        room -= 1
    return batches


def pack(examples: Sequence[Example], *, pad: int, device: torch.device) -> MicroBatch:
    """Lay `examples` out as one MicroBatch; tokens of weight 0 are read but not learned from."""
    width = max(_length(example) for example in examples)
    tokens = np.full((len(examples), width), pad, np.int64)
    rows, cols = [], []
    for row, example in enumerate(examples):
        rollout = example.rollout
        tokens[row, : _length(example)] = np.concatenate([rollout.prompt, rollout.completion])
        learned = np.flatnonzero(example.weight)
        rows.append(np.full(learned.size, row))
        cols.append(rollout.prompt.size - 1 + learned)

    def flat(values: Sequence[FloatArray]) -> Tensor:
        chosen = [value[example.weight != 0] for value, example in zip(values, examples, strict=True)]
        return torch.from_numpy(np.concatenate(chosen).astype(np.float32)).to(device)

    return MicroBatch(
        tokens=torch.from_numpy(tokens).to(device),
        rows=torch.from_numpy(np.concatenate(rows)).to(device),
        cols=torch.from_numpy(np.concatenate(cols)).to(device),
        advantage=flat([example.advantage for example in examples]),
        weight=flat([example.weight for example in examples]),
        behaviour=flat([_behaviour(example) for example in examples]),
    )


def _length(example: Example) -> int:
    return int(example.rollout.prompt.size + example.rollout.completion.size)


def _behaviour(example: Example) -> FloatArray:
    recorded = example.rollout.logprobs
    return np.full(example.weight.shape, np.nan, np.float32) if recorded is None else recorded
