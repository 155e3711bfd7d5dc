"""Tiny random-weight models of several architectures, made once a session."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from goalward.models.load import LoRA, ModelConfig, load_policy
from goalward.models.policy import Policy

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

VOCABULARY = 272  # 256 bytes, 3 special tokens, and some that no text has, as real models do

SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "initializer_range": 0.15,
    "bos_token_id": None,
    "eos_token_id": 258,
    "pad_token_id": 256,
}

ARCHITECTURES = {
    "qwen2": lambda: transformers.Qwen2Config(**SHAPE, tie_word_embeddings=True),
    "qwen3": lambda: transformers.Qwen3Config(**SHAPE),
    "llama": lambda: transformers.LlamaConfig(
        **SHAPE,
        rope_parameters={
            "rope_type": "llama3",
            "rope_theta": 10_000.0,
            "factor": 4.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    ),
    "mistral": lambda: transformers.MistralConfig(**SHAPE, sliding_window=None),
    # The decoder does not know these two: one of another family, one with a short window.
    "gpt_neox": lambda: transformers.GPTNeoXConfig(
        **{k: v for k, v in SHAPE.items() if k not in ("num_key_value_heads", "head_dim")},
        tie_word_embeddings=False,
    ),
    "mistral_window": lambda: transformers.MistralConfig(**SHAPE, sliding_window=8),
}


def byte_tokenizer(template: str | None = TEMPLATE) -> transformers.PreTrainedTokenizerFast:
    """A token a byte, and three special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: i for i, char in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    # Ids as SHAPE names them: pad 256, start 257, end 258.
    tokenizer.add_special_tokens(["<|pad|>", "<|im_start|>", "<|im_end|>"])
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
    )
    wrapped.chat_template = template
    return wrapped


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny models are faster on one thread, and tests then leave the other cores alone."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`tiny_model(architecture)`: a folder with a random-weight model and a byte-level tokenizer."""
    made: dict[str, Path] = {}

    def make(architecture: str) -> Path:
        if architecture not in made:
            folder = tmp_path_factory.mktemp(architecture)
            torch.manual_seed(1)
            model = transformers.AutoModelForCausalLM.from_config(ARCHITECTURES[architecture]())
            for parameter in model.parameters():
                # Norms of 1 and biases of 0 would hide a forward pass that forgets them.
                if parameter.dim() == 1:
                    parameter.data.add_(torch.randn_like(parameter) * 0.1)
            model.save_pretrained(folder)
            byte_tokenizer().save_pretrained(folder)
            made[architecture] = folder
        return made[architecture]

    return make


@pytest.fixture
def make_tokenizer() -> Callable[..., transformers.PreTrainedTokenizerFast]:
    """`make_tokenizer(template=ChatML)`: a fresh byte-level tokenizer; its `chat_template` may be None."""
    return byte_tokenizer


@pytest.fixture
def tiny_policy(tiny_model: Callable[[str], Path]) -> Callable[..., Policy]:
    """`tiny_policy(architecture, lora=None)`: a fresh policy in fp32 on the CPU."""

    def make(architecture: str = "qwen2", lora: LoRA | None = None) -> Policy:
        return load_policy(
            ModelConfig(name=str(tiny_model(architecture)), device="cpu", dtype="float32", lora=lora)
        )

    return make
