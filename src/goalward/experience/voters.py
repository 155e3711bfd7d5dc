"""Who else is asked: more attempts at each task, by a copy of the policy or at a paraphrase, that vote."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from goalward.engines.engine import Engine, Request, Sampling
from goalward.models.chat import Chat
from goalward.types import Message, Rollout, Task

_OWN_STREAMS = 2**48
"""Voters' random streams begin here, far from those of the attempts that are learned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoterSettings:
    """The recipe's `[experience.voters]` table: `size` attempts at each task that elect the answer.

    policy: whose attempts: the policy's own, those of the policy that the run began with (which cannot drift), or
    of the moving average of its weights with `decay` a step (Co-rewarding-II, arXiv:2508.00410);
    paraphrase: how the question is put to them, a second view of it (Co-rewarding-I): "names" puts other names
    in, "file.py:function" is a function of the question's text; none where empty.
    """

    size: int = 8
    policy: Literal["current", "first", "average"] = "current"
    decay: float = 0.98
    paraphrase: str = ""


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
    ) -> None:
        """`acting` puts the weights of whoever votes in place; `rewrite` puts a question in other words."""
        self._engine = engine
        self._chat = chat
        self._size = size
        self._sampling = sampling
        self._seed = seed
        self._acting = acting
        self._rewrite = rewrite

    def attempts(
        self, tasks: Sequence[Task], draws: Sequence[int], *, version: int
    ) -> list[tuple[Rollout, ...]]:
        """For each task, drawn as number `draws`, the voters' attempts."""
        requests = [
            Request(
                prompt=self._chat.prompt(self._reworded(task)),
                streams=tuple(_OWN_STREAMS + draw * self._size + i for i in range(self._size)),
            )
            for task, draw in zip(tasks, draws, strict=True)
        ]
        with self._acting():
            return self._engine.generate(requests, self._sampling, seed=self._seed, version=version)

    def _reworded(self, task: Task) -> tuple[Message, ...]:
        *before, last = task.messages
        return (*before, Message(role=last["role"], content=self._rewrite(last["content"])))
