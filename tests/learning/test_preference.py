"""Preference objectives by hand, and the whole gradient against autograd."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from goalward.learning.algorithm import Likelihood, Relative, TokenBatch
from goalward.learning.preference import (
    FAMILY,
    KTO,
    Preference,
    kahneman_tversky,
    log_odds,
    logistic,
    pair_examples,
    pairs,
    squared,
)
from goalward.types import Feedback, Group, Rollout, Task


def rollout(length: int, name: int = 0, sampled: list[bool] | None = None) -> Rollout:
    return Rollout(
        prompt=np.array([1, 2], np.int32),
        completion=np.full(length, name, np.int32),
        sampled=np.array(sampled or [True] * length),
        logprobs=None,
        text=str(name),
        stop="recorded",
    )


def group(*scores: float | None, lengths: tuple[int, ...] = ()) -> Group:
    sizes = lengths or (2,) * len(scores)
    return Group(
        task=Task(id="t", messages=({"role": "user", "content": "q"},)),
        rollouts=tuple(rollout(size, name) for name, size in enumerate(sizes)),
        feedback=tuple(Feedback(score=score) for score in scores),
    )


def test_pairs_join_best_with_worst_and_leave_ties_and_the_unjudged_out():
    assert pairs(group(0.0, 1.0, 0.5, 0.2)) == [(1, 0), (2, 3)]
    assert pairs(group(1.0, 1.0, 1.0, 0.0)) == [(0, 3)]
    assert pairs(group(1.0, None, 0.0)) == [(0, 2)]
    assert pairs(group(1.0, 1.0)) == pairs(group(None, 1.0)) == pairs(group()) == []


def test_scpo_pairs_the_extremes_and_weighs_them_by_their_votes():
    algorithm = Preference(**FAMILY["scpo"])  # type: ignore[arg-type]
    examples = algorithm.credit([group(0.25, 0.5, 0.5, 0.125), group(0.75, None, 0.25), group(1.0, 1.0)])
    assert [example.rollout.text for example in examples] == ["1", "3", "0", "2"]
    assert [example.advantage[0] for example in examples] == [1, -1, 1, -1]
    # Two pairs: a token's weight is half of the difference of the votes' shares.
    assert [example.weight[0] for example in examples] == pytest.approx([0.1875, 0.1875, 0.25, 0.25])


def test_objectives_by_hand():
    # margin 0: -log(1/2), and a slope of -beta/2
    loss, slope = logistic(np.array([0.0]), 0.1)
    assert (loss[0], slope[0]) == pytest.approx((math.log(2), -0.05))
    # beta 0.5, margin 2 gives an inner value of 1
    loss, slope = logistic(np.array([2.0]), 0.5)
    assert (loss[0], slope[0]) == pytest.approx((0.313262, -0.5 * 0.268941), abs=1e-6)
    # beta 2, gamma 1, margin .5: the inner value is 0 again
    assert logistic(np.array([0.5]), 2.0, 1.0)[0][0] == pytest.approx(math.log(2))
    # IPO with beta .1 wants a margin of 5
    loss, slope = squared(np.array([3.0, 5.0]), 0.1)
    assert loss.tolist() == pytest.approx([4.0, 0.0])
    assert slope.tolist() == pytest.approx([-4.0, 0.0])
    # p = 1/5: odds 1/4, slope 5/4
    odds, steep = log_odds(np.array([math.log(0.2)]))
    assert (odds[0], steep[0]) == pytest.approx((math.log(0.25), 1.25))
    # KTO at its reference point: half, slope beta/4, down for the good and up for the bad
    loss, slope = kahneman_tversky(np.array([1.0, 1.0]), np.array([True, False]), 0.4, 1.0)
    assert loss.tolist() == pytest.approx([0.5, 0.5])
    assert slope.tolist() == pytest.approx([-0.1, 0.1])
    # nothing overflows
    assert np.isfinite(logistic(np.array([-1e6, 1e6]), 1.0)).all()
    assert np.isfinite(log_odds(np.array([0.0, -1e4]))).all()


def plain(name: str, beta: float, gamma: float, anchor: float, now: list, before: list) -> torch.Tensor:
    """The papers' formulas on sequences of log-probabilities, in torch: [chosen, rejected] of one pair."""
    s = torch.stack([each.sum() for each in now])
    mean = torch.stack([each.mean() for each in now])
    ref = torch.stack([each.sum() for each in before])
    if name in ("dpo", "scpo"):  # they differ in the pairs and their weights
        loss = -F.logsigmoid(beta * ((s[0] - ref[0]) - (s[1] - ref[1])))
    elif name == "ipo":
        loss = ((s[0] - ref[0]) - (s[1] - ref[1]) - 1 / (2 * beta)) ** 2
    elif name == "simpo":
        loss = -F.logsigmoid(beta * (mean[0] - mean[1]) - gamma)
    else:
        odds = mean - torch.log1p(-mean.exp())
        loss = -beta * F.logsigmoid(odds[0] - odds[1])
    return loss - anchor * mean[0]


@pytest.mark.parametrize("name", FAMILY)
def test_the_gradient_is_the_formulas(name: str):
    algorithm = Preference(**{"anchor": 0.3, **FAMILY[name]})
    assert isinstance(algorithm, Relative)
    generator = torch.Generator().manual_seed(3)
    lengths = (3, 5, 4, 2)
    now = [(-torch.rand(n, generator=generator) - 0.1).double().requires_grad_() for n in lengths]
    before = [(-torch.rand(n, generator=generator) - 0.1).double() for n in lengths]
    knobs = (algorithm.beta, algorithm.gamma, algorithm.anchor)
    # The second pair counts double.
    formula = algorithm.objective
    wanted = (
        plain(formula, *knobs, now[:2], before[:2]) + 2 * plain(formula, *knobs, now[2:], before[2:])
    ) / 2
    slopes = torch.autograd.grad(wanted, now)

    examples = pair_examples([(rollout(3), rollout(5), 1.0), (rollout(4), rollout(2), 2.0)])
    found = [
        Likelihood(policy=a.detach().float().numpy(), reference=b.float().numpy())
        for a, b in zip(now, before, strict=True)
    ]
    weighed, metrics = algorithm.weigh(examples, found)
    assert metrics["loss"] == pytest.approx(wanted.item(), rel=1e-5)
    for example, slope in zip(weighed, slopes, strict=True):
        np.testing.assert_allclose(-example.weight * example.advantage, slope.numpy(), rtol=1e-4)


def test_tokens_that_the_policy_did_not_choose_count_nowhere():
    half = rollout(4, sampled=[True, False, True, False])
    examples = pair_examples([(half, rollout(2), 1.0)])
    found = [
        Likelihood(
            policy=np.array([-1, 0, -1, 0], np.float32), reference=np.array([-2, 0, -2, 0], np.float32)
        ),
        Likelihood(policy=np.array([-1, -1], np.float32), reference=np.array([-1, -1], np.float32)),
    ]
    weighed, metrics = Preference(beta=0.5).weigh(examples, found)
    assert metrics["margin"] == pytest.approx(2.0)
    assert (weighed[0].weight > 0).tolist() == [True, False, True, False]


def test_kto_by_autograd():
    algorithm = KTO(beta=0.7, good=1.0, bad=2.0)
    judged = group(1.0, 0.0, 1.0, lengths=(2, 3, 1))
    examples = algorithm.credit([judged])
    sums = torch.tensor([-2.0, -1.0, -4.0], dtype=torch.float64, requires_grad=True)
    before = torch.tensor([-3.0, -2.5, -3.5], dtype=torch.float64)
    zero = (sums - before).mean().clamp(min=0).detach()
    d = sums - before
    wanted = (
        (1 - torch.sigmoid(0.7 * (d[0] - zero)))
        + 2 * (1 - torch.sigmoid(0.7 * (zero - d[1])))
        + (1 - torch.sigmoid(0.7 * (d[2] - zero)))
    ) / 3
    [slopes] = torch.autograd.grad(wanted, sums)
    found = [
        Likelihood(
            policy=np.full(n, s / n, np.float32),
            reference=np.full(n, b / n, np.float32),
        )
        for n, s, b in zip((2, 3, 1), sums.tolist(), before.tolist(), strict=True)
    ]
    weighed, metrics = algorithm.weigh(examples, found)
    assert metrics["loss"] == pytest.approx(wanted.item(), rel=1e-5)
    assert metrics["reference_point"] == pytest.approx(zero.item())
    assert [-(e.weight * e.advantage)[0] for e in weighed] == pytest.approx(slopes.tolist(), rel=1e-4)


def test_a_step_without_pairs_teaches_nothing():
    algorithm = Preference()
    assert algorithm.credit([group(1.0, 1.0)]) == []


def test_the_loss_is_a_plain_sum():
    batch = TokenBatch(
        logprobs=torch.tensor([-1.0, -2.0]),
        old=torch.tensor([-1.0, -2.0]),
        behaviour=torch.tensor([-1.0, -2.0]),
        reference=None,
        advantage=torch.tensor([2.0, -1.0]),
        weight=torch.tensor([0.5, 0.5]),
    )
    assert Preference().loss(batch)[0].item() == pytest.approx(-(0.5 * 2 * -1 + 0.5 * -1 * -2))
