"""What every task set can do: give the tasks of a split."""

from collections.abc import Sequence
from typing import Protocol

from goalward.types import Task


class TaskSet(Protocol):
    """A frozen dataclass whose fields are its knobs: its TOML table is its constructor."""

    def tasks(self, split: str) -> Sequence[Task]:
        """The tasks of `split` ("train", "test", ...), always the same ones in the same order.

        Raises UsageError with the file and line where the data are not what they should be, and
        naming the splits there are where `split` is not one of them.
        """
        ...
