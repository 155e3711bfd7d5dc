"""Make the pocket model: `python -m goalward.models.pocket.make [FOLDER]`.

Fresh text, read once, in batches of documents of like length; the loss counts what the assistant says.
The same machine, number of threads and version of PyTorch give the same weights, bit by bit.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from goalward.models.pocket import PATH
from goalward.models.pocket.text import Document, documents, sheets
from goalward.models.pocket.tokenizer import ENGLISH, make_tokenizer

IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How much is read and how fast it is learned.

    A batch is at most `batch_tokens` tokens, padding included. Muon (Jordan et al. 2024) moves the matrices
    inside the layers and AdamW the rest: at equal time on two cores this learned more than AdamW alone.
    """

    sheets: int = 15_000
    documents: int = 90_000
    batch_tokens: int = 2048
    matrix_rate: float = 5e-3
    rate: float = 3e-3
    warmup: int = 200
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Row:
    """A document as tokens; the first `prompt` of them are not learned."""

    tokens: list[int]
    prompt: int


def make(folder: Path, training: Training) -> None:
    """Train tokenizer and model, and put them into `folder`, whole or not at all."""
    torch.set_num_threads(training.threads)
    torch.manual_seed(training.seed)
    tokenizer = make_tokenizer(sample_texts(training.seed + 1))
    first = encode(tokenizer, islice(sheets(training.seed), training.sheets))
    rows = encode(tokenizer, islice(documents(training.seed), training.documents))
    print(
        f"{len(tokenizer)} tokens in the vocabulary; {sum(len(row.tokens) for row in first + rows):,} to read",
        flush=True,
    )
    model = new_model(tokenizer)
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters", flush=True)
    train(model, [*batches(first, training), *batches(rows, training)], training)
    save(model, tokenizer, folder)


def sample_texts(seed: int) -> Iterator[str]:
    """What the tokenizer learns its words from."""
    for document in islice(documents(seed), 6000):
        yield document.messages[-1]["content"]
        yield document.completion
    for _ in range(8):
        yield ENGLISH
    for message in {
        message["content"]: message for d in islice(documents(seed), 300) for message in d.messages[:-1]
    }:
        yield from [message] * 8


def encode(tokenizer: PreTrainedTokenizerFast, texts: Iterator[Document]) -> list[Row]:
    """Tokens of each document, as the chat template writes it."""
    rows = []
    for document in texts:
        messages: list[Any] = [dict(message) for message in document.messages]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        completion = tokenizer(document.completion)["input_ids"]
        rows.append(Row([*prompt, *completion, tokenizer.eos_token_id], len(prompt)))
    return rows


def new_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """A Qwen2 of random weights: wide rather than deep, so that a token takes few steps."""
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        initializer_range=0.04,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


def batches(rows: list[Row], training: Training) -> Iterator[list[Row]]:
    """Rows of like length together: next to no padding, and no row sees another."""
    random = Random(training.seed)  # noqa: S311
    # Sorting within large pools, and shuffling the batches of a pool, keeps the order of reading nearly random.
    for start in range(0, len(rows), 8000):
        pool: list[list[Row]] = [[]]
        for row in sorted(rows[start : start + 8000], key=lambda row: len(row.tokens)):
            if pool[-1] and (len(pool[-1]) + 1) * len(row.tokens) > training.batch_tokens:
                pool.append([])
            pool[-1].append(row)
        random.shuffle(pool)
        yield from pool


def train(model: Qwen2ForCausalLM, plan: list[list[Row]], training: Training) -> None:
    """One pass over the batches."""
    optimizers = make_optimizers(model, training)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share(step, len(plan), training.warmup))
        for optimizer in optimizers
    ]
    began, read, smooth = time.monotonic(), 0, 0.0
    for step, batch in enumerate(plan, start=1):
        loss = loss_of(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        read += sum(len(row.tokens) for row in batch)
        smooth = loss.item() if step == 1 else 0.98 * smooth + 0.02 * loss.item()
        if step % 200 == 0 or step == len(plan):
            speed = read / (time.monotonic() - began)
            print(f"step {step} of {len(plan)}: loss {smooth:.3f}, {speed:,.0f} tokens/s", flush=True)


def make_optimizers(model: Qwen2ForCausalLM, training: Training) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings, norms and biases."""
    matrices = [
        weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name
    ]
    inside = set(map(id, matrices))
    others = [weight for weight in model.parameters() if id(weight) not in inside]
    return [
        torch.optim.Muon(
            matrices, lr=training.matrix_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=training.rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def share(step: int, steps: int, warmup: int) -> float:
    """The share of the learning rate at `step`: warm-up, then a straight line to zero."""
    return min((step + 1) / warmup, 1.0) * (1 - step / steps)


def loss_of(model: Any, batch: list[Row]) -> torch.Tensor:
    """Mean cross-entropy of the completions' tokens. Padding stands on the right, where causal attention is blind."""
    width = max(len(row.tokens) for row in batch)
    tokens = torch.tensor([row.tokens + [0] * (width - len(row.tokens)) for row in batch])
    labels = torch.full_like(tokens, IGNORED)
    for index, row in enumerate(batch):
        labels[index, row.prompt - 1 : len(row.tokens) - 1] = tokens[index, row.prompt : len(row.tokens)]
    learned = labels != IGNORED
    hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state[learned]
    return cross_entropy(model.lm_head(hidden), labels[learned])


def save(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write everything to a neighbour, then put it in the folder's place."""
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(fresh)
    tokenizer.save_pretrained(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else PATH, Training())
