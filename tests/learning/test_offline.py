"""Offline objectives by hand, and their gradients against autograd on the papers' formulas."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from goalward.learning.algorithm import Likelihood, Relative, TokenBatch, ValueBatch, Valued
from goalward.learning.credit import to_go
from goalward.learning.critic import Critic, CriticSettings, lower
from goalward.learning.objectives import backup, conservative, expectile, masked_mean, perturbed
from goalward.learning.offline import (
    IQL,
    OFFLINE,
    OREO,
    REBEL,
    TOPR,
    TrajectoryRegression,
    regularised,
)
from goalward.types import Feedback, Group, Rollout, Task


def rollout(length: int, stop: str = "eos", logprobs: list[float] | None = None) -> Rollout:
    return Rollout(
        prompt=np.array([1], np.int32),
        completion=np.arange(length, dtype=np.int32),
        sampled=np.ones(length, np.bool_),
        logprobs=None if logprobs is None else np.array(logprobs, np.float32),
        text="",
        stop=stop,  # type: ignore[arg-type]
    )


def group(*attempts: tuple[Rollout, float | None]) -> Group:
    return Group(
        task=Task(id="t", messages=({"role": "user", "content": "q"},)),
        rollouts=tuple(attempt for attempt, _ in attempts),
        feedback=tuple(Feedback(score=score) for _, score in attempts),
    )


def tensors(*rows: list[float]) -> list[torch.Tensor]:
    return [torch.tensor(row, dtype=torch.float64, requires_grad=True) for row in rows]


def likely(now: list[torch.Tensor], before: list[list[float]], **more: list[list[float]]) -> list[Likelihood]:
    return [
        Likelihood(
            policy=policy.detach().float().numpy(),
            reference=np.array(reference, np.float32),
            **{name: np.array(rows[index], np.float32) for name, rows in more.items()},
        )
        for index, (policy, reference) in enumerate(zip(now, before, strict=True))
    ]


def same_slopes(weighed, wanted: torch.Tensor, now: list[torch.Tensor]) -> None:
    for example, slope in zip(weighed, torch.autograd.grad(wanted, now), strict=True):
        np.testing.assert_allclose(-example.weight * example.advantage, slope.numpy(), rtol=1e-4, atol=1e-7)


def test_pure_functions_by_hand():
    assert to_go(np.array([1.0, 2.0, 4.0], np.float32)).tolist() == [7, 6, 4]
    assert expectile(torch.tensor([2.0, -2.0, 0.0]), 0.9).tolist() == pytest.approx([3.6, 0.4, 0.0])
    # The next token's value, and the reward at the end; the roll never crosses an end.
    last = torch.tensor([False, True, True])
    assert backup(torch.tensor([1.0, 1.0, 0.5]), torch.tensor([0.1, 0.2, 0.3]), last).tolist() == [
        pytest.approx(0.2),
        1.0,
        0.5,
    ]
    low = conservative(torch.tensor([[0.0, math.log(3)]]), torch.tensor([1]))
    assert low.item() == pytest.approx(-math.log(0.75))
    both = torch.tensor([[1.0, 5.0]]), torch.tensor([[2.0, 3.0]])
    assert lower(both, torch.tensor([1])).tolist() == [3.0]
    even = torch.log(torch.tensor([[0.5, 0.5]]))
    leaned = perturbed(even, torch.tensor([[1.0, 0.0]]), torch.tensor([0.4]), math.log(3))
    assert leaned.exp().tolist()[0] == pytest.approx([0.75, 0.25])
    # One mask above and below: what is masked changes nothing, and nowhere is 0.
    assert masked_mean(torch.tensor([1.0, 9.0, 3.0]), torch.tensor([True, False, True])).item() == 2
    assert masked_mean(torch.tensor([1.0]), torch.tensor([False])).item() == 0


def test_every_method_is_what_the_learner_asks_for():
    for name, (cls, changes) in OFFLINE.items():
        algorithm = cls(**changes)
        assert isinstance(algorithm, Relative), name
        assert isinstance(algorithm, Valued) == (name in ("dro", "astar_po", "oreo", "iql"))
        assert algorithm.credit([group((rollout(2), None))]) == []


def test_topr_counts_a_failure_by_how_likely_it_still_is():
    algorithm = TOPR(baseline=0.5)
    examples = algorithm.credit(
        [group((rollout(2, logprobs=[-1, -1]), 1.0), (rollout(2, logprobs=[-1, -1]), 0.0), (rollout(1), 0.0))]
    )
    now = tensors([-5.0, -5.0], [-2.0, -1.0], [-1.0])
    weighed, metrics = algorithm.weigh(examples, likely(now, [[0, 0], [0, 0], [-3.0]]))
    # success: in full; failure: exp(-3 - -2); failure that became likelier, by the reference: at most 1
    assert [e.advantage[0] for e in weighed] == pytest.approx([0.5, -0.5 * math.exp(-1), -0.5])
    assert metrics["taper"] == pytest.approx((math.exp(-1) + 1) / 2)


def test_topr_against_the_group_leaves_ties_out_and_counts_them():
    tied = group((rollout(1), 1.0), (rollout(1), 1.0))
    mixed = group((rollout(1), 1.0), (rollout(1), 0.0), (rollout(1), None))
    examples = TOPR(baseline="group").credit([tied, mixed])
    assert [e.advantage[0] for e in examples] == [0.5, -0.5]
    assert [e.weight[0] for e in examples] == [0.25, 0.25]
    assert len(TOPR(baseline="group", kl=0.1).credit([tied, mixed])) == 4


def test_trajectory_regression_by_autograd():
    algorithm = TrajectoryRegression(beta=0.3)
    examples = algorithm.credit([group((rollout(2), 1.0), (rollout(3), 0.0))])
    now, before = tensors([-1.0, -2.0], [-0.5, -0.5, -1.0]), [[-1.5, -1.0], [-1.0, -1.0, -1.0]]
    found = likely(now, before, value=[[0.4, 9.0], [0.2, 9.0, 9.0]])
    d = [(a - torch.tensor(b)).sum() for a, b in zip(now, before, strict=True)]
    wanted = ((0.3 * d[0] + 0.4 - 1) ** 2 + (0.3 * d[1] + 0.2 - 0) ** 2) / 2
    weighed, metrics = algorithm.weigh(examples, found)
    assert metrics["loss"] == pytest.approx(wanted.item(), rel=1e-5)
    same_slopes(weighed, wanted, now)


def test_the_soft_mean_of_a_group_is_its_value():
    algorithm = TrajectoryRegression(value="group", temperature=0.5)
    assert algorithm.critic is None
    examples = algorithm.credit([group((rollout(1), 1.0), (rollout(1), None), (rollout(1), 0.0))])
    value = 0.5 * math.log((math.exp(2) + 1) / 2)
    assert [e.advantage[0] for e in examples] == pytest.approx([1 - value, -value])


def test_rebel_by_autograd_with_a_tie():
    algorithm = REBEL(eta=2.0)
    judged = group(
        (rollout(1), 1.0), (rollout(2), 0.0), (rollout(1), 0.0), (rollout(1), 0.0), (rollout(1), 1.0)
    )
    examples = algorithm.credit([judged])
    assert len(examples) == 4  # the fifth has no partner
    now, before = tensors([-1.0], [-1.0, -0.5], [-2.0], [-0.3]), [[-1.5], [-1.0, -1.0], [-1.0], [-1.0]]
    d = [(a - torch.tensor(b)).sum() for a, b in zip(now, before, strict=True)]
    wanted = ((d[0] - d[1] - 2.0) ** 2 + (d[2] - d[3] - 0.0) ** 2) / 2
    weighed, metrics = algorithm.weigh(examples, likely(now, before))
    assert metrics["loss"] == pytest.approx(wanted.item(), rel=1e-5)
    same_slopes(weighed, wanted, now)


def test_oreo_by_autograd():
    algorithm = OREO(beta=0.3, kl=0.0)
    examples = algorithm.credit([group((rollout(3), 1.0), (rollout(1), 0.0))])
    now, before = tensors([-1.0, -2.0, -0.5], [-1.0]), [[-1.5, -1.0, -1.0], [-0.4]]
    values = [[0.5, 0.6, 0.7], [0.1]]
    total = torch.zeros((), dtype=torch.float64)
    for a, b, v, score in zip(now, before, values, (1.0, 0.0), strict=True):
        d = a - torch.tensor(b)
        for t in range(len(v)):
            total = total + (v[t] + 0.3 * (d[t] + d[t + 1 :].sum().detach()) - score) ** 2
    weighed, metrics = algorithm.weigh(examples, likely(now, before, value=values))
    assert metrics["loss"] == pytest.approx(total.item() / 4, rel=1e-5)
    same_slopes(weighed, total / 4, now)


def test_what_was_cut_off_has_not_ended():
    algorithm = OREO(beta=0.5, kl=0.0)
    cut = rollout(3, stop="length")
    examples = algorithm.credit([group((cut, 0.0))])
    now, before = tensors([-1.0, -1.0, -1.0]), [[-2.0, -1.0, -7.0]]
    weighed, _ = algorithm.weigh(examples, likely(now, before, value=[[0.2, 0.4, 0.9]]))
    # The last known value stands for the score: residuals .2 + .5 - .9, .4 - .9, and nothing for the last.
    assert weighed[0].advantage.tolist() == pytest.approx([0.2, 0.5, 0.0])


def value_batch(value: torch.Tensor, **changes: object) -> ValueBatch:
    size = len(value)
    last = torch.zeros(size, dtype=torch.bool)
    last[-1] = True
    given = {
        "value": value,
        "qualities": None,
        "action": torch.zeros(size, dtype=torch.long),
        "target": None,
        "returns": torch.ones(size),
        "drift": torch.zeros(size),
        "first": last.flip(0),
        "last": last,
        "cut": torch.zeros(size, dtype=torch.bool),
    }
    return ValueBatch(**(given | changes))  # type: ignore[arg-type]


def test_value_losses_by_hand():
    value = torch.tensor([0.2, 0.6], requires_grad=True)
    drift = torch.tensor([1.0, -1.0])
    assert TrajectoryRegression(beta=0.5).value_loss(value_batch(value, drift=drift)).item() == pytest.approx(
        (0.5 + 0.2 - 1) ** 2
    )
    assert OREO(beta=0.5).value_loss(value_batch(value, drift=drift)).item() == pytest.approx(
        ((0.5 + 0.2 - 1) ** 2 + (-0.5 + 0.6 - 1) ** 2) / 2
    )
    cut = torch.tensor([False, True])
    assert OREO().value_loss(value_batch(value, cut=cut)).item() == 0  # of an attempt without end

    q = torch.tensor([[0.5, 0.0], [0.1, 0.0]], requires_grad=True)
    batch = value_batch(value, qualities=(q, q), target=torch.tensor([0.5, 0.1]))
    bellman = 2 * ((0.6 - 0.5) ** 2 + (1 - 0.1) ** 2) / 2
    leaning = (0.9 * 0.3**2 + 0.1 * 0.5**2) / 2
    assert IQL(tau=0.9, cql=0.0).value_loss(batch).item() == pytest.approx(bellman + leaning)
    low = conservative(q, batch.action).mean().item()
    assert IQL(tau=0.9, cql=0.5).value_loss(batch).item() == pytest.approx(bellman + leaning + low)
    # Cut off, its last token has no reward to learn from, and its first still has the next value.
    clipped = value_batch(value, qualities=(q, q), target=torch.tensor([0.5, 0.1]), cut=cut)
    assert IQL(tau=0.9, cql=0.0).value_loss(clipped).item() == pytest.approx(2 * 0.1**2 + 0.9 * 0.3**2)


def test_iql_imitates_by_advantage():
    algorithm = IQL(beta=1.0, largest=math.e)
    examples = algorithm.credit([group((rollout(2), 1.0), (rollout(1), 0.0))])
    now = tensors([-1.0, -1.0], [-1.0])
    found = likely(now, [[0, 0], [0]], value=[[0.0, 0.0], [0.0]], quality=[[0.0, 5.0], [1.0]])
    weighed, metrics = algorithm.weigh(examples, found)
    mean = (1 + 2 * math.e) / 3  # the second is clamped to e
    assert weighed[0].advantage.tolist() == pytest.approx([1 / mean, math.e / mean])
    assert weighed[1].advantage.tolist() == pytest.approx([math.e / mean])
    assert metrics["loss"] == pytest.approx(1.0)


def test_the_exact_kl_is_in_the_loss():
    batch = TokenBatch(
        logprobs=torch.tensor([-1.0, -2.0]),
        old=torch.zeros(2),
        behaviour=torch.zeros(2),
        reference=None,
        advantage=torch.tensor([1.0, 1.0]),
        weight=torch.tensor([0.5, 0.5]),
        divergence=torch.tensor([0.2, 0.4]),
    )
    loss, sums = regularised(batch, 2.0)
    assert loss.item() == pytest.approx(1.5 + 2 * 0.3)
    assert sums["kl"].item() == pytest.approx(0.3)
    assert regularised(batch, 0.0)[0].item() == pytest.approx(1.5)
    assert [OREO().needs_divergence, OREO(kl=0.0).needs_divergence, TOPR(kl=0.1).needs_divergence] == [
        True,
        False,
        True,
    ]


class Table(nn.Module):
    """A value for each of three states, and two for each of their two actions."""

    def __init__(self) -> None:
        super().__init__()
        self.v = nn.Parameter(torch.zeros(3))
        self.q = nn.ParameterList(nn.Parameter(torch.zeros(3, 2)) for _ in range(2))

    def forward(self, states: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        return self.v[states], (self.q[0][states], self.q[1][states])


def walk(actions: list[int]) -> Rollout:
    return Rollout(
        prompt=np.array([1], np.int32),
        completion=np.array(actions, np.int32),
        sampled=np.ones(len(actions), np.bool_),
        logprobs=None,
        text="",
        stop="eos",
    )


def test_a_critic_joins_what_no_attempt_joined():
    # Two states; from the second, action 1 earns 1. No attempt from the first took it, but one from the second did.
    judged = group((walk([0, 0]), 0.0), (walk([1]), 1.0))
    algorithm = IQL(tau=0.95, cql=0.0)
    examples = algorithm.credit([judged])

    def states(_: object) -> torch.Tensor:
        return torch.tensor([0, 1, 1])

    critic = Critic(Table(), states, CriticSettings(learning_rate=0.05, polyak=0.2))
    found = [Likelihood(policy=np.zeros(n, np.float32), reference=None) for n in (2, 1)]
    for _ in range(400):
        valued, loss = critic.step(examples, found, algorithm)
    assert valued[0].value is not None
    assert valued[0].value[1] > 0.75  # the better of the second state's actions, not their mean
    assert valued[0].value[0] > 0.75  # and the first state leads there
    assert valued[0].quality is not None
    assert valued[0].quality[1] == pytest.approx(0.0, abs=0.05)
    assert loss < 0.1
    # Saved and restored, it goes on alike.
    other = Critic(Table(), states, CriticSettings(learning_rate=0.05, polyak=0.2))
    other.restore(critic.state())
    assert other.step(examples, found, algorithm)[1] == pytest.approx(
        critic.step(examples, found, algorithm)[1]
    )
