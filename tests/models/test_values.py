"""Hidden states, value heads and the exact KL, on the decoder and on the model's own forward."""

import numpy as np
import pytest
import torch

from goalward.models.layout import lay_out
from goalward.models.values import ValueHeads, distribution, divergence, hidden_states
from goalward.types import Example, Rollout


def example(prompt: list[int], completion: list[int], weight: list[float]) -> Example:
    size = len(completion)
    return Example(
        rollout=Rollout(
            prompt=np.array(prompt, np.int32),
            completion=np.array(completion, np.int32),
            sampled=np.ones(size, np.bool_),
            logprobs=None,
            text="",
            stop="eos",
        ),
        advantage=np.zeros(size, np.float32),
        weight=np.array(weight, np.float32),
    )


@pytest.mark.parametrize("architecture", ["qwen2", "gpt_neox"])
def test_hidden_states_are_those_before_each_learned_token(tiny_policy, architecture):
    policy = tiny_policy(architecture)
    examples = [example([1, 2, 3], [4, 5], [1, 1]), example([6], [7, 8, 9], [0, 1, 1])]
    found = hidden_states(policy, examples, budget=8)
    logits = policy.model.get_output_embeddings()(found)
    wanted = []
    for each in examples:
        text = torch.tensor([[*each.rollout.prompt.tolist(), *each.rollout.completion.tolist()]])
        places = np.flatnonzero(each.weight) + each.rollout.prompt.size - 1
        wanted.append(policy.model(text).logits[0, places])
    torch.testing.assert_close(logits, torch.cat(wanted), atol=1e-4, rtol=1e-4)
    assert torch.equal(found, hidden_states(policy, examples, budget=1000)) or torch.allclose(
        found, hidden_states(policy, examples, budget=1000), atol=1e-5
    )


def test_heads_begin_at_nothing_and_twins_differ_once_they_learn():
    heads = ValueHeads(8, 5, actions=True)
    states = torch.randn(3, 8)
    value, qualities = heads(states)
    assert qualities is not None
    assert value.abs().max() == qualities[0].abs().max() == 0
    assert [tuple(q.shape) for q in qualities] == [(3, 5), (3, 5)]
    first, second = (head[0].weight for head in heads.qualities)
    assert not torch.equal(first, second)
    assert ValueHeads(8, 5, actions=False)(states)[1] is None


@pytest.mark.parametrize("architecture", ["qwen2", "gpt_neox"])
def test_the_kl_is_exact_and_has_the_gradient(tiny_policy, architecture):
    policy = tiny_policy(architecture)
    policy.keep_reference()
    tokens = torch.tensor([[5, 6, 7, 8]])
    layout = lay_out([(np.array([5, 6], np.int32), np.array([7, 8], np.int32))], policy)
    at = torch.tensor(layout.paths[0][1:3])

    def apart(temperature: float = 1.0) -> torch.Tensor:
        with torch.no_grad(), policy.reference() as original:
            before = distribution(original, layout, at, temperature=temperature)
        return divergence(distribution(policy, layout, at, temperature=temperature), before)

    assert apart().abs().max() < 1e-6
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    found = apart(0.7)
    with torch.no_grad():
        now = (policy.model(tokens).logits[0, 1:3] / 0.7).log_softmax(-1)
        with policy.reference() as original:
            before = (original.model(tokens).logits[0, 1:3] / 0.7).log_softmax(-1)
    wanted = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=now), torch.distributions.Categorical(logits=before)
    )
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)
    assert (found > 0).all()
    # A step down its gradient brings the policy back towards the reference.
    found.sum().backward()
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.grad is not None:
                parameter.sub_(1e-3 * parameter.grad)
    assert apart(0.7).sum() < found.sum()
