import math

import pytest
import torch

from goalward.learning import objectives


def test_surrogate_by_hand():
    # ratios 1.5, 1.5, 0.5, 0.5 with advantages +, -, +, -; clip at 0.8 and 1.2
    logprobs = torch.tensor([1.5, 1.5, 0.5, 0.5]).log().requires_grad_()
    advantage = torch.tensor([2.0, -2.0, 2.0, -2.0])
    losses = objectives.clipped_surrogate(logprobs, torch.zeros(4), advantage, 0.2, 0.2)
    assert losses.tolist() == pytest.approx([-2.4, 3.0, -1.0, 1.6])
    losses.sum().backward()
    # Where the clip binds the gradient is cut; elsewhere it is -advantage * ratio.
    assert logprobs.grad.tolist() == pytest.approx([0.0, 3.0, -1.0, 0.0])
    clipped = objectives.clipped(logprobs, torch.zeros(4), advantage, 0.2, 0.2)
    assert clipped.tolist() == [1, 0, 0, 1]


def test_on_policy_gradient_is_reinforce():
    logprobs = torch.tensor([-1.0, -2.0]).requires_grad_()
    loss = objectives.clipped_surrogate(logprobs, logprobs.detach(), torch.tensor([3.0, -1.0]), 0.2, 0.2)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([-3, 1])
    assert logprobs.grad.tolist() == pytest.approx([-3, 1])


def test_clip_higher_leaves_more_room_above():
    logprobs = torch.tensor([math.log(1.25)])
    assert objectives.clipped(logprobs, torch.zeros(1), torch.ones(1), 0.2, 0.28).item() == 0
    assert objectives.clipped(logprobs, torch.zeros(1), torch.ones(1), 0.2, 0.2).item() == 1


def test_k3_by_hand_and_unbiased():
    # pi / ref = 2: exp(-log 2) + log 2 - 1
    assert objectives.k3(torch.tensor(math.log(2)), torch.tensor(0.0)).item() == pytest.approx(
        math.log(2) - 0.5
    )
    pi, ref = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.3, 0.3, 0.4])
    expected = (pi * (pi / ref).log()).sum()
    assert (pi * objectives.k3(pi.log(), ref.log())).sum().item() == pytest.approx(expected.item())


def test_importance_is_truncated_and_has_no_gradient():
    old = torch.tensor([0.0, 0.0], requires_grad=True)
    weights = objectives.importance(old, torch.tensor([math.log(2), -5.0]), cap=2.0)
    assert weights.tolist() == pytest.approx([0.5, 2.0])
    assert not weights.requires_grad
