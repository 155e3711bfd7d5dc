import numpy as np
import pytest
import torch

from goalward.learning.algorithm import TokenBatch
from goalward.learning.policy_gradient import FAMILY, PolicyGradient
from goalward.types import Feedback, Group, Rollout, Task

TASK = Task(id="t", messages=({"role": "user", "content": "?"},))


def group(*attempts):
    """A group of (completion length, score) attempts."""
    rollouts = tuple(
        Rollout(
            prompt=np.array([1], np.int32),
            completion=np.arange(length, dtype=np.int32),
            sampled=np.ones(length, np.bool_),
            logprobs=np.full(length, -1, np.float32),
            text="",
            stop="length" if length >= 8 else "eos",
        )
        for length, _ in attempts
    )
    return Group(task=TASK, rollouts=rollouts, feedback=tuple(Feedback(score=s) for _, s in attempts))


def test_grpo_credit_by_hand():
    examples = PolicyGradient().credit([group((2, 1.0), (4, 0.0)), group((3, 1.0), (3, 1.0))])
    # The group without spread is left out, but counts: each sequence weighs 1/4, spread over its tokens.
    assert [e.rollout.completion.size for e in examples] == [2, 4]
    assert examples[0].weight == pytest.approx([1 / 8] * 2)
    assert examples[1].weight == pytest.approx([1 / 16] * 4)
    deviation = np.std([1, 0], ddof=1) + 1e-4
    assert examples[0].advantage == pytest.approx([0.5 / deviation] * 2)


def test_a_kl_in_the_loss_keeps_groups_without_spread():
    assert len(PolicyGradient(beta=0.1).credit([group((3, 1.0), (3, 1.0))])) == 2
    assert len(PolicyGradient(beta=0.1, kl_in="reward").credit([group((3, 1.0), (3, 1.0))])) == 0


def test_no_verdict_is_not_learned_from():
    examples = PolicyGradient().credit([group((2, 1.0), (2, 0.0), (2, None))])
    assert len(examples) == 2
    assert examples[0].weight == pytest.approx([1 / 4] * 2)


def test_mask_truncated():
    examples = PolicyGradient(mask_truncated=True).credit([group((2, 1.0), (8, 0.0))])
    assert [e.rollout.stop for e in examples] == ["eos"]


def test_overlong_buffer_shapes_the_score():
    algorithm = PolicyGradient(overlong_buffer=4, max_tokens=8, scale=False)
    # both right, but the second is 2 tokens into the buffer of 4: -0.5
    examples = algorithm.credit([group((2, 1.0), (6, 1.0))])
    assert [e.advantage[0] for e in examples] == pytest.approx([0.25, -0.25])


def test_family_weights():
    judged = [group((2, 1.0), (4, 0.0))]
    totals = {
        name: [float(e.weight.sum()) for e in PolicyGradient(max_tokens=8, **changes).credit(judged)]
        for name, changes in FAMILY.items()
    }
    assert totals["grpo"] == pytest.approx([1 / 2, 1 / 2])
    assert totals["dapo"] == pytest.approx([2 / 6, 4 / 6])
    assert totals["dr_grpo"] == pytest.approx([2 / 16, 4 / 16])
    assert totals["rloo"] == pytest.approx([1, 2])


def test_loss_by_hand():
    now = torch.tensor([0.0, 0.0], requires_grad=True)
    old = torch.tensor([-1.0, 0.0])
    batch = TokenBatch(
        logprobs=now,
        old=old,
        behaviour=old - 1,
        reference=torch.tensor([0.0, -1.0]),
        advantage=torch.tensor([1.0, -1.0]),
        weight=torch.tensor([0.5, 0.5]),
    )
    loss, sums = PolicyGradient(beta=0.1, importance_cap=2.0).loss(batch)
    # token 1: ratio e clipped to 1.2, weight min(e, 2) = 2, no KL; token 2: ratio 1, loss 2, KL e^-1 + 1 - 1
    kl = np.exp(-1)
    assert loss.item() == pytest.approx(0.5 * -2.4 + 0.5 * (2 + 0.1 * kl))
    assert sums["kl"].item() == pytest.approx(0.5 * kl)
    assert sums["clip_share"].item() == pytest.approx(0.5)
