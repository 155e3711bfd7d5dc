import numpy as np
import pytest
import torch

from goalward.engines.compiled import CompiledWriter
from goalward.engines.engine import Request, Sampling
from goalward.engines.native import NativeEngine
from goalward.errors import GoalwardError, UsageError
from goalward.kernels.build import find_compiler
from goalward.models.load import LoRA

ARCHITECTURES = ["qwen2", "qwen3", "llama", "mistral", "gpt_neox", "mistral_window"]
PROMPTS = [
    np.random.default_rng(i).integers(0, 256, size=n).astype(np.int32) for i, n in enumerate((5, 23, 1, 12))
]
GREEDY = Sampling(temperature=0.0, max_tokens=20)


@pytest.fixture(params=["C++", "PyTorch"], autouse=True)
def way(request, monkeypatch):
    """Every test with the kernels, and without them."""
    if request.param == "PyTorch":
        monkeypatch.setattr("goalward.kernels.forward.forward", lambda: None)
    elif find_compiler() is None:
        pytest.skip("there is no C++ compiler")
    return request.param


def ask(policy, sampling, prompts=PROMPTS, streams=(0,), seed=0, **engine):
    requests = [Request(prompt=prompt, streams=streams) for prompt in prompts]
    return NativeEngine(policy, **engine).generate(requests, sampling, seed=seed)


def fresh_logprobs(policy, rollout, temperature=1.0):
    """What transformers' own forward gives for the completion, alone and unpadded."""
    tokens = torch.from_numpy(np.concatenate([rollout.prompt, rollout.completion])).long()[None]
    with torch.no_grad():
        logprobs = (policy.model(input_ids=tokens).logits[0] / temperature).log_softmax(-1)
    start = len(rollout.prompt)
    return logprobs[start - 1 : -1].gather(-1, tokens[0, start:, None])[:, 0].numpy()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_equals_transformers_generate(tiny_policy, architecture):
    policy = tiny_policy(architecture)
    for prompt, (rollout,) in zip(PROMPTS, ask(policy, GREEDY), strict=True):
        ids = torch.from_numpy(prompt).long()[None]
        out = policy.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=20,
            do_sample=False,
            eos_token_id=258,
            pad_token_id=256,
        )
        assert rollout.completion.tolist() == out[0, len(prompt) :].tolist()
        np.testing.assert_allclose(rollout.logprobs, fresh_logprobs(policy, rollout), atol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sampled_logprobs_equal_a_fresh_forward(tiny_policy, architecture, temperature):
    policy = tiny_policy(architecture)
    # A cut distribution's log-probabilities are still those of the whole one.
    sampling = Sampling(temperature=temperature, top_k=50, top_p=0.95, max_tokens=30)
    for group in ask(policy, sampling, streams=(1, 2, 3)):
        for rollout in group:
            assert rollout.logprobs.dtype == np.float32
            assert rollout.sampled.all()
            assert len(rollout.completion) == len(rollout.logprobs) == len(rollout.sampled) > 0
            np.testing.assert_allclose(
                rollout.logprobs, fresh_logprobs(policy, rollout, temperature), atol=1e-4
            )


@pytest.mark.parametrize("architecture", ["qwen3", "gpt_neox"])
def test_samples_hang_on_seed_and_stream_not_on_batch_or_order(tiny_policy, architecture):
    policy = tiny_policy(architecture)
    sampling = Sampling(max_tokens=40)
    streams = (7, -3, 2**63, 11, 5)

    def completions(groups):
        return [[rollout.completion.tolist() for rollout in group] for group in groups]

    whole = completions(ask(policy, sampling, streams=streams))
    assert completions(ask(policy, sampling, streams=streams, max_batch=3)) == whole
    backwards = completions(ask(policy, sampling, PROMPTS[::-1], streams[::-1]))
    assert [group[::-1] for group in backwards[::-1]] == whole
    assert completions(ask(policy, sampling, PROMPTS[1:2], streams[2:3])) == [[whole[1][2]]]
    assert completions(ask(policy, sampling, streams=streams, seed=1)) != whole
    flat = [tuple(c) for group in whole for c in group]
    assert len(set(flat)) == len(flat)


def test_it_samples_with_the_weights_of_now(tiny_policy):
    policy = tiny_policy()
    before = ask(policy, GREEDY)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(-1.3)
    after = ask(policy, GREEDY)
    assert [g[0].completion.tolist() for g in before] != [g[0].completion.tolist() for g in after]
    np.testing.assert_allclose(after[1][0].logprobs, fresh_logprobs(policy, after[1][0]), atol=1e-4)


def test_lora_samples_with_the_adapter(tiny_policy):
    policy = tiny_policy("llama", lora=LoRA(rank=2))
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1)
    ((rollout,),) = ask(policy, Sampling(max_tokens=10), PROMPTS[:1])
    np.testing.assert_allclose(rollout.logprobs, fresh_logprobs(policy, rollout), atol=1e-4)


def speak(policy, law):
    """Make the policy draw every token from `law` {token: weight}, whatever was said before."""
    head = torch.nn.Linear(32, 272)
    torch.nn.init.zeros_(head.weight)
    with torch.no_grad():
        head.bias.fill_(-100.0)
        for token, weight in law.items():
            head.bias[token] = np.log(weight)
    policy.model.lm_head = policy.decoder.head = head


@pytest.mark.parametrize("pad_is_eos", [False, True])
def test_ended_sequences_leave_and_the_others_go_on(tiny_policy, pad_is_eos):
    policy = tiny_policy("qwen2")
    speak(policy, {1: 0.5, 2: 0.4, 258: 0.1})
    if pad_is_eos:
        policy.pad_id = 258
    groups = ask(policy, Sampling(max_tokens=30), streams=tuple(range(40)))
    rollouts = [rollout for group in groups for rollout in group]
    assert {r.stop for r in rollouts} == {"eos", "length"}
    for rollout in rollouts:
        ends = np.flatnonzero(rollout.completion == 258).tolist()
        assert ends == ([len(rollout.completion) - 1] if rollout.stop == "eos" else [])
        assert rollout.stop == "eos" or len(rollout.completion) == 30
        np.testing.assert_allclose(rollout.logprobs, fresh_logprobs(policy, rollout), atol=1e-4)
        assert rollout.text == policy.chat.text(rollout.completion)
    # 160 geometric lengths of mean (1 - 0.9^30) / 0.1 = 9.58 and deviation about 8: mean within 5 errors.
    assert np.mean([len(r.completion) for r in rollouts]) == pytest.approx(9.58, abs=5 * 8 / 160**0.5)


def test_stop_strings_keep_the_tokens_and_cut_the_text(tiny_policy):
    policy = tiny_policy()
    speak(policy, dict.fromkeys(policy.tokenizer("abcé")["input_ids"], 1.0))
    ((free,),) = ask(policy, Sampling(max_tokens=60), PROMPTS[:1], seed=4)
    for width in (1, 3):
        stop = next(w for w in (free.text[i : i + width] for i in range(9, 50)) if "\ufffd" not in w)
        ((rollout,),) = ask(policy, Sampling(max_tokens=60, stop=("never said", stop)), PROMPTS[:1], seed=4)
        assert rollout.stop == "stop"
        assert rollout.text == free.text[: free.text.index(stop)]
        assert rollout.completion.tolist() == free.completion.tolist()[: len(rollout.completion)]
        assert policy.chat.text(rollout.completion).endswith(stop)
        assert stop not in policy.chat.text(rollout.completion[:-1])


def test_weights_that_are_not_numbers_are_named(tiny_policy):
    policy = tiny_policy()
    with torch.no_grad():
        policy.parameters()[-1].fill_(float("nan"))
    for sampling in (GREEDY, Sampling(), Sampling(top_p=0.5)):
        with pytest.raises(GoalwardError, match="logits that are not numbers"):
            ask(policy, sampling)


def test_a_completion_ends_where_the_context_does(tiny_policy):
    policy = tiny_policy("gpt_neox")
    long = np.arange(250, dtype=np.int32)
    (nearly,), (short,) = ask(policy, GREEDY, [long, PROMPTS[0]])
    assert (len(nearly.completion), nearly.stop) == (6, "length")
    assert len(short.completion) == 20
    with pytest.raises(UsageError, match=r"prompt 2 has 256 tokens and the context of model .* 256"):
        ask(policy, GREEDY, [PROMPTS[0], np.zeros(256, np.int32)])
    with pytest.raises(UsageError, match="prompt 1 is empty"):
        ask(policy, GREEDY, [np.zeros(0, np.int32)])


def test_nothing_asked_nothing_given(tiny_policy):
    assert ask(tiny_policy(), GREEDY, []) == []
    assert ask(tiny_policy(), GREEDY, PROMPTS[:1], streams=()) == [()]


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_k": -1}, {"max_tokens": 0}, {"stop": ("",)}]
)
def test_settings_that_make_no_sense(tiny_policy, wrong):
    with pytest.raises(UsageError, match=f"sampling.{next(iter(wrong))} = "):
        ask(tiny_policy(), Sampling(**wrong))


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama", "mistral"])
def test_a_shared_beginning_and_refilled_places_change_no_sample(tiny_policy, architecture):
    policy = tiny_policy(architecture)
    speak_end(policy)
    shared = np.random.default_rng(9).integers(0, 256, 20)
    prompts = [np.concatenate([shared, prompt]).astype(np.int32) for prompt in PROMPTS]
    sampling = Sampling(max_tokens=40)
    streams = tuple(range(6))
    whole = ask(policy, sampling, prompts, streams)
    rollouts = [rollout for group in whole for rollout in group]
    assert {r.stop for r in rollouts} == {"eos", "length"}
    for rollout in rollouts:
        np.testing.assert_allclose(rollout.logprobs, fresh_logprobs(policy, rollout), atol=1e-4)
    # Places for 5 of the 24: as some end others are admitted, and several cohorts are under way.
    refilled = ask(policy, sampling, prompts, streams, max_batch=5)
    for group, again in zip(whole, refilled, strict=True):
        assert [r.completion.tolist() for r in group] == [r.completion.tolist() for r in again]


def speak_end(policy):
    """Make the end token likely enough that completions end at all lengths."""
    head = torch.nn.Linear(32, 272)
    with torch.no_grad():
        head.weight.copy_(policy.decoder.head.weight)
        head.bias.zero_()
        head.bias[258] = 2.0
    policy.model.lm_head = policy.decoder.head = head


def test_rows_are_admitted_while_others_are_being_written(tiny_policy, monkeypatch):
    policy = tiny_policy()
    speak_end(policy)
    engine = NativeEngine(policy, max_batch=8)
    seen = []
    admit = NativeEngine._admit

    def watch(self, writer, jobs):
        under_way = len(writer._rows) if isinstance(writer, CompiledWriter) else len(writer._memory._cohorts)
        seen.append((under_way, len(jobs)))
        return admit(self, writer, jobs)

    monkeypatch.setattr(NativeEngine, "_admit", watch)
    requests = [Request(prompt=prompt, streams=tuple(range(8))) for prompt in PROMPTS]
    engine.generate(requests, Sampling(max_tokens=40), seed=0)
    assert sum(count for _, count in seen) == 32
    assert max(under_way for under_way, _ in seen) > 0  # continuous batching: not wave after wave
