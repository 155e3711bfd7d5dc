import warnings

import numpy as np
import pytest
import torch

from goalward.engines.cache import row_bytes
from goalward.engines.engine import Request, Sampling
from goalward.engines.native import NativeEngine
from goalward.engines.slots import SlotMemory
from goalward.engines.writer import StepWriter
from goalward.models.fused import FusedDecoder
from goalward.models.load import LoRA, ModelConfig, load_policy

chance = np.random.default_rng(0)
PROMPTS = [chance.integers(0, 256, n).astype(np.int32) for n in (3, 17, 40, 17)]
GREEDY = Sampling(temperature=0.0, max_tokens=30)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def ask(engine, sampling, streams=(0, 1, 2), seed=0):
    requests = [Request(prompt=prompt, streams=streams) for prompt in PROMPTS]
    return [r for group in engine.generate(requests, sampling, seed=seed) for r in group]


def with_slots(policy, rows=64, longest=256):
    """An engine that writes in slots on any device, and its slots."""
    engine = NativeEngine(policy, max_batch=rows)
    with torch.inference_mode():
        slots = SlotMemory(policy, FusedDecoder(policy.decoder), rows, longest, wanted=rows)

    def writer(jobs, shared):
        slots.begin()
        return StepWriter(slots, policy.device), rows

    engine._writer = writer
    return engine, slots


def agree(found, expected, atol=1e-4):
    assert [r.completion.tolist() for r in found] == [r.completion.tolist() for r in expected]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=atol)


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama", "mistral"])
@pytest.mark.parametrize("rows", [64, 5])
def test_slots_change_no_sample(tiny_policy, architecture, rows):
    """Also where places are refilled, rows are compacted, and sequences reach beyond one graph's."""
    policy = tiny_policy(architecture)
    expected = ask(NativeEngine(policy), Sampling(max_tokens=120))
    assert max(len(r.prompt) + len(r.completion) for r in expected) > 128
    assert len({len(r.completion) for r in expected}) >= 3
    agree(ask(with_slots(policy, rows)[0], Sampling(max_tokens=120)), expected)


def test_slots_are_kept_while_weights_change_in_place(tiny_policy):
    policy = tiny_policy("llama", lora=LoRA(rank=2))
    engine, _ = with_slots(policy)
    first = ask(engine, GREEDY)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1)
    agree(ask(engine, GREEDY), ask(NativeEngine(policy), GREEDY))
    assert [r.completion.tolist() for r in first] != [r.completion.tolist() for r in ask(engine, GREEDY)]


def test_slots_are_as_many_as_memory_allows_and_made_anew_only_when_larger_ones_are_wanted(
    tiny_policy, monkeypatch
):
    policy = tiny_policy()
    engine = NativeEngine(policy, max_batch=64)
    free = 2 * 10 * row_bytes(policy, 128)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 2 * free))
    slots = engine._slots_for(policy.decoder, 40, 100)
    assert (slots.rows, slots.length) == (10, 128)
    assert engine._slots_for(policy.decoder, 40, 128) is slots
    assert engine._slots_for(policy.decoder, 8, 20) is slots
    assert engine._slots_for(policy.decoder, 41, 100) is not slots
    assert engine._slots_for(policy.decoder, 8, 129).length == 256


def test_graphs_go_when_other_weights_stand_in_their_place(tiny_policy):
    policy = tiny_policy()
    _, slots = with_slots(policy)
    slots._graphs[8, 128] = "recorded"

    def begin():
        with torch.inference_mode():
            slots.begin()

    begin()
    assert slots._graphs
    with policy.wearing([parameter.detach().clone() for parameter in policy.parameters()]):
        begin()
        assert not slots._graphs


def test_a_recording_that_fails_is_said_once_and_steps_are_computed(tiny_policy, monkeypatch):
    policy = tiny_policy()
    engine, slots = with_slots(policy)
    slots._records = True

    def fail(*_):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(slots, "_record", fail)
    with pytest.warns(UserWarning, match="no CUDA graph could be recorded .*not permitted") as told:
        agree(ask(engine, GREEDY), ask(NativeEngine(policy), GREEDY))
    assert len(told) == 1


@needs_cuda
def test_on_a_gpu_greedy_tokens_are_the_cpus_and_graphs_outlive_optimizer_steps(tiny_model, tiny_policy):
    policy = load_policy(ModelConfig(name=str(tiny_model("qwen2")), device="cuda", dtype="float32"))
    plain, engine = tiny_policy("qwen2"), NativeEngine(policy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no fallback
        for _ in range(3):
            agree(ask(engine, GREEDY), ask(NativeEngine(plain), GREEDY), atol=1e-3)
            graphs = set(map(id, engine._slots._graphs.values()))
            assert graphs
            for each in (policy, plain):
                with torch.no_grad():
                    for parameter in each.parameters():
                        parameter.mul_(1.01)
        assert graphs == set(map(id, engine._slots._graphs.values()))


@needs_cuda
def test_on_a_gpu_played_and_computed_log_probabilities_agree_in_bf16(tiny_model):
    policy = load_policy(ModelConfig(name=str(tiny_model("qwen2")), device="cuda", dtype="bfloat16"))
    played, computed = NativeEngine(policy), NativeEngine(policy)
    first = ask(computed, GREEDY)
    computed._slots._records = False
    computed._slots._graphs.clear()
    for a, b in zip(ask(played, GREEDY), ask(computed, GREEDY), strict=True):
        same = (np.cumsum(a.completion[: len(b.completion)] != b.completion[: len(a.completion)]) == 0).sum()
        np.testing.assert_allclose(a.logprobs[:same], b.logprobs[:same], atol=2e-2)
    assert len(first) == 12
