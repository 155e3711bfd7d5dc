import numpy as np
import pytest

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


def test_pack_by_hand(tiny_policy):
    first = example([1, 2, 3], [4, 5], logprobs=[-0.5, -0.25])
    second = example([6], [7, 8, 9], weight=[1, 0, 1])
    batch = pack([first, second], tiny_policy())
    # The first completion token is scored from the prompt's last position; the token of weight 0 is not.
    predicting = batch.layout.tokens.flatten()[batch.at]
    assert predicting.tolist() == [3, 4, 6, 8]
    assert batch.targets.tolist() == [4, 5, 7, 9]
    assert batch.example.tolist() == [0, 0, 1, 1]
    assert batch.advantage.tolist() == [0, 1, 0, 2]
    assert batch.behaviour[:2].tolist() == [-0.5, -0.25]
    assert batch.behaviour[2:].isnan().all()


def test_padded_micro_batches_fill_the_budget_longest_first():
    examples = [example([1], [2] * n) for n in (1, 9, 3, 4, 2)]
    split = micro_batches(examples, budget=10, packed=False)
    lengths = [[e.rollout.completion.size + 1 for e in part] for part in split]
    assert lengths == [[10], [5, 4], [3, 2]]


def test_packed_micro_batches_count_a_prompt_once_and_keep_its_attempts_together():
    examples = [example([9, p], [2] * n) for n in (1, 4, 3) for p in (1, 2)] + [example([9, 3], [2] * 6)]
    split = micro_batches(examples, budget=10, packed=True)
    seen = [[(e.rollout.prompt[1], e.rollout.completion.size) for e in part] for part in split]
    # 2 + 6; 2 + 4 + 3 + 1; the same for the other prompt.
    assert seen == [[(3, 6)], [(1, 4), (1, 3), (1, 1)], [(2, 4), (2, 3), (2, 1)]]
    [whole] = micro_batches(examples, budget=28, packed=True)
    assert len(whole) == 7


@pytest.mark.parametrize("packed", [True, False])
def test_an_example_over_the_budget_stands_alone(packed):
    examples = [example([1], [2] * 20), example([1], [2] * 19)]
    assert [len(part) for part in micro_batches(examples, budget=4, packed=packed)] == [1, 1]
