import numpy as np
import pytest
import torch

from goalward.learning.algorithm import TokenBatch
from goalward.learning.imitation import SFT, RejectionSampling
from goalward.types import Feedback, Group, Rollout, Task

TASK = Task(id="t", messages=({"role": "user", "content": "?"},))


def group(*attempts):
    rollouts = tuple(
        Rollout(
            prompt=np.array([1], np.int32),
            completion=np.array(tokens, np.int32),
            sampled=np.ones(len(tokens), np.bool_),
            logprobs=None,
            text="",
            stop="recorded",
        )
        for tokens, _ in attempts
    )
    return Group(task=TASK, rollouts=rollouts, feedback=tuple(Feedback(score=s) for _, s in attempts))


def test_sft_gives_every_token_the_same_share():
    examples = SFT().credit([group(([1, 2, 3], None)), group(([4], None))])
    assert [e.weight.tolist() for e in examples] == [[0.25] * 3, [0.25]]
    assert all((e.advantage == 1).all() for e in examples)


def test_rejection_sampling_keeps_what_passed_once():
    judged = group(([1, 2], 1.0), ([1, 2], 1.0), ([3], 0.5), ([4, 5], None), ([6], 2.0))
    kept = RejectionSampling().credit([judged])
    assert [e.rollout.completion.tolist() for e in kept] == [[1, 2], [6]]
    assert RejectionSampling().useful(judged)
    assert not RejectionSampling(threshold=3.0).useful(judged)


def test_the_loss_is_the_cross_entropy():
    logprobs = torch.tensor([-1.0, -3.0], requires_grad=True)
    nothing = torch.zeros(2)
    batch = TokenBatch(
        logprobs=logprobs,
        old=nothing,
        behaviour=nothing,
        reference=None,
        advantage=torch.ones(2),
        weight=torch.tensor([0.5, 0.5]),
    )
    loss, _ = SFT().loss(batch)
    loss.backward()
    assert loss.item() == pytest.approx(2.0)
    assert logprobs.grad.tolist() == [-0.5, -0.5]
