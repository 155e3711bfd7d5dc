"""Who else is asked: more attempts at each task, by a copy of the policy or at a question put otherwise."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Literal

from goalward.engines.engine import Engine, Request, Sampling
from goalward.models.chat import Chat
from goalward.types import Group, Message, Rollout, Task

_STREAMS = 2**48
"""Voters' random streams begin here, far from those of the attempts that are learned from, and contrast's at twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoterSettings:
    """The recipe's `[experience.voters]` and `[experience.contrast]`: `size` more attempts at each task.

    policy: whose attempts: the policy's own, those of the policy that the run began with (which cannot drift), or
    of the moving average of its weights with `decay` a step (Co-rewarding-II, arXiv:2508.00410);
    rewrite: how the question is put to them: a name in `tasks.rewrites`, or "file.py:function" of its text; as it is
    where empty. For voters it should keep the answer (Co-rewarding-I), for contrast it should change it.
    """

    size: int = 8
    policy: Literal["current", "first", "average"] = "current"
    decay: float = 0.98
    rewrite: str = ""


class Voters:
    """Attempts at tasks that nobody learns from."""

    def __init__(
        self,
        engine: Engine,
        chat: Chat,
        *,
        size: int,
        sampling: Sampling,
        seed: int,
        acting: Callable[[], AbstractContextManager[object]],
        rewrite: Callable[[str], str],
        turn: int = 1,
    ) -> None:
        """`acting` puts the weights of whoever votes in place; `turn` sets the random streams of several apart."""
        self._engine = engine
        self._chat = chat
        self._size = size
        self._sampling = sampling
        self._seed = seed
        self._acting = acting
        self._rewrite = rewrite
        self._first = turn * _STREAMS

    def attempts(
        self, tasks: Sequence[Task], draws: Sequence[int], *, version: int
    ) -> list[tuple[Rollout, ...]]:
        """For each task, drawn as number `draws`, the voters' attempts."""
        requests = [
            Request(
                prompt=self._chat.prompt(self._reworded(task)),
                streams=tuple(self._first + draw * self._size + i for i in range(self._size)),
            )
            for task, draw in zip(tasks, draws, strict=True)
        ]
        with self._acting():
            return self._engine.generate(requests, self._sampling, seed=self._seed, version=version)

    def _reworded(self, task: Task) -> tuple[Message, ...]:
        *before, last = task.messages
        return (*before, Message(role=last["role"], content=self._rewrite(last["content"])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Adds `voters` and `contrast` to groups (a Change)."""

    voters: Voters | None = None
    contrast: Voters | None = None

    def __call__(self, groups: Sequence[Group], draws: Sequence[int], version: int) -> list[Group]:
        """The groups with the attempts of whoever else was asked."""
        tasks = [group.task for group in groups]
        voters, others = (
            each.attempts(tasks, draws, version=version) if each else [()] * len(tasks)
            for each in (self.voters, self.contrast)
        )
        return [
            replace(group, voters=votes or group.voters, contrast=contrast)
            for group, votes, contrast in zip(groups, voters, others, strict=True)
        ]
