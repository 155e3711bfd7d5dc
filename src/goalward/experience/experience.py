"""What every source of experience can do, and the order in which tasks are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from goalward.types import Group


class Experience(Protocol):
    """Groups to learn from, drawn one task after another.

    `cursor` counts the draws so far. It is the whole state: a source that is set back to a cursor
    gives the same tasks, and from the same weights the same attempts, again.
    """

    cursor: int

    def __len__(self) -> int:
        """The number of tasks in one epoch."""
        ...

    def collect(self, count: int, *, version: int) -> list[Group]:
        """The groups of the next `count` draws; `version` is the step of the weights that act."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """What an Experience also does whose state is more than its cursor.

    noticed: metrics of the last `collect`.
    """

    noticed: dict[str, float]

    def memory(self) -> dict[str, Any]:
        """What a checkpoint holds of it, as plain values."""
        ...

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Go on from a saved `memory`."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """An endless order over `count` tasks, shuffled anew each epoch; nothing must divide anything."""

    count: int
    seed: int

    def take(self, start: int, amount: int) -> list[int]:
        """Task numbers of the draws `start` to `start + amount`."""
        epochs = {draw // self.count for draw in range(start, start + amount)}
        shuffled = {e: np.random.default_rng([self.seed, e]).permutation(self.count) for e in epochs}
        return [int(shuffled[draw // self.count][draw % self.count]) for draw in range(start, start + amount)]
