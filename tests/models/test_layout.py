import numpy as np
import pytest
import torch

from goalward.models.layout import count_tokens, lay_out
from goalward.models.logprobs import score

KNOWN = ["qwen2", "qwen3", "llama", "mistral"]
chance = np.random.default_rng(0)


def tokens(count):
    return chance.integers(0, 256, count).astype(np.int32)


SHARED = tokens(20)
PROMPTS = [np.concatenate([SHARED, tokens(n)]) for n in (5, 9, 2)]
SEQUENCES = [(PROMPTS[p], tokens(n)) for p, n in [(0, 7), (1, 30), (0, 12), (2, 1), (1, 3), (0, 29)]]


def one_by_one(policy, sequences):
    """What transformers gives for every token but the first, each sequence alone."""
    out = []
    for sequence in sequences:
        line = torch.from_numpy(np.concatenate(sequence)).long()
        logprobs = policy.model(input_ids=line[None]).logits[0].log_softmax(-1)
        out.append(logprobs[:-1].gather(-1, line[1:, None])[:, 0])
    return out


@pytest.mark.parametrize("architecture", [*KNOWN, "gpt_neox"])
def test_a_shared_beginning_changes_neither_scores_nor_gradients(tiny_policy, architecture):
    policy = tiny_policy(architecture)
    layout = lay_out(SEQUENCES, policy)
    for path, sequence in zip(layout.paths, SEQUENCES, strict=True):
        assert layout.tokens.flatten()[path].tolist() == np.concatenate(sequence).tolist()
    at = torch.from_numpy(np.concatenate([path[:-1] for path in layout.paths]))
    targets = torch.from_numpy(np.concatenate([np.concatenate(s)[1:] for s in SEQUENCES])).long()
    weight = torch.randn(len(at), generator=torch.Generator().manual_seed(0))

    found, _ = score(policy, layout, at, targets)
    (found * weight).sum().backward()
    gradients = {name: p.grad.clone() for name, p in policy.model.named_parameters()}
    policy.model.zero_grad()
    expected = torch.cat(one_by_one(policy, SEQUENCES))
    (expected * weight).sum().backward()

    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    for name, parameter in policy.model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=2e-4, rtol=1e-3, msg=name)


def test_each_distinct_token_stands_there_once(tiny_policy):
    layout = lay_out(SEQUENCES, tiny_policy())
    own = sum(len(prompt) - 20 for prompt in PROMPTS)
    completions = sum(len(completion) for _, completion in SEQUENCES)
    assert layout.tokens.numel() == 20 + own + completions
    assert count_tokens(SEQUENCES) == 60 + own + completions


def test_prompts_that_are_beginnings_of_each_other(tiny_policy):
    policy = tiny_policy()
    line = tokens(40)
    sequences = [(line[:30], tokens(4)), (line, tokens(4)), (line[:30], tokens(2))]
    layout = lay_out(sequences, policy)
    for path, sequence, expected in zip(layout.paths, sequences, one_by_one(policy, sequences), strict=True):
        found, _ = score(
            policy, layout, torch.from_numpy(path[:-1]), torch.from_numpy(np.concatenate(sequence)[1:]).long()
        )
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


def test_a_prompt_without_a_completion(tiny_policy):
    layout = lay_out([(tokens(5), tokens(0)), (tokens(3), tokens(0))], tiny_policy())
    assert [len(path) for path in layout.paths] == [5, 3]
