"""Examples to micro-batches of tensors, by a budget of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from goalward.models.layout import Layout, lay_out
from goalward.models.policy import Policy
from goalward.types import Example, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """Some examples laid out for one forward pass, and their learned tokens, [n], in the examples' order.

    at: the flat place in the layout that predicts each (the first completion token is scored from the
    prompt's last); targets: the token; example: the number of the example that it belongs to;
    advantage, weight: its credit; behaviour: its log-probability when sampled, NaN where the text was recorded.
    """

    layout: Layout
    at: Tensor
    targets: Tensor
    example: Tensor
    advantage: Tensor
    weight: Tensor
    behaviour: Tensor


def micro_batches(examples: Sequence[Example], budget: int, *, packed: bool) -> list[list[Example]]:
    """Split so that each part is computed on at most `budget` tokens, the longest sequences first.

    packed: a prompt counts once for all its attempts, which stay together; else each example is padded to
    the longest beside it, so that those of like length share a batch. The longest come first, so that memory
    that does not suffice fails at once. An example over the budget stands alone.
    """
    batches: list[list[Example]] = []
    cost = budget  # of the newest batch
    ordered = _by_group(examples) if packed else sorted(examples, key=_length, reverse=True)
    for example in ordered:
        if packed:
            prompt = example.rollout.prompt
            known = bool(batches) and np.array_equal(batches[-1][-1].rollout.prompt, prompt)
            more = example.rollout.completion.size + (0 if known else prompt.size)
        else:
            more = _length(batches[-1][0] if batches and cost < budget else example)
        if cost + more > budget:
            batches.append([])
            cost, more = 0, _length(example)
        batches[-1].append(example)
        cost += more
    return batches


def pack(examples: Sequence[Example], policy: Policy) -> MicroBatch:
    """Lay `examples` out as one MicroBatch; tokens of weight 0 are read but not learned from."""
    # Nothing is predicted from a completion's last token.
    layout = lay_out([(e.rollout.prompt, e.rollout.completion[:-1]) for e in examples], policy)
    learned = [np.flatnonzero(example.weight) for example in examples]
    at = [
        path[example.rollout.prompt.size - 1 + places]
        for path, example, places in zip(layout.paths, examples, learned, strict=True)
    ]
    targets = [e.rollout.completion[places] for e, places in zip(examples, learned, strict=True)]
    owners = np.repeat(np.arange(len(examples)), [places.size for places in learned])

    def flat(values: Sequence[FloatArray]) -> Tensor:
        chosen = [value[places] for value, places in zip(values, learned, strict=True)]
        return torch.from_numpy(np.concatenate(chosen).astype(np.float32)).to(policy.device)

    return MicroBatch(
        layout=layout,
        at=torch.from_numpy(np.concatenate(at)).to(policy.device),
        targets=torch.from_numpy(np.concatenate(targets).astype(np.int64)).to(policy.device),
        example=torch.from_numpy(owners).to(policy.device),
        advantage=flat([example.advantage for example in examples]),
        weight=flat([example.weight for example in examples]),
        behaviour=flat([_behaviour(example) for example in examples]),
    )


def _by_group(examples: Sequence[Example]) -> list[Example]:
    """Attempts at one prompt side by side; the groups with the longest attempt first, and so within a group."""
    longest: dict[bytes, int] = {}
    for example in examples:
        prompt = example.rollout.prompt.tobytes()
        longest[prompt] = max(longest.get(prompt, 0), _length(example))
    keys = [example.rollout.prompt.tobytes() for example in examples]
    order = sorted(range(len(examples)), key=lambda i: (-longest[keys[i]], keys[i], -_length(examples[i])))
    return [examples[i] for i in order]


def _length(example: Example) -> int:
    return int(example.rollout.prompt.size + example.rollout.completion.size)


def _behaviour(example: Example) -> FloatArray:
    recorded = example.rollout.logprobs
    return np.full(example.weight.shape, np.nan, np.float32) if recorded is None else recorded
