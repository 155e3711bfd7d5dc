"""Experience from the policy's own attempts."""

from collections.abc import Sequence

from goalward.engines.engine import Engine, Request, Sampling
from goalward.experience.experience import Order
from goalward.models.chat import Chat
from goalward.types import Group, Task


class Attempts:
    """Several attempts at each task, sampled from the current weights (an Experience)."""

    def __init__(
        self,
        tasks: Sequence[Task],
        engine: Engine,
        chat: Chat,
        *,
        group_size: int,
        sampling: Sampling,
        seed: int,
    ) -> None:
        """Attempts depend on `seed`, the draw and the weights, not on how many are made at once."""
        self.cursor = 0
        self._tasks = tasks
        self._engine = engine
        self._chat = chat
        self._group_size = group_size
        self._sampling = sampling
        self._seed = seed
        self._order = Order(len(tasks), seed)

    def __len__(self) -> int:
        """The number of tasks."""
        return len(self._tasks)

    def collect(self, count: int, *, version: int) -> list[Group]:
        """Attempt the next `count` tasks, `group_size` times each."""
        draws = range(self.cursor, self.cursor + count)
        tasks = [self._tasks[index] for index in self._order.take(self.cursor, count)]
        size = self._group_size
        requests = [
            Request(
                prompt=self._chat.prompt(task.messages),
                streams=tuple(range(draw * size, (draw + 1) * size)),
            )
            for draw, task in zip(draws, tasks, strict=True)
        ]
        attempts = self._engine.generate(requests, self._sampling, seed=self._seed, version=version)
        self.cursor += count
        return [Group(task=t, rollouts=r) for t, r in zip(tasks, attempts, strict=True)]
