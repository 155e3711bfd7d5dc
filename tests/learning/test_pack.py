import numpy as np
import torch

from goalward.learning.pack import micro_batches, pack
from goalward.types import Example, Rollout


def example(prompt, completion, *, weight=None, logprobs=None):
    size = len(completion)
    rollout = Rollout(
        prompt=np.array(prompt, np.int32),
        completion=np.array(completion, np.int32),
        sampled=np.ones(size, np.bool_),
        logprobs=None if logprobs is None else np.array(logprobs, np.float32),
        text="",
        stop="eos",
    )
    return Example(
        rollout=rollout,
        advantage=np.arange(size, dtype=np.float32),
        weight=np.ones(size, np.float32) if weight is None else np.array(weight, np.float32),
    )


def test_pack_by_hand():
    first = example([1, 2, 3], [4, 5], logprobs=[-0.5, -0.25])
    second = example([6], [7, 8, 9], weight=[1, 0, 1])
    batch = pack([first, second], pad=0, device=torch.device("cpu"))
    assert batch.tokens.tolist() == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 0]]
    # The first completion token is scored from the prompt's last position; the token of weight 0 is not.
    assert list(zip(batch.rows.tolist(), batch.cols.tolist(), strict=True)) == [
        (0, 2),
        (0, 3),
        (1, 0),
        (1, 2),
    ]
    assert batch.tokens[batch.rows, batch.cols + 1].tolist() == [4, 5, 7, 9]
    assert batch.advantage.tolist() == [0, 1, 0, 2]
    assert batch.behaviour[:2].tolist() == [-0.5, -0.25]
    assert batch.behaviour[2:].isnan().all()


def test_micro_batches_fill_the_budget_longest_first():
    examples = [example([1], [2] * n) for n in (1, 9, 3, 4, 2)]
    split = micro_batches(examples, budget=10)
    lengths = [[e.rollout.completion.size + 1 for e in part] for part in split]
    assert lengths == [[10], [5, 4], [3, 2]]


def test_an_example_over_the_budget_stands_alone():
    split = micro_batches([example([1], [2] * 20), example([1], [2] * 19)], budget=4)
    assert [len(part) for part in split] == [1, 1]
