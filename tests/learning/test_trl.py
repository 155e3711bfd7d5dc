"""GRPO's loss and gradients equal TRL's on the very rollouts that TRL made."""

import numpy as np
import pytest
import torch

from goalward.learning.algorithm import TokenBatch
from goalward.learning.pack import pack
from goalward.learning.policy_gradient import FAMILY, PolicyGradient
from goalward.models.logprobs import score
from goalward.types import Feedback, Group, Rollout, Task

trl = pytest.importorskip("trl", reason="trl is not installed: pip install 'goalward[bench]'")

PROMPTS = ("say a", "say something longer", "go", "now")
ATTEMPTS, LONGEST = 4, 12


def reward(ids):
    return sum(token < 110 for token in ids) / 4 + (len(ids) < LONGEST)


def practise(folder, tmp_path, loss_type, beta):
    """Two TRL updates from the same rollouts; what went into the second, and what came out of it."""
    from datasets import Dataset

    seen = {}

    class Recorder(trl.GRPOTrainer):
        def _compute_loss(self, model, inputs):
            loss = super()._compute_loss(model, inputs)
            names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
            wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
            gradients = torch.autograd.grad(loss, wanted, retain_graph=True)
            seen.update(
                inputs=inputs,
                loss=loss.item(),
                gradients=dict(zip(names, gradients, strict=True)),
                weights={name: value.clone() for name, value in model.state_dict().items()},
            )
            return loss

    arguments = trl.GRPOConfig(
        output_dir=str(tmp_path),
        use_cpu=True,
        bf16=False,
        max_steps=2,
        num_iterations=2,
        learning_rate=3e-3,
        per_device_train_batch_size=len(PROMPTS) * ATTEMPTS,
        num_generations=ATTEMPTS,
        max_completion_length=LONGEST,
        loss_type=loss_type,
        scale_rewards="none" if loss_type == "dr_grpo" else "group",
        epsilon_high=0.28 if loss_type == "dapo" else None,
        beta=beta,
        use_bias_correction_kl=False,  # DeepSeek-V3.2's weight on the KL, which is not in GRPO's paper
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        seed=3,
    )
    from transformers import AutoModelForCausalLM, AutoTokenizer

    Recorder(
        model=AutoModelForCausalLM.from_pretrained(folder),
        processing_class=AutoTokenizer.from_pretrained(folder),
        reward_funcs=lambda completion_ids, **_: [reward(ids) for ids in completion_ids],
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": PROMPTS}),
    ).train()
    return seen


def rollouts_of(inputs):
    """TRL's padded rows as groups, and each rollout's row."""
    groups, row_of = {}, {}
    for row in range(len(inputs["prompt_ids"])):
        prompt = inputs["prompt_ids"][row][inputs["prompt_mask"][row].bool()].numpy().astype(np.int32)
        completion = inputs["completion_ids"][row][inputs["completion_mask"][row].bool()]
        completion = completion.numpy().astype(np.int32)
        rollout = Rollout(
            prompt=prompt,
            completion=completion,
            sampled=np.ones(completion.size, np.bool_),
            logprobs=None,
            text="",
            stop="length" if completion.size == LONGEST else "eos",
        )
        groups.setdefault(prompt.tobytes(), []).append(rollout)
        row_of[id(rollout)] = row
    task = Task(id="t", messages=({"role": "user", "content": ""},))
    judged = [
        Group(
            task=task,
            rollouts=tuple(group),
            feedback=tuple(Feedback(score=reward(r.completion.tolist())) for r in group),
        )
        for group in groups.values()
    ]
    return judged, row_of


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("beta", [0.0, 0.1])
@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "dapo"])
def test_loss_and_gradients_equal_trls(tiny_model, tiny_policy, tmp_path, name, beta):
    seen = practise(tiny_model("qwen2"), tmp_path, name, beta)
    inputs = seen["inputs"]
    groups, row_of = rollouts_of(inputs)
    # One round: what TRL calls DAPO has no dynamic sampling.
    algorithm = PolicyGradient(**{**FAMILY[name], "rounds": 1}, beta=beta, max_tokens=LONGEST)
    examples = algorithm.credit(groups)
    rows = [row_of[id(example.rollout)] for example in examples]
    assert {len(group.rollouts) for group in groups} == {ATTEMPTS}
    for example, row in zip(examples, rows, strict=True):
        assert example.advantage == pytest.approx(inputs["advantages"][row].item(), abs=1e-5)

    policy = tiny_policy("qwen2")
    policy.model.load_state_dict(seen["weights"])
    micro = pack(examples, policy)
    logprobs, _ = score(policy, micro.layout, micro.at, micro.targets)

    def recorded(key):
        lengths = [example.rollout.completion.size for example in examples]
        return torch.cat([inputs[key][row, :length] for row, length in zip(rows, lengths, strict=True)])

    old = recorded("old_per_token_logps")
    batch = TokenBatch(
        logprobs=logprobs,
        old=old,
        behaviour=old,
        reference=recorded("ref_per_token_logps") if beta else None,
        advantage=micro.advantage,
        weight=micro.weight,
    )
    loss, sums = algorithm.loss(batch)
    assert (old - logprobs).abs().max() > 0.05  # the second update: off-policy, some tokens clipped
    assert sums["clip_share"] > 0
    assert loss.item() == pytest.approx(seen["loss"], abs=1e-4)
    loss.backward()
    gradients = {key: p.grad for key, p in policy.model.named_parameters()}
    assert max(gradient.abs().max() for gradient in gradients.values()) > 1e-3
    for key, gradient in seen["gradients"].items():
        torch.testing.assert_close(gradients[key], gradient, atol=1e-4, rtol=1e-4)
