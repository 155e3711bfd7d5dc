"""Anybody's rows: a column of prompts, a column of references."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from goalward.errors import UsageError, suggestion
from goalward.tasks.prompts import check_count, check_split, prompt_named
from goalward.tasks.source import read_rows
from goalward.types import Message, Task

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
"""OpenAI's newer models call the system a developer; chat templates do not know that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Tasks from a JSONL or Parquet file, or from a dataset on the Hub.

    train, validation, test: a file, a folder with one file a split, or a Hub dataset as
    `owner/name[:config[:split]]`; validation may also be a number: so many rows at the end of `train`;
    prompt_column: holds a question, or a list of messages (`role`, `content`) that ends with the user's;
    reference_column: the right answer, text or a number, or JSON that becomes text; None or "" where there are none;
    demonstration_column: a whole completion to imitate;
    system: a system message to put first; prompt: a key of `prompts.PROMPTS`, for questions that are text.

    All other columns go to the task's info, which graders see, and so does the reference under its own name: rows for
    OpenAI's reinforcement fine-tuning (`messages`, and what their grader calls `item.reference_answer`) work as they
    are, with prompt_column = "messages" and reference_column = "reference_answer".
    """

    train: str = ""
    validation: str | int = ""
    test: str = ""
    prompt_column: str = "prompt"
    reference_column: str | None = "reference"
    demonstration_column: str | None = None
    system: str | None = None
    prompt: str = "plain"

    def __post_init__(self) -> None:
        """Raise UsageError where the knobs contradict each other."""
        prompt_named(self.prompt)
        if not (self.train or self.test):
            raise UsageError("rows: name a file or dataset in `train`, `test` or both")
        if self.validation and isinstance(self.validation, int):
            check_count("validation", self.validation, 1)
            if not self.train:
                raise UsageError(
                    "rows: a number of rows for `validation` is taken from `train`, which is missing"
                )
        if self.system is not None and self.prompt != "plain":
            raise UsageError(
                f"rows: the prompt {self.prompt!r} has its own system message; leave `system` out"
            )

    def tasks(self, split: str) -> Sequence[Task]:
        """The tasks of "train", "validation" or "test"."""
        check_split(split, "train", "validation", "test")
        held_out = self.validation if isinstance(self.validation, int) else 0
        file = "train" if split == "validation" and held_out else split
        source = str(getattr(self, file))
        if not source:
            raise UsageError(f"rows: there is no {split!r} split; name a file or dataset in `{split}`")
        tasks = [
            self._task(f"{file}/{index}", where, row)
            for index, (where, row) in enumerate(read_rows(source, file))
        ]
        if not tasks:
            raise UsageError(f"{source}: there are no rows in it")
        if file == "test" or not held_out:
            return tasks
        if held_out >= len(tasks):
            raise UsageError(f"validation = {held_out} leaves no training rows: {source} has {len(tasks)}")
        return tasks[-held_out:] if split == "validation" else tasks[:-held_out]

    def _task(self, name: str, where: str, row: Mapping[str, Any]) -> Task:
        knobs = ("prompt_column", "reference_column", "demonstration_column")
        taken = [getattr(self, knob) for knob in knobs]
        for knob, column in zip(knobs, taken, strict=True):
            if column and column not in row:
                raise _no_column(knob, column, row, where)
        # A task's reference has a name of its own, `reference`; another name for it is kept for the graders.
        dropped = (
            self.prompt_column,
            self.demonstration_column,
            "reference" if "reference" in taken else None,
        )
        return Task(
            id=name,
            messages=self._messages(row[self.prompt_column], where),
            reference=_text(row, self.reference_column, where),
            demonstration=_text(row, self.demonstration_column, where),
            info={column: value for column, value in row.items() if column not in dropped},
        )

    def _messages(self, prompt: object, where: str) -> tuple[Message, ...]:
        if isinstance(prompt, str):
            messages = prompt_named(self.prompt)(prompt)
        else:
            messages = conversation(prompt, self.prompt_column, where)
        if self.system is None:
            return messages
        if messages[0]["role"] == "system":
            raise UsageError(f"{where}: the messages have a system message already; leave `system` out")
        return (Message(role="system", content=self.system), *messages)


def conversation(value: object, column: str, where: str) -> tuple[Message, ...]:
    """The messages in `value`, checked: roles, text, the user's turn last. Raises UsageError naming `where`."""
    if not isinstance(value, list) or not value:
        raise UsageError(
            f"{where}: {column!r} should be text or a list of messages, found {type(value).__name__}"
        )
    for turn in value:
        if (
            not isinstance(turn, dict)
            or turn.get("role") not in _ROLES
            or not isinstance(turn.get("content"), str)
        ):
            raise UsageError(
                f"{where}: a message in {column!r} should have a role ({', '.join(_ROLES)}) and a text content"
            )
    if value[-1]["role"] != "user":
        raise UsageError(f"{where}: the messages in {column!r} should end with the user's turn")
    return tuple(cast(Message, {"role": _ROLES[turn["role"]], "content": turn["content"]}) for turn in value)


def _text(row: Mapping[str, Any], column: str | None, where: str) -> str | None:
    value = row[column] if column else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    raise UsageError(f"{where}: {column!r} should be text, a number or JSON, found {type(value).__name__}")


def _no_column(knob: str, column: str, row: Mapping[str, Any], where: str) -> UsageError:
    return UsageError(f"{where}: there is no column {column!r}; {suggestion(column, row)}; set {knob}")
