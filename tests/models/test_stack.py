"""The layers in C++ beside the plain decoder."""

import ctypes
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from goalward.kernels.build import find_compiler
from goalward.kernels.training import Training
from goalward.models import logprobs, stack
from goalward.models.decoder import Decoder
from goalward.models.layout import lay_out
from goalward.models.load import LoRA
from goalward.models.stack import Stack

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C++ compiler")

FAMILIES = {
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
}
SHAPES = {
    "small": {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 48},
    "grouped": {
        "hidden_size": 192,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "intermediate_size": 80,
    },
    "wide": {
        "hidden_size": 128,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "intermediate_size": 272,
    },
}
chance = np.random.default_rng(0)


def tokens(count):
    return chance.integers(0, 97, count).astype(np.int32)


STEM = tokens(20)
PROMPTS = [np.concatenate([STEM, tokens(n)]) for n in (5, 9, 2, 70)]
LENGTHS = [(0, 7), (1, 30), (0, 12), (2, 1), (1, 3), (0, 29), (3, 130), (3, 64), (2, 16), (2, 0)]
BATCHES = {
    "groups with a common beginning": [(PROMPTS[p], tokens(n)) for p, n in LENGTHS],
    "one short sequence": [(tokens(5), tokens(0))],
    "nothing in common": [(tokens(3), tokens(40)), (tokens(1), tokens(1))],
    "more scores than are held at once": [(tokens(500), tokens(900))],
}


def make(family, shape="small", **more):
    """As much of a policy as is laid out and scored with; norms and biases are not left at 1 and 0."""
    config, model = FAMILIES[family]
    sizes = {
        "vocab_size": 97,
        "num_hidden_layers": 3,
        "initializer_range": 0.15,
        "max_position_embeddings": 2048,
    }
    size = SHAPES[shape]["hidden_size"] // SHAPES[shape]["num_attention_heads"]
    own = {"qwen2": {}, "mistral": {"sliding_window": None}}.get(family, {"head_dim": size}) | more
    torch.manual_seed(0)
    made = model(config(**sizes, **SHAPES[shape], **own)).eval()
    for parameter in made.parameters():
        if parameter.dim() == 1:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    decoder = Decoder.bind(made)
    return SimpleNamespace(
        model=made, decoder=decoder, device=torch.device("cpu"), pad_id=0, lean=lambda _: decoder
    )


def values_and_gradients(policy, layout):
    longest = max(map(len, layout.paths))
    out = logprobs.last_hidden(policy.decoder, layout, longest)
    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    learned = {name: p for name, p in policy.model.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad((out * weight).sum(), learned.values(), allow_unused=True)
    return {"out": out.detach()} | dict(zip(learned, gradients, strict=True))


def close(found, expected):
    for name, value in expected.items():
        if value is None:
            assert found[name] is None, name
        else:
            assert float((found[name] - value).norm()) <= 3e-5 * float(value.norm()), name


@pytest.fixture
def plain(monkeypatch):
    """The plain decoder's values and gradients."""

    def run(policy, layout):
        with monkeypatch.context() as patch:
            patch.setattr(stack, "training", lambda: None)
            assert Stack.bind(policy.decoder) is None
            return values_and_gradients(policy, layout)

    return run


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients_are_the_plain_decoders(plain, family, shape):
    policy = make(family, shape, tie_word_embeddings=shape == "wide")
    assert Stack.bind(policy.decoder) is not None
    for sequences in BATCHES.values():
        layout = lay_out(sequences, policy)
        found = values_and_gradients(policy, layout)
        close(found, plain(policy, layout))
        again = values_and_gradients(policy, layout)  # in memory that holds another pass's numbers
        assert all(v is again[name] is None or torch.equal(v, again[name]) for name, v in found.items())


def test_scaled_rotary_frequencies(plain):
    rope = {
        "rope_type": "yarn",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    policy = make("qwen3", rope_parameters=rope)
    layout = lay_out(BATCHES["groups with a common beginning"], policy)
    close(values_and_gradients(policy, layout), plain(policy, layout))


def test_scores_alone_are_the_same_and_take_less_memory(monkeypatch):
    policy = make("qwen2", "wide")
    layout = lay_out(BATCHES["groups with a common beginning"], policy)
    asked = []
    take = stack._pool.take
    monkeypatch.setattr(stack._pool, "take", lambda size: asked.append(size) or take(size))
    expected = values_and_gradients(policy, layout)["out"]
    with torch.no_grad():
        found = logprobs.last_hidden(policy.decoder, layout, max(map(len, layout.paths)))
    assert torch.equal(found, expected)
    assert asked[-1] < 0.6 * asked[-2]


def test_frozen_parameters_get_no_gradient(plain):
    policy = make("qwen2")
    policy.model.model.embed_tokens.requires_grad_(False)
    policy.model.model.layers[1].mlp.up_proj.requires_grad_(False)
    layout = lay_out(BATCHES["nothing in common"], policy)
    close(values_and_gradients(policy, layout), plain(policy, layout))


def test_two_passes_at_once_do_not_share_memory():
    policy = make("llama")
    layouts = [lay_out(BATCHES[name], policy) for name in ("nothing in common", "one short sequence")]
    apart = [values_and_gradients(policy, layout) for layout in layouts]
    outs = [logprobs.last_hidden(policy.decoder, layout, 50) for layout in layouts]
    for out, expected in zip(outs, apart, strict=True):
        weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
        gradient = torch.autograd.grad((out * weight).sum(), policy.decoder.layers[0].q.weight)[0]
        assert torch.equal(gradient, expected["model.layers.0.self_attn.q_proj.weight"])


def test_a_second_way_back_is_refused():
    policy = make("llama")
    out = logprobs.last_hidden(policy.decoder, lay_out(BATCHES["one short sequence"], policy), 5)
    out.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="kept only once"):
        out.sum().backward()


def test_what_the_kernels_do_not_know_is_left_to_the_plain_decoder(tiny_policy, monkeypatch):
    assert Stack.bind(tiny_policy("qwen3", LoRA(rank=2)).decoder) is None
    assert Stack.bind(make("llama", head_dim=2).decoder) is None  # no whole vector
    policy = make("llama")
    for change in ({"activation": nn.GELU()}, {"q": nn.Linear(32, 32)}, {"gate": nn.Linear(32, 48)}):
        changed = make("llama").decoder
        changed.layers = (*changed.layers[:-1], replace(changed.layers[-1], **change))
        assert Stack.bind(changed) is None, change
    policy.model.bfloat16()
    assert Stack.bind(policy.decoder) is None
    monkeypatch.setattr(stack, "SMALL", 1000)
    assert Stack.bind(make("llama").decoder) is None


@pytest.mark.parametrize("broken", ["forward", "backward"])
def test_kernels_that_disagree_are_refused_loudly(monkeypatch, broken):
    policy = make("llama")
    layout = lay_out(BATCHES["nothing in common"], policy)
    right = getattr(Training, broken)

    def wrong(self, model, line, *pointers, **names):
        right(self, model, line, *pointers, **names)
        ctypes.memset(pointers[-1], 0, 64)  # a vector of the hidden states, or of the first norm's gradient

    monkeypatch.setattr(Training, broken, wrong)
    with pytest.warns(UserWarning, match="disagrees with PyTorch"):
        assert Stack.bind(policy.decoder) is None
    assert logprobs.last_hidden(policy.decoder, layout, 50).grad_fn.name() != "_LayersBackward"
