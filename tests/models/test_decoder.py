import warnings

import pytest
import torch

from goalward.models.decoder import Decoder, verified

KNOWN = ["qwen2", "qwen3", "llama", "mistral"]


@pytest.mark.parametrize("architecture", KNOWN)
def test_logits_and_every_gradient_equal_transformers(tiny_policy, architecture):
    policy = tiny_policy(architecture)
    assert policy.decoder is not None
    tokens = torch.randint(0, 256, (3, 17), generator=torch.Generator().manual_seed(0))
    weight = torch.randn(3, 17, 272, generator=torch.Generator().manual_seed(1))

    expected = policy.model(input_ids=tokens).logits
    (expected.log_softmax(-1) * weight).mean().backward()
    gradients = {name: p.grad.clone() for name, p in policy.model.named_parameters()}
    policy.model.zero_grad()
    found = policy.decoder.head(policy.decoder.forward(tokens))
    (found.log_softmax(-1) * weight).mean().backward()

    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    for name, parameter in policy.model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-6, rtol=1e-4, msg=name)


def test_unknown_architectures_and_rotary_that_changes_are_not_bound(tiny_policy):
    assert tiny_policy("gpt_neox").decoder is None
    model = tiny_policy("llama").model
    model.model.rotary_emb.rope_type = "dynamic"
    assert Decoder.bind(model) is None


def test_short_windows_leave_longer_sequences_to_transformers(tiny_policy):
    policy = tiny_policy("mistral_window")
    assert policy.lean(8) is policy.decoder is not None
    assert policy.lean(9) is None


@pytest.mark.parametrize("broken", ["forward", "gradient"])
def test_a_forward_that_disagrees_is_refused_loudly(tiny_policy, monkeypatch, broken):
    model = tiny_policy("qwen2").model
    decoder = Decoder.bind(model)
    original = decoder.forward
    wrong = {
        "forward": lambda tokens: original(tokens) * 1.01,
        "gradient": lambda tokens: original(tokens).detach() * 0.5 + original(tokens) * 0.5,
    }
    monkeypatch.setattr(decoder, "forward", wrong[broken])
    with pytest.warns(UserWarning, match="disagrees with transformers on this qwen2 model"):
        assert verified(decoder, model) is None


def test_a_forward_that_agrees_is_kept_in_bfloat16_too(tiny_policy):
    model = tiny_policy("qwen3").model.bfloat16()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verified(Decoder.bind(model), model) is not None
