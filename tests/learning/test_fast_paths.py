"""Training with every fast path beside training with none: the same curves, to rounding."""

import numpy as np
import pytest
import torch

from goalward.engines.engine import Request, Sampling
from goalward.engines.native import NativeEngine
from goalward.learning.learner import Learner, LearnerSettings
from goalward.learning.optimizer import OptimizerSettings
from goalward.learning.policy_gradient import PolicyGradient
from goalward.types import Feedback, Group, Task

STEPS = 4
chance = np.random.default_rng(0)
SHARED = chance.integers(0, 256, 20)  # enough to be computed once for all prompts
PROMPTS = [np.concatenate([SHARED, chance.integers(0, 256, n)]).astype(np.int32) for n in (4, 9, 4, 15, 2, 7)]


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def train(policy, *, beta, max_batch=None):
    """Some GRPO steps for completions with many even tokens; what was said in each, and each one's metrics."""
    policy.keep_reference()
    engine = NativeEngine(policy, max_batch)
    algorithm = PolicyGradient(max_tokens=20, beta=beta)
    learner = Learner(
        policy,
        LearnerSettings(micro_batch_tokens=400, minibatches=2),
        OptimizerSettings(learning_rate=1e-3),
        steps=STEPS,
        temperature=0.9,
        seed=0,
    )
    said, curves = [], []
    for step in range(STEPS):
        requests = [
            Request(prompt=prompt, streams=tuple(range(6 * index, 6 * index + 6)))
            for index, prompt in enumerate(PROMPTS)
        ]
        rollouts = engine.generate(requests, Sampling(max_tokens=20, temperature=0.9), seed=step)
        groups = [
            Group(
                task=Task(id="", messages=()),
                rollouts=group,
                feedback=tuple(Feedback(score=float((r.completion % 2 == 0).mean())) for r in group),
            )
            for group in rollouts
        ]
        metrics = learner.update(algorithm.credit(groups), algorithm)
        said.append([r.completion.tolist() for group in rollouts for r in group])
        reward = float(np.mean([f.score for group in groups for f in group.feedback]))
        curves.append([reward, *(metrics[name] for name in ("loss", "grad_norm", "entropy", "clip_share"))])
    return said, np.array(curves)


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama"])
@pytest.mark.parametrize("beta", [0.0, 0.05])
def test_training_curves_are_those_of_transformers_forward_with_padding(
    tiny_policy, two_threads, architecture, beta
):
    fast, plain = tiny_policy(architecture), tiny_policy(architecture)
    assert fast.lean(64) is not None
    plain.decoder = (
        None  # transformers' own forward: padded batches, its cache, one lane's result for every lane
    )
    said, curves = train(fast, beta=beta, max_batch=10)  # several cohorts, refilled
    expected_said, expected = train(plain, beta=beta)
    assert said == expected_said
    np.testing.assert_allclose(curves, expected, rtol=1e-3, atol=1e-5)
    assert len({tuple(row) for row in np.round(curves, 6).tolist()}) == STEPS  # it does move
    for a, b in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-2)
