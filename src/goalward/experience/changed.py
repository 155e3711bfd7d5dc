"""Groups on their way from where they come from to who judges them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from goalward.experience.experience import Experience
from goalward.types import Group, Task

Change = Callable[[Sequence[Group], Sequence[int], int], list[Group]]
"""(groups, the number of each one's draw, the version of the weights that act) -> the groups, changed."""


class Changed:
    """Another Experience's groups, sampled or recorded, after each of `changes` in turn."""

    def __init__(self, inner: Experience, changes: Sequence[Change]) -> None:
        self._inner = inner
        self._changes = changes

    @property
    def cursor(self) -> int:
        """The draws so far: the inner experience's."""
        return self._inner.cursor

    @cursor.setter
    def cursor(self, cursor: int) -> None:
        self._inner.cursor = cursor

    def __len__(self) -> int:
        """The number of tasks."""
        return len(self._inner)

    def collect(self, count: int, *, version: int) -> list[Group]:
        """The groups of the next `count` draws."""
        draws = range(self.cursor, self.cursor + count)
        groups = self._inner.collect(count, version=version)
        for change in self._changes:
            groups = change(groups, draws, version)
        return groups


def unlabelled(task: Task) -> Task:
    """The task with nothing but its question: no reference, no demonstration, and no info, which may hold either."""
    return Task(id=task.id, messages=task.messages)


def forget_labels(groups: Sequence[Group], draws: Sequence[int], version: int) -> list[Group]:
    """The attempts alone (a Change): neither what is known of their tasks, nor feedback that a log has recorded."""
    return [replace(group, task=unlabelled(group.task), feedback=()) for group in groups]
