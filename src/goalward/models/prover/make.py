"""An untrained prover: a small Llama, and a tokenizer of one token for each symbol of goals and tactics.

`python -m goalward.models.prover.make FOLDER [SEED]` writes one.
"""

import sys
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from goalward.formal.formula import ATOMS
from goalward.formal.tactics import MOST_HYPOTHESES, NAMED, PLAIN

END, PAD, UNKNOWN, ANSWER = "<end>", "<pad>", "<unknown>", "▸"
STEPS = 64
"""Bins of the value: how many tactics are left, the last for as many and more, or no proof at all."""


TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %} ▸ {{ message['content'] }}<end>"
    "{% else %}{{ message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %} ▸ {% endif %}"
)


def vocabulary() -> list[str]:
    """Every token."""
    return [
        *(PAD, END, UNKNOWN, ANSWER, "\n"),
        *("⊢", ":", "(", ")", "¬", "→", "∧", "∨", "↔", "⊥", "⊤"),
        *ATOMS,
        *(f"h{place}" for place in range(1, MOST_HYPOTHESES + 1)),
        *PLAIN,
        *NAMED,
        "have",
        "value",
        *map(str, range(STEPS)),
    ]


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Words and symbols; spaces only part them."""
    words = {word: index for index, word in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Replace(Regex(r"[ \t]+"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "removed"),
            pre_tokenizers.Split(Regex(r"<\w+>|\w+|\n|[^\w\s]"), "isolated"),
        ]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
        padding_side="left",
    )
