import copy
import math

import pytest
import torch

from goalward.learning.optimizer import Optimizer, OptimizerSettings, add, learning_rate


def rates(steps, **settings):
    chosen = OptimizerSettings(learning_rate=1.0, **settings)
    return [learning_rate(chosen, step, steps) for step in range(steps)]


def test_schedules_by_hand():
    assert rates(3) == [1, 1, 1]
    assert rates(4, warmup=0.5) == [0.5, 1, 1, 1]
    assert rates(4, schedule="linear") == [1, 0.75, 0.5, 0.25]
    assert rates(5, schedule="linear", warmup=0.2) == [1, 1, 0.75, 0.5, 0.25]
    assert rates(4, schedule="cosine") == pytest.approx(
        [(1 + math.cos(math.pi * share)) / 2 for share in (0, 0.25, 0.5, 0.75)]
    )
    assert rates(1, schedule="cosine", warmup=0.1) == [1]


def learn(parameter, settings, gradients, rate=0.1):
    optimizer = Optimizer([parameter], settings)
    norms = []
    for gradient in gradients:
        total = [None]
        for part in gradient:
            add(total, [torch.as_tensor(part, dtype=parameter.dtype)])
        optimizer.accumulate(total)
        norms.append(optimizer.step(rate))
    return optimizer, norms


def test_the_first_update_is_the_sign_of_the_gradient_times_the_rate():
    weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    _, norms = learn(weight, OptimizerSettings(), [[[3.0, -4.0]]])
    assert norms == [5.0]
    torch.testing.assert_close(weight.detach(), torch.tensor([0.9, 1.1]))
    assert weight.grad is None


def test_only_matrices_decay():
    matrix, vector = torch.nn.Parameter(torch.ones(1, 1)), torch.nn.Parameter(torch.ones(1))
    optimizer = Optimizer([matrix, vector], OptimizerSettings(weight_decay=0.5))
    optimizer.step(0.1)
    assert (matrix.item(), vector.item()) == pytest.approx((0.95, 1.0))


def test_the_gradient_is_clipped_to_its_norm():
    moments = {}
    for clip in (1.0, 0.0):
        weight = torch.nn.Parameter(torch.zeros(2))
        optimizer, norms = learn(weight, OptimizerSettings(clip=clip), [[[3.0, -4.0]]])
        assert norms == [5.0]  # what is reported is the norm before
        moments[clip] = optimizer.state()["adamw"]["state"][0]["exp_avg"] / 0.1
    torch.testing.assert_close(moments[1.0], torch.tensor([0.6, -0.8]), atol=1e-5, rtol=0)
    torch.testing.assert_close(moments[0.0], torch.tensor([3.0, -4.0]))


def test_bf16_moves_by_steps_that_it_cannot_hold():
    # 1 + 1e-4 is 1 in bf16: without fp32 masters nothing would ever happen.
    weight = torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16))
    learn(weight, OptimizerSettings(), [[[-1.0] * 4]] * 100, rate=1e-4)
    assert (weight > 1).all()


def test_gradients_add_up_in_fp32():
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.bfloat16))
    # In bf16 256 + 1 is 256.
    _, norms = learn(weight, OptimizerSettings(clip=0), [[[256.0], [1.0], [1.0]]])
    assert norms == [258.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_restored_optimizer_goes_on_bit_by_bit(dtype):
    gradients = [[[0.3, -0.1]], [[-0.2, 0.4]], [[0.5, 0.5]]]
    whole = torch.nn.Parameter(torch.tensor([1.0, 2.0], dtype=dtype))
    learn(whole, OptimizerSettings(), gradients)
    half = torch.nn.Parameter(torch.tensor([1.0, 2.0], dtype=dtype))
    optimizer, _ = learn(half, OptimizerSettings(), gradients[:2])
    saved = optimizer.state()
    again = torch.nn.Parameter(half.detach().clone())
    resumed = Optimizer([again], OptimizerSettings())
    resumed.restore(saved)
    resumed.accumulate([torch.tensor(gradients[2][0], dtype=dtype).float()])
    resumed.step(0.1)
    assert torch.equal(again, whole)


def test_gradients_of_lanes_add_up():
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = Optimizer([weight, torch.nn.Parameter(torch.zeros(1))], OptimizerSettings(clip=0))
    optimizer.accumulate([torch.tensor([1.0, 0.0]), None])
    optimizer.accumulate([torch.tensor([2.0, 4.0]), None])
    assert optimizer.step(0.1) == 5.0


def test_muon_moves_the_matrices_inside_and_resumes():
    def make():
        torch.manual_seed(0)
        return [torch.nn.Parameter(torch.randn(shape)) for shape in ((6, 4), (4, 4), (4,))]

    settings = OptimizerSettings(learning_rate=0.01, muon=0.02)
    embedding, matrix, bias = make()
    optimizer = Optimizer([embedding, matrix, bias], settings, [embedding])
    before = [p.detach().clone() for p in (embedding, matrix, bias)]
    optimizer.accumulate([torch.ones(6, 4), torch.ones(4, 4), torch.ones(4)])
    optimizer.step(0.005)
    # AdamW's first step is the rate itself in every place. Muon's is .2 sqrt(4) x .02 x .5 times the orthogonal part
    # of the gradient, which for ones is 1/4 everywhere; Newton and Schulz's iteration gives it to a third.
    assert torch.allclose(before[0] - embedding, torch.full((6, 4), 0.005), atol=1e-6)
    moved = (before[1] - matrix).detach()
    assert moved.std() < 1e-5
    assert float(moved.mean()) == pytest.approx(0.4 * 0.01 / 4, rel=0.35)
    state = copy.deepcopy(optimizer.state())  # as a checkpoint does
    others = [torch.nn.Parameter(p.detach().clone()) for p in (embedding, matrix, bias)]
    again = Optimizer(others, settings, [others[0]])
    again.restore(state)
    for one in (optimizer, again):
        one.accumulate([torch.ones(6, 4), torch.eye(4), torch.ones(4)])
        one.step(0.01)
    assert torch.equal(matrix, others[1])
    assert torch.equal(embedding, others[0])
