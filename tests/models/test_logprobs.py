import math

import numpy as np
import pytest
import torch

from goalward.models import logprobs
from goalward.models.layout import lay_out
from goalward.models.logprobs import log_probability, score


def test_log_probability_and_entropy_by_hand():
    # Logits 0 and ln 3 at temperature 1: probabilities 1/4 and 3/4. At temperature 2: 1/(1+sqrt 3).
    logits = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])
    found, entropy = log_probability(logits, torch.tensor([0, 1]), 1.0)
    assert found.tolist() == pytest.approx([math.log(0.25), math.log(0.75)])
    assert entropy.tolist() == pytest.approx([-(0.25 * math.log(0.25) + 0.75 * math.log(0.75))] * 2)
    found, _ = log_probability(logits, torch.tensor([0, 1]), 2.0)
    assert found[0].item() == pytest.approx(-math.log(1 + math.sqrt(3)))


def test_a_token_of_probability_zero_leaves_the_entropy_finite():
    _, entropy = log_probability(torch.tensor([[0.0, -math.inf]]), torch.tensor([0]), 1.0)
    assert entropy.item() == 0.0


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama", "mistral", "gpt_neox", "mistral_window"])
def test_score_equals_transformers_log_softmax_and_gradients(tiny_policy, monkeypatch, architecture, chunked):
    if chunked:
        monkeypatch.setattr(logprobs, "_LOGITS_AT_ONCE", {"cpu": 5 * 272})
    policy = tiny_policy(architecture)
    generator = torch.Generator().manual_seed(0)
    lengths = [19, 7, 13]
    tokens = torch.randint(0, 256, (3, 19), generator=generator)
    sequences = [(row[:4], row[4:length]) for row, length in zip(tokens.int().numpy(), lengths, strict=True)]
    layout = lay_out(sequences, policy)
    at = torch.from_numpy(np.concatenate([path[3:-1] for path in layout.paths]))
    targets = torch.cat([row[4:length] for row, length in zip(tokens, lengths, strict=True)])
    weight = torch.randn(len(at), generator=generator)

    found, entropy = score(policy, layout, at, targets, temperature=0.7)
    (found * weight).sum().backward()
    gradients = {name: p.grad.clone() for name, p in policy.model.named_parameters()}
    policy.model.zero_grad()

    expected, expected_entropy = [], []
    for row, length in enumerate(lengths):  # each alone, unpadded
        out = (policy.model(input_ids=tokens[row : row + 1, :length]).logits[0] / 0.7).log_softmax(-1)
        expected.append(out[3:-1].gather(-1, tokens[row, 4:length, None])[:, 0])
        expected_entropy.append(-(out.exp() * out).sum(-1)[3:-1])
    (torch.cat(expected) * weight).sum().backward()

    assert not entropy.requires_grad
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(entropy, torch.cat(expected_entropy).detach(), atol=1e-5, rtol=1e-5)
    for name, parameter in policy.model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-4, rtol=1e-4, msg=name)


def test_scores_are_fp32_in_a_bfloat16_model(tiny_policy):
    policy = tiny_policy("qwen2")
    policy.model.bfloat16()
    layout = lay_out([(np.array([1], np.int32), np.array([2, 3], np.int32))], policy)
    found, entropy = score(policy, layout, torch.tensor([0]), torch.tensor([2]))
    assert found.dtype == entropy.dtype == torch.float32
