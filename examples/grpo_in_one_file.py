"""GRPO in one file: no framework, nothing hidden. Run it: python examples/grpo_in_one_file.py

A small model practises addition. Each question is attempted several times; attempts that did better
than their group's average become likelier, the others less likely. That is all.

What is left out, and lives in the library: a fast engine (here: transformers' generate), long runs
that resume, several updates from one batch (hence no ratio and no clip here: on-policy both do
nothing), the KL to a reference, and any measure of success other than the reward.
"""

import random

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from goalward.models.pocket import PATH as MODEL

QUESTIONS, ATTEMPTS, STEPS, LEARNING_RATE, LONGEST = 16, 8, 20, 2e-4, 32


def reward(answer: str, truth: int) -> float:
    """The goal: the right number between the answer tags."""
    return float(answer.rpartition("<answer>")[2].partition("</answer>")[0].strip() == str(truth))


def advantages(rewards: torch.Tensor) -> torch.Tensor:
    """[questions, attempts]: how much better than the group's average, in standard deviations.

    A group in which all did equally well teaches nothing: 0 over a little is 0.
    """
    return (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)


def log_probabilities(
    model: torch.nn.Module, prompts: torch.Tensor, completions: torch.Tensor
) -> torch.Tensor:
    """[n, tokens]: log pi(token | all before it). The first is predicted at the prompt's last position."""
    tokens = torch.cat([prompts, completions], dim=1)
    mask = (tokens != model.config.pad_token_id).long()
    places = (mask.cumsum(1) - 1).clamp(min=0)
    logits = model(tokens, attention_mask=mask, position_ids=places).logits[:, prompts.shape[1] - 1 : -1]
    return logits.log_softmax(-1).gather(-1, completions[..., None])[..., 0]


def grpo_loss(logprobs: torch.Tensor, mask: torch.Tensor, advantage: torch.Tensor) -> torch.Tensor:
    """Mean over each attempt's tokens, then over attempts, of -advantage * ratio.

    The ratio pi / pi_old is 1 here, but its gradient is that of log pi: the policy gradient.
    """
    ratio = torch.exp(logprobs - logprobs.detach())
    per_token = -advantage[:, None] * ratio
    return ((per_token * mask).sum(1) / mask.sum(1)).mean()


def main() -> None:
    """Act, get feedback, learn from the feedback; repeat."""
    torch.manual_seed(0)
    random.seed(0)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(MODEL), AutoTokenizer.from_pretrained(MODEL)
    model.float().eval()
    tokenizer.padding_side, model.config.pad_token_id = "left", tokenizer.pad_token_id
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    for step in range(STEPS):
        pairs = [(random.randint(10, 99), random.randint(10, 99)) for _ in range(QUESTIONS)]
        chats = [
            [{"role": "user", "content": f"What is {a} + {b}?"}] for a, b in pairs for _ in range(ATTEMPTS)
        ]
        encoded = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        )
        prompts = encoded["input_ids"]

        with torch.no_grad():  # act
            out = model.generate(**encoded, do_sample=True, top_k=0, top_p=1.0, max_new_tokens=LONGEST)
        completions = out[:, prompts.shape[1] :]
        ended = (completions == tokenizer.eos_token_id).cumsum(1)
        mask = ((ended == 0) | ((ended == 1) & (completions == tokenizer.eos_token_id))).float()

        answers = tokenizer.batch_decode(completions, skip_special_tokens=True)  # get feedback
        truths = [a + b for a, b in pairs for _ in range(ATTEMPTS)]
        rewards = torch.tensor([reward(text, truth) for text, truth in zip(answers, truths, strict=True)])

        advantage = advantages(rewards.view(QUESTIONS, ATTEMPTS)).flatten()  # learn from the feedback
        loss = grpo_loss(log_probabilities(model, prompts, completions), mask, advantage)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(f"step {step:2d}  reward {rewards.mean():.3f}  tokens {mask.sum(1).mean():.1f}")


if __name__ == "__main__":
    main()
