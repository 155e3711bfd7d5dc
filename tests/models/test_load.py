import json
import sys

import numpy as np
import pytest
import torch
import transformers

from goalward.errors import UsageError
from goalward.models.layout import lay_out
from goalward.models.load import LoRA, ModelConfig, load_policy
from goalward.models.logprobs import score

TOKENS = torch.randint(0, 256, (2, 12), generator=torch.Generator().manual_seed(0))


def scores(policy):
    layout = lay_out([(row[:1], row[1:]) for row in TOKENS.int().numpy()], policy)
    at = torch.from_numpy(np.concatenate([path[:-1] for path in layout.paths]))
    return score(policy, layout, at, TOKENS[:, 1:].flatten())[0]


def train(policy, steps=3):
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        loss = -scores(policy).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama", "mistral", "gpt_neox"])
def test_what_is_trained_and_saved_loads_in_transformers_with_equal_logits(
    tiny_policy, tmp_path, architecture
):
    policy = tiny_policy(architecture)
    losses = train(policy)
    assert losses[-1] < losses[0]
    policy.save(tmp_path / "out")
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        assert torch.equal(loaded(TOKENS).logits, policy.model(TOKENS).logits)
    again = load_policy(ModelConfig(name=str(tmp_path / "out"), device="cpu"))
    assert torch.equal(scores(again), scores(policy))
    assert (
        again.chat.prompt([{"role": "user", "content": "x"}]).tolist()
        == policy.chat.prompt([{"role": "user", "content": "x"}]).tolist()
    )


def test_auto_is_float32_on_a_cpu_and_eval_mode(tiny_policy):
    policy = tiny_policy()
    assert policy.device.type == "cpu"
    assert {p.dtype for p in policy.parameters()} == {torch.float32}
    assert not policy.model.training
    assert policy.eos_ids == (258,)
    assert policy.pad_id == 256
    assert policy.context == 256


def test_a_missing_pad_token_is_an_end_token(tiny_model, tmp_path):
    transformers.AutoModelForCausalLM.from_pretrained(tiny_model("qwen2")).save_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model("qwen2"))
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    policy = load_policy(ModelConfig(name=str(tmp_path)))
    assert policy.pad_id == 258


def test_reference_is_the_policy_as_it_was(tiny_policy):
    policy = tiny_policy()
    with pytest.raises(RuntimeError, match="keep_reference"), policy.reference():
        pass
    before = scores(policy).detach()
    policy.keep_reference()
    train(policy)
    after = scores(policy)
    assert not torch.allclose(before, after)
    with policy.reference() as reference:
        old = scores(reference)
        assert torch.equal(old, before)
        assert not old.requires_grad
    assert torch.equal(scores(policy), after)
    after.sum().backward()  # a graph made before the block is still good after it


def test_a_resumed_run_takes_its_reference_from_where_it_started(tiny_policy, tmp_path):
    original, policy = tiny_policy(), tiny_policy()
    train(policy)
    policy.keep_reference(original)
    with policy.reference() as reference:
        assert torch.equal(scores(reference), scores(original))
    with pytest.raises(UsageError, match="other shapes"):
        policy.keep_reference(tiny_policy("qwen3"))


def test_lora_trains_only_its_adapter_and_resumes(tiny_policy, tiny_model, tmp_path):
    policy = tiny_policy("qwen2", lora=LoRA(rank=4))
    assert policy.decoder is not None
    base = {name: p.clone() for name, p in policy.model.named_parameters() if not p.requires_grad}
    before = scores(policy).detach()
    policy.keep_reference()
    losses = train(policy)
    assert losses[-1] < losses[0]
    for name, parameter in policy.model.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        assert name not in base or torch.equal(parameter, base[name])
    expected = policy.model(TOKENS).logits.log_softmax(-1)[:, :-1].gather(-1, TOKENS[:, 1:, None]).flatten()
    torch.testing.assert_close(scores(policy), expected, atol=1e-5, rtol=1e-5)
    with policy.reference() as reference:
        assert torch.equal(scores(reference), before)

    policy.save(tmp_path / "adapter")
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["r"] == 4
    again = load_policy(ModelConfig(name=str(tmp_path / "adapter"), device="cpu", lora=LoRA(rank=4)))
    assert torch.equal(scores(again), scores(policy))
    assert len(again.parameters()) == len(policy.parameters())
    train(again, steps=1)
    with pytest.raises(UsageError, match="is a LoRA adapter of rank 4"):
        load_policy(ModelConfig(name=str(tmp_path / "adapter"), lora=LoRA(rank=8)))


def test_lora_on_modules_that_the_model_does_not_have(tiny_model):
    with pytest.raises(UsageError, match="LoRA cannot be added"):
        load_policy(ModelConfig(name=str(tiny_model("gpt_neox")), lora=LoRA()))


def test_lora_without_peft(tiny_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UsageError, match=r"pip install 'goalward\[peft\]'"):
        load_policy(ModelConfig(name=str(tiny_model("qwen2")), lora=LoRA()))


def test_models_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match=r"'\./nowhere': there is no such folder"):
        load_policy(ModelConfig(name="./nowhere"))
    with pytest.raises(UsageError, match=r"no config\.json"):
        load_policy(ModelConfig(name=str(tmp_path)))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_policy(ModelConfig(name=str(tmp_path)))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="'nobody/nothing': not a folder here and not found on the Hub"):
        load_policy(ModelConfig(name="nobody/nothing"))


def test_devices_and_dtypes_that_are_not_there(tiny_model):
    with pytest.raises(UsageError, match="device 'warp' cannot be used here"):
        load_policy(ModelConfig(name=str(tiny_model("qwen2")), device="warp"))
    with pytest.raises(UsageError, match="dtype 'int4' is not one of"):
        load_policy(ModelConfig(name=str(tiny_model("qwen2")), dtype="int4"))
