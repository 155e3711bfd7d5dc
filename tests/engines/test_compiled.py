"""Writing in C++ beside writing with PyTorch."""

import numpy as np
import pytest
import torch

from goalward.engines.compiled import CompiledWriter
from goalward.engines.engine import Request, Sampling
from goalward.engines.native import NativeEngine
from goalward.errors import UsageError
from goalward.kernels.build import find_compiler
from goalward.models import packed
from goalward.models.load import LoRA

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C++ compiler")

chance = np.random.default_rng(0)
SHARED = chance.integers(0, 256, 37)
# Lengths around what a vector and a chunk of a prompt hold.
PROMPTS = [
    np.concatenate([SHARED, chance.integers(0, 256, n)]).astype(np.int32) for n in (1, 15, 16, 17, 100)
]


def ask(policy, sampling=None, prompts=PROMPTS, streams=(0, 1, 2, 3, 4, 5), max_batch=None):
    engine = NativeEngine(policy, max_batch)
    requests = [Request(prompt=prompt, streams=streams) for prompt in prompts]
    return [r for g in engine.generate(requests, sampling or Sampling(max_tokens=60), seed=3) for r in g]


def with_pytorch(policy, *args, **settings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed.kernel, "forward", lambda: None)
        return ask(policy, *args, **settings)


@pytest.fixture
def writers(monkeypatch):
    """The kinds of writers that engines have used."""
    kinds = []
    writer = NativeEngine._writer

    def watched(self, jobs, shared):
        found, capacity = writer(self, jobs, shared)
        kinds.append(type(found).__name__)
        return found, capacity

    monkeypatch.setattr(NativeEngine, "_writer", watched)
    return kinds


SAMPLINGS = [
    Sampling(max_tokens=60),
    Sampling(max_tokens=60, temperature=0.0),
    Sampling(max_tokens=60, temperature=0.7),
    Sampling(max_tokens=60, top_k=5),
    Sampling(max_tokens=60, top_p=0.7, temperature=1.2),
    Sampling(max_tokens=60, top_p=0.7, top_k=20),
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=repr)
@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama", "mistral"])
def test_it_writes_what_pytorch_writes(tiny_policy, writers, architecture, sampling):
    policy = tiny_policy(architecture)
    found, expected = ask(policy, sampling), with_pytorch(policy, sampling)
    assert writers == ["CompiledWriter", "StepWriter"]
    for a, b in zip(found, expected, strict=True):
        assert (a.completion.tolist(), a.stop, a.text) == (b.completion.tolist(), b.stop, b.text)
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-4)


def test_it_writes_with_an_adapter(tiny_policy, writers):
    policy = tiny_policy("qwen3", lora=LoRA(rank=2))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    found, expected = ask(policy), with_pytorch(policy)
    assert writers == ["CompiledWriter", "StepWriter"]
    assert [r.completion.tolist() for r in found] == [r.completion.tolist() for r in expected]


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3"])
def test_neighbours_lanes_and_refilled_places_change_no_bit(tiny_policy, architecture):
    policy = tiny_policy(architecture)
    policy.eos_ids = (258, *range(16))

    def bits(rollouts):
        return [(r.completion.tolist(), r.logprobs.tobytes()) for r in rollouts]

    whole = bits(ask(policy))
    assert len({len(tokens) for tokens, _ in whole}) > 4
    assert bits(ask(policy, max_batch=7)) == whole
    assert bits(ask(policy, prompts=PROMPTS[::-1])) == [
        each for start in range(24, -1, -6) for each in whole[start : start + 6]
    ]
    assert bits(ask(policy, streams=(4,))) == whole[4::6]
    torch.set_num_threads(3)
    try:
        assert bits(ask(policy)) == whole
    finally:
        torch.set_num_threads(1)


def test_arenas_go_with_their_last_row(tiny_policy):
    policy = tiny_policy()
    weights = packed.Packed.of(policy.decoder, 64)
    writer = CompiledWriter(weights, 64, 0, (), 1)
    for _ in range(2):
        writer.admit([PROMPTS[0][:5]], np.zeros(3, np.int64), np.full(3, 8))
    assert len(writer._arenas) == 4  # prompts' and own tokens', twice
    writer.keep(np.array([0, 1]))
    assert len(writer._arenas) == 2


def change_activation(decoder):
    return [setattr(layer.mlp, "act_fn", torch.nn.GELU()) for layer in decoder.model.layers]


def change_bias(decoder):
    linear = decoder.model.layers[1].mlp.down_proj
    linear.bias = torch.nn.Parameter(torch.ones(linear.out_features))


def change_epsilon(decoder):
    decoder.model.norm.variance_epsilon = 0.1


@pytest.mark.parametrize("change", [change_activation, change_bias, change_epsilon])
def test_a_model_that_the_kernels_do_not_know_is_left_to_pytorch(tiny_policy, writers, change):
    policy = tiny_policy("llama")
    change(policy.inner)
    policy.decoder = type(policy.decoder).bind(policy.inner)
    ask(policy)
    assert writers == ["StepWriter"]


def test_a_single_weight_that_is_not_a_number_is_noticed(tiny_policy):
    policy = tiny_policy("llama")  # with a head of its own
    with torch.no_grad():
        policy.inner.lm_head.weight[17, 3] = float("nan")
    with pytest.raises(Exception, match="logits that are not numbers"):
        ask(policy)


def test_a_token_without_embedding_is_refused(tiny_policy):
    with pytest.raises(UsageError, match="token 272, and the model embeddings for 272"):
        ask(tiny_policy(), prompts=[np.array([3, 272], np.int32)])


def test_kernels_that_disagree_are_said_so_and_not_used(tiny_policy, writers, monkeypatch):
    policy = tiny_policy()
    monkeypatch.setattr(CompiledWriter, "first_logits", lambda _: np.zeros((1, 272), np.float32))
    with pytest.warns(UserWarning, match="forward.cpp, as compiled here, disagrees") as told:
        ask(policy)
        ask(policy)
    assert writers == ["StepWriter"] * 2
    assert len(told) == 1
