"""Experience that somebody else recorded: demonstrations to imitate."""

from collections.abc import Sequence

import numpy as np

from goalward.errors import UsageError
from goalward.experience.experience import Order
from goalward.models.chat import Chat
from goalward.types import Feedback, Group, IntArray, Rollout, Task


class Demonstrations:
    """The tasks' worked solutions, one a group (an Experience). They are tokenised once, here."""

    def __init__(self, tasks: Sequence[Task], chat: Chat, *, seed: int) -> None:
        """Raises UsageError if a task has no demonstration."""
        for task in tasks:
            if task.demonstration is None:
                raise UsageError(
                    f"task {task.id} has no demonstration to imitate; name a column or task set that has"
                )
        self.cursor = 0
        self._tasks = tasks
        self._chat = chat
        self._order = Order(len(tasks), seed)

    def __len__(self) -> int:
        """The number of tasks."""
        return len(self._tasks)

    def collect(self, count: int, *, version: int) -> list[Group]:
        """The next `count` demonstrations, as groups of one that nobody needs to judge."""
        indices = self._order.take(self.cursor, count)
        self.cursor += count
        return [
            Group(task=task, rollouts=(self._rollout(task, version),), feedback=(Feedback(score=None),))
            for task in (self._tasks[index] for index in indices)
        ]

    def _rollout(self, task: Task, version: int) -> Rollout:
        text = task.demonstration or ""
        return recorded(self._chat.prompt(task.messages), self._chat.completion(text), text, version)


def recorded(prompt: IntArray, completion: IntArray, text: str, version: int) -> Rollout:
    """A completion that nobody sampled, to imitate."""
    return Rollout(
        prompt=prompt,
        completion=completion,
        sampled=np.ones(completion.shape, np.bool_),
        logprobs=None,
        text=text,
        stop="recorded",
        version=version,
    )
