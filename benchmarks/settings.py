"""What the speed benchmarks run on: models with random weights, prompts, and lengths of completions."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

PAD, EOS = 0, 1


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A model's shape and a batch's.

    vocabulary, hidden, layers, heads, kv_heads, mlp: the model's, a Qwen2 with tied embeddings.
    completions: attempts a step, in groups of `group`; prompt: tokens of each prompt, of which the first
    `shared` are the same in all; limit: tokens of a completion at most.
    forced: lengths are drawn from one fixed distribution instead of ending where the model says so.
    """

    vocabulary: int = 100
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    mlp: int = 512
    completions: int = 256
    group: int = 8
    prompt: int = 48
    shared: int = 0
    limit: int = 64
    forced: bool = False

    @property
    def parameters(self) -> int:
        """Weights, the embeddings once."""
        return sum(p.numel() for p in self.model("meta").parameters())

    @property
    def matmul_flops(self) -> int:
        """Of a forward pass through all matrices but the head, a token."""
        size = self.hidden // self.heads
        attention = self.hidden * size * (2 * self.heads + 2 * self.kv_heads)
        return 2 * self.layers * (attention + 3 * self.hidden * self.mlp)

    @property
    def head_flops(self) -> int:
        """Of the head, for one position's logits."""
        return 2 * self.hidden * self.vocabulary

    def model(self, device: str = "cpu") -> transformers.Qwen2ForCausalLM:
        """Random weights, the same every time."""
        config = transformers.Qwen2Config(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.mlp,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            pad_token_id=PAD,
            eos_token_id=EOS,
            bos_token_id=None,
        )
        torch.manual_seed(0)
        with torch.device(device):
            return transformers.Qwen2ForCausalLM(config)

    def save(self, folder: Path) -> None:
        """Write model and tokenizer."""
        self.model().save_pretrained(folder)
        self.tokenizer().save_pretrained(folder)

    def tokenizer(self) -> transformers.PreTrainedTokenizerFast:
        """Token 17 is the word "t17"."""
        words = {"<pad>": PAD, "<eos>": EOS} | {f"t{i}": i for i in range(2, self.vocabulary)}
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        wrapped = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>"
        )
        wrapped.chat_template = (
            "{% for message in messages %}{{ message.content }}"
            "{% if message.role == 'assistant' %} <eos>{% endif %} {% endfor %}"
        )
        return wrapped

    def prompts(self, step: int) -> list[list[int]]:
        """The prompts of one step's groups."""
        shared = np.random.default_rng(0).integers(2, self.vocabulary, self.shared)
        chance = np.random.default_rng([1, step])
        own = chance.integers(2, self.vocabulary, (self.completions // self.group, self.prompt - self.shared))
        return [[*shared.tolist(), *row.tolist()] for row in own]

    def lengths(self, step: int) -> list[int]:
        """Forced lengths of one step's completions, in order; all `limit` where nothing is forced.

        A log-normal with the essay's completions on GSM8K in mind: mean 172, p90 246, p99 420, up to 512.
        """
        if not self.forced:
            return [self.limit] * self.completions
        normal = np.random.default_rng([2, step]).standard_normal(self.completions)
        return np.clip(np.exp(5.063 + 0.40 * normal), 8, self.limit).astype(int).tolist()


def reward(tokens: list[int]) -> float:
    """Some score that differs between attempts and costs nothing."""
    return sum(tokens) % 7 / 6


SHORT = Setting()
ESSAY = Setting(prompt=210, shared=155, limit=512, group=4, forced=True)
SETTINGS = {
    "short": SHORT,
    "short-forced": replace(SHORT, forced=True),
    "essay-4": ESSAY,
    "essay-8": replace(ESSAY, group=8),
    "10m": Setting(vocabulary=4096, hidden=320, layers=7, heads=5, kv_heads=5, mlp=1024),
}
