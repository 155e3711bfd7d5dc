import numpy as np
import pytest
import torch
from test_layout import SEQUENCES

from goalward.models import layout, ragged
from goalward.models.layout import lay_out
from goalward.models.load import ModelConfig, load_policy
from goalward.models.logprobs import score
from goalward.models.ragged import Ragged, trouble, usable

CPU = torch.device("cpu")


def scores_and_gradients(policy):
    laid = lay_out(SEQUENCES, policy)
    at = torch.from_numpy(np.concatenate([path[:-1] for path in laid.paths])).to(policy.device)
    targets = torch.from_numpy(np.concatenate([np.concatenate(s)[1:] for s in SEQUENCES])).long()
    found, _ = score(policy, laid, at, targets.to(policy.device))
    return laid, [found.detach(), *torch.autograd.grad(found.sum(), policy.parameters())]


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama", "mistral"])
def test_the_places_are_those_of_the_masked_rows(tiny_policy, architecture, monkeypatch):
    policy = tiny_policy(architecture)
    _, expected = scores_and_gradients(policy)
    monkeypatch.setattr(layout, "usable", lambda *_: True)
    monkeypatch.setattr(ragged, "_kernel", ragged.plain)
    laid, found = scores_and_gradients(policy)
    assert [type(rows) for rows in laid.rows] == [Ragged]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-3)


def test_a_kernel_is_used_only_where_it_gives_the_plain_attention(monkeypatch):
    assert not usable(CPU, torch.bfloat16, 4, 2, 8)
    assert "cannot run" in trouble(CPU, torch.bfloat16, 4, 2, 8)  # there is none for the CPU
    monkeypatch.setattr(ragged, "_kernel", ragged.plain)
    assert trouble(CPU, torch.bfloat16, 4, 2, 8) is None
    monkeypatch.setattr(ragged, "_kernel", lambda q, k, v, r: ragged.plain(q, k, v.flip(0), r))
    assert trouble(CPU, torch.bfloat16, 4, 2, 8) == "disagrees with the plain attention"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_training_on_a_gpu_agrees_with_fp32(tiny_model):
    """Flash attention in bf16 beside masked attention in fp32."""
    ours, plain = (
        load_policy(ModelConfig(name=str(tiny_model("qwen2")), device="cuda", dtype=dtype))
        for dtype in ("bfloat16", "float32")
    )
    laid, found = scores_and_gradients(ours)
    assert [type(rows) for rows in laid.rows] == [Ragged]  # no silent fallback
    _, expected = scores_and_gradients(plain)
    # bf16 rounds everything, not attention alone: log-probabilities of random text are about -6 here.
    assert float((found[0] - expected[0]).abs().mean()) < 2e-2
    for a, b in zip(found[1:], expected[1:], strict=True):
        assert float((a.float() - b).norm()) < 0.1 * float(b.norm())
