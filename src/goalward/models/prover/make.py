"""The prover: a small Llama's configuration, and a tokenizer of one token for each symbol of goals and tactics.

`python -m goalward.models.prover.make [FOLDER]` writes both.
"""

import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

from goalward.formal.formula import ATOMS
from goalward.formal.tactics import MOST_HYPOTHESES, NAMED, PLAIN
from goalward.models.prover import PATH, STEPS

END, PAD, UNKNOWN, ANSWER = "<end>", "<pad>", "<unknown>", "▸"
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


def make(folder: Path) -> None:
    """Write configuration and tokenizer; the weights are drawn when the model is loaded as "new:"."""
    tokenizer = make_tokenizer()
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        architectures=["LlamaForCausalLM"],
        **ids,
    )
    config.save_pretrained(folder)
    GenerationConfig(**ids).save_pretrained(folder)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else PATH)
