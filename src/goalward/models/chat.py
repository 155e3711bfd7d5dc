"""Conversations to tokens and back, through the tokenizer's own chat template."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jinja2 import TemplateError

from goalward.errors import UsageError
from goalward.types import IntArray, Message

_PROBE: tuple[Message, ...] = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "It is 4."},
    {"role": "user", "content": "And 3 + 3?"},
    {"role": "assistant", "content": "It is 6."},
    {"role": "user", "content": "And 4 + 4?"},
)


class Chat:
    """How a tokenizer writes conversations.

    A tokenizer without a chat template (base models) gets plain text: `System: ...`, `User: ...` and
    `Assistant: ...` paragraphs, the last one left open for the model to complete.

    Earlier turns must stay byte for byte as they were when the model wrote them: a policy is to be
    trained on what it saw. A template that rewrites them is refused with UsageError.
    """

    def __init__(self, tokenizer: Any, name: str = "this model") -> None:
        self.tokenizer = tokenizer
        self.name = name
        self._check(self._probe())

    @property
    def end_id(self) -> int:
        """The token that ends an assistant's turn: what the template writes there, else EOS.

        Raises UsageError where the tokenizer has neither.
        """
        end = self._template_end()
        if end is None:
            end = self.tokenizer.eos_token_id
        if end is None:
            raise UsageError(f"model {self.name!r}: its tokenizer names no end-of-sequence token")
        return int(end)

    def prompt(self, messages: Sequence[Message]) -> IntArray:
        """Tokens of the conversation up to where the assistant is to speak, [P].

        Raises UsageError where the template refuses the messages or rewrites earlier turns.
        """
        if any(message["role"] == "assistant" for message in messages):
            self._check(messages)
        return self._tokens(self._render(messages), special=not self.tokenizer.chat_template)

    def completion(self, text: str) -> IntArray:
        """Tokens of an assistant's turn that somebody else wrote, with the end token, [C]."""
        return np.append(self._tokens(text, special=False), np.int32(self.end_id))

    def text(self, tokens: Sequence[int] | IntArray) -> str:
        """The text of tokens as people read it, without special tokens."""
        ids = tokens.tolist() if isinstance(tokens, np.ndarray) else list(tokens)
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _tokens(self, text: str, *, special: bool) -> IntArray:
        # A template writes its own beginning-of-sequence token, where the model wants one.
        return np.asarray(self.tokenizer(text, add_special_tokens=special)["input_ids"], dtype=np.int32)

    def _render(self, messages: Sequence[Message]) -> str:
        """The conversation as text, ending where the assistant is to speak."""
        if not self.tokenizer.chat_template:
            turns = [f"{message['role'].title()}: {message['content']}\n\n" for message in messages]
            return "".join(turns) + "Assistant:"
        try:
            text: str = self.tokenizer.apply_chat_template(
                [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise UsageError(
                f"model {self.name!r}: its chat template refuses turns {roles}: {error}"
            ) from error
        return text

    def _probe(self) -> tuple[Message, ...]:
        """A plain conversation, without a system turn where the template takes none."""
        try:
            self._render(_PROBE)
        except UsageError:
            return _PROBE[1:]
        return _PROBE

    def _template_end(self) -> int | None:
        """The special token that the template writes after an assistant's turn, if it does."""
        if not self.tokenizer.chat_template:
            return None
        messages = self._probe()
        turn = next(i for i, message in enumerate(messages) if message["role"] == "assistant")
        written = self._render(messages[:turn]) + messages[turn]["content"]
        after = self._tokens(self._render(messages[: turn + 2])[len(written) :], special=False)
        added = self.tokenizer.added_tokens_decoder
        first = int(after[0]) if len(after) else None
        return first if first in added and added[first].special else None

    def _check(self, messages: Sequence[Message]) -> None:
        """Refuse a template that writes an assistant's turn differently once more turns follow."""
        whole = self._render(messages)
        for turn, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            first = self._render(messages[:turn]) + self._said(message["content"])
            if not whole.startswith(first):
                at = next(i for i, (a, b) in enumerate(zip(first, whole + "\0", strict=False)) if a != b)
                raise UsageError(
                    f"model {self.name!r}: its chat template rewrites earlier turns, so a model could not be trained"
                    f" on what it saw. Turn {turn + 1} reads {first[at : at + 40]!r} when it is written"
                    f" and {whole[at : at + 40]!r} once more turns follow."
                )

    def _said(self, content: str) -> str:
        """What the assistant adds to an open conversation when it says `content`."""
        return content if self.tokenizer.chat_template else f" {content}"
