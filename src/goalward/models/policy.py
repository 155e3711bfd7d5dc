"""A policy: a causal language model, its tokenizer, and how to score, save and restore it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from goalward.errors import UsageError
from goalward.models.chat import Chat
from goalward.models.decoder import Decoder, verified


@dataclass(slots=True)
class Policy:
    """A model that acts. The Hugging Face module owns the parameters and stays in eval mode: no dropout.

    model: the module, wrapped by PEFT where LoRA is used.
    name: what the person called it.
    eos_ids: tokens that end a completion; pad_id: what fills batches, never looked at.
    context: the longest sequence the model takes, or None where it does not say.
    decoder: the lean forward of the same parameters, or None where the architecture is not known.
    """

    model: Any
    tokenizer: Any
    name: str
    chat: Chat = field(init=False)
    decoder: Decoder | None = field(init=False)
    eos_ids: tuple[int, ...] = field(init=False)
    pad_id: int = field(init=False)
    context: int | None = field(init=False)
    _kept: list[Tensor] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.model.eval()
        inner = self.inner
        self.chat = Chat(self.tokenizer, self.name)
        self.decoder = verified(Decoder.bind(inner), inner)
        self.eos_ids = _end_tokens(inner, self.tokenizer, self.chat)
        pad = self.tokenizer.pad_token_id
        self.pad_id = self.eos_ids[0] if pad is None else int(pad)
        self.context = getattr(inner.config, "max_position_embeddings", None)

    @property
    def inner(self) -> Any:
        """The causal language model itself, inside PEFT's wrapper if there is one."""
        return self.model.get_base_model() if self.is_lora else self.model

    @property
    def is_lora(self) -> bool:
        """Whether an adapter is trained instead of the whole model."""
        return hasattr(self.model, "peft_config")

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        device: torch.device = self.inner.get_input_embeddings().weight.device
        return device

    @property
    def vocabulary(self) -> int:
        """The number of logits a position has; it may exceed the tokenizer's."""
        return int(self.inner.get_output_embeddings().weight.shape[0])

    @property
    def hidden(self) -> int:
        """The width of a hidden state."""
        return int(self.inner.get_output_embeddings().weight.shape[1])

    def parameters(self) -> list[nn.Parameter]:
        """The trainable parameters, in a fixed order: all, or the adapter's where LoRA is used."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def lean(self, length: int) -> Decoder | None:
        """The lean forward for sequences of up to `length` tokens; None: use `model` itself."""
        return self.decoder if self.decoder is not None and self.decoder.fits(length) else None

    def keep_reference(self, original: "Policy | None" = None) -> None:
        """Remember weights as the reference that `reference` gives back: `original`'s, else the current ones.

        A copy of the trainable parameters: the whole model, or no more than the adapter with LoRA.
        `original` is for a run that resumes: the policy that it once started from, loaded alike.
        """
        kept = [parameter.detach().clone() for parameter in (original or self).parameters()]
        if [k.shape for k in kept] != [p.shape for p in self.parameters()]:
            raise UsageError(f"model {self.name!r}: its reference has weights of other shapes")
        self._kept = kept

    @contextmanager
    def reference(self) -> Iterator["Policy"]:
        """This policy as it was at `keep_reference`, to score with and without gradients.

        >>> with policy.reference() as reference:
        ...     logprobs, _ = score(reference, tokens, rows, cols)

        The kept weights take the place of the current ones, at no cost, until the block ends. Raises
        RuntimeError where no reference was kept.
        """
        if self._kept is None:
            raise RuntimeError("no reference was kept: call keep_reference() first")
        with self.wearing(self._kept), torch.no_grad():
            yield self

    @contextmanager
    def wearing(self, kept: list[Tensor]) -> Iterator["Policy"]:
        """This policy with the weights `kept` in place of its trainable ones, in their order, until the block ends."""
        self._swap(kept)
        try:
            yield self
        finally:
            self._swap(kept)

    def _swap(self, kept: list[Tensor]) -> None:
        for index, parameter in enumerate(self.parameters()):
            parameter.data, kept[index] = kept[index], parameter.data

    def save(self, folder: Path) -> None:
        """Write model and tokenizer in Hugging Face format; with LoRA, PEFT's adapter format.

        `AutoModelForCausalLM.from_pretrained(folder)` and `load_policy` read it. Not atomic: have it
        write to a neighbour and rename. Raises what the disk raises (OSError, SafetensorError).
        """
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def _end_tokens(model: Any, tokenizer: Any, chat: Chat) -> tuple[int, ...]:
    """Every token that the model, the tokenizer or the chat template ends a turn with."""
    ids = {chat.end_id}
    for source in (model.generation_config, model.config, tokenizer):
        named = getattr(source, "eos_token_id", None)
        ids.update(named if isinstance(named, list | tuple) else [] if named is None else [int(named)])
    return tuple(sorted(map(int, ids)))
