"""GSM8K: grade-school problems with worked solutions (Cobbe et al., 2021, arXiv:2110.14168)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from goalward.errors import UsageError
from goalward.tasks.prompts import check_count, check_split, in_format, prompt_named
from goalward.tasks.source import read_rows
from goalward.types import Task

_CALCULATOR = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True, slots=True, kw_only=True)
class GSM8K:
    """The 7,473 training and 1,319 test problems.

    path: the Hub's name, or a local folder with train.jsonl and test.jsonl (`question`, `answer`);
    prompt: a key of `prompts.PROMPTS`;
    size: keep the first `size` tasks of every split; None keeps all;
    validation: hold the last `validation` rows of the training file out, as the split "validation".

    A task's reference is the text behind "####", commas included (the essay's rule compares text). Its
    demonstration is the worked solution in the answer format, without the `<<48/2=24>>` annotations.
    """

    path: str = "openai/gsm8k"
    prompt: str = "essay"
    size: int | None = None
    validation: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError where a knob makes no sense."""
        prompt_named(self.prompt)
        check_count("validation", self.validation, 0)
        if self.size is not None:
            check_count("size", self.size, 1)

    def tasks(self, split: str) -> Sequence[Task]:
        """The tasks of "train", "test", or "validation" where that is set."""
        check_split(split, "train", "test", *(["validation"] if self.validation else []))
        file = "test" if split == "test" else "train"
        tasks = [
            self._task(f"gsm8k/{file}/{index}", where, row)
            for index, (where, row) in enumerate(read_rows(self.path, file, config="main"))
        ]
        if split != "test":
            held_out = len(tasks) - self.validation
            if held_out <= 0:
                raise UsageError(
                    f"validation = {self.validation} leaves no training rows: {self.path} has {len(tasks)}"
                )
            tasks = tasks[:held_out] if split == "train" else tasks[held_out:]
        if not tasks:
            raise UsageError(f"{self.path}: the split {split!r} has no rows")
        return tasks[: self.size]

    def _task(self, name: str, where: str, row: Mapping[str, Any]) -> Task:
        for column in ("question", "answer"):
            if not isinstance(row.get(column), str):
                found = (
                    f"found {type(row[column]).__name__}" if column in row else f"there is {', '.join(row)}"
                )
                raise UsageError(f"{where}: GSM8K rows have a text {column!r}; {found}")
        solution, marker, reference = row["answer"].rpartition("####")
        if not marker or not reference.strip():
            raise UsageError(f"{where}: the answer should end in '#### ' and the result")
        reference = reference.strip()
        return Task(
            id=name,
            messages=prompt_named(self.prompt)(row["question"]),
            reference=reference,
            demonstration=in_format(_CALCULATOR.sub("", solution), reference),
        )
