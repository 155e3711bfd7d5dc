import pytest
import torch

from goalward.models.decoder import causal
from goalward.models.fused import FusedDecoder
from goalward.models.load import LoRA

TOKENS = torch.randint(0, 256, (3, 17), generator=torch.Generator().manual_seed(0))


def hidden(fused):
    size = fused.decoder.head_dim

    def attend(layer, q, k, v):
        return causal(layer, q * size**0.5, k, v)  # which scales by itself

    with torch.no_grad():
        return fused.forward(TOKENS, attend, fused.turns(17)[None])


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama", "mistral"])
def test_hidden_states_are_the_decoders(tiny_policy, architecture):
    policy = tiny_policy(architecture)
    fused = FusedDecoder(policy.decoder)
    torch.testing.assert_close(hidden(fused), policy.decoder.forward(TOKENS), atol=2e-5, rtol=1e-5)


def test_adapters_are_merged(tiny_policy):
    policy = tiny_policy("llama", lora=LoRA(rank=2))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1)
    fused = FusedDecoder(policy.decoder)
    torch.testing.assert_close(hidden(fused), policy.decoder.forward(TOKENS), atol=2e-5, rtol=1e-5)
