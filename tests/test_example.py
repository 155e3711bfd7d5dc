"""The one-file example teaches the library's own GRPO."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from goalward.learning.algorithm import TokenBatch
from goalward.learning.pack import pack
from goalward.learning.policy_gradient import PolicyGradient
from goalward.models.logprobs import score
from goalward.types import Feedback, Group, Rollout, Task

FILE = Path(__file__).parents[1] / "examples" / "grpo_in_one_file.py"
LENGTHS = [[3, 7, 5], [6, 2, 4]]
REWARDS = [[1.0, 0.0, 0.0], [0.5, 1.0, 0.0]]


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("grpo_in_one_file", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_loss_and_gradients_are_the_librarys(example, tiny_policy):
    policy = tiny_policy("qwen2")
    random = np.random.default_rng(0)
    prompts = random.integers(0, 200, size=(2, 4)).astype(np.int32)
    task = Task(id="t", messages=({"role": "user", "content": "?"},))
    groups = []
    for prompt, lengths, rewards in zip(prompts, LENGTHS, REWARDS, strict=True):
        rollouts = tuple(
            Rollout(
                prompt=prompt,
                completion=random.integers(0, 200, size=length).astype(np.int32),
                sampled=np.ones(length, np.bool_),
                logprobs=None,
                text="",
                stop="eos",
            )
            for length in lengths
        )
        feedback = tuple(Feedback(score=value) for value in rewards)
        groups.append(Group(task=task, rollouts=rollouts, feedback=feedback))

    algorithm = PolicyGradient()
    micro = pack(algorithm.credit(groups), policy)
    logprobs, _ = score(policy, micro.layout, micro.at, micro.targets)
    now = logprobs.detach()
    ours, _ = algorithm.loss(
        TokenBatch(
            logprobs=logprobs,
            old=now,
            behaviour=now,
            reference=None,
            advantage=micro.advantage,
            weight=micro.weight,
        )
    )
    wanted = torch.autograd.grad(ours, policy.parameters())

    rollouts = [rollout for group in groups for rollout in group.rollouts]
    completions = torch.full((6, 7), policy.pad_id)
    mask = torch.zeros(6, 7)
    for row, rollout in enumerate(rollouts):
        completions[row, : rollout.completion.size] = torch.from_numpy(rollout.completion)
        mask[row, : rollout.completion.size] = 1
    policy.model.config.pad_token_id = policy.pad_id
    repeated = torch.from_numpy(prompts).long().repeat_interleave(3, 0)
    theirs = example.grpo_loss(
        example.log_probabilities(policy.model, repeated, completions),
        mask,
        example.advantages(torch.tensor(REWARDS)).flatten(),
    )
    assert theirs.item() == pytest.approx(ours.item(), abs=1e-6)
    for found, expected in zip(torch.autograd.grad(theirs, policy.parameters()), wanted, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
