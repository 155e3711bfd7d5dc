"""Reflection: earlier answers to a question go into a prompt that asks for an improved one, in rounds.

Recursive self-aggregation (arXiv:2509.26626): a population of answers, of which each new one reads a few.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from goalward.engines.engine import Engine, Request, Sampling
from goalward.feedback.answers import final_answer
from goalward.types import Group, IntArray, Message, Rollout, Task

_STREAMS = 3 * 2**48
"""Improved attempts' random streams begin here, far from those of the attempts that they read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflectSettings:
    """The recipe's `[experience.reflect]` table, and `goalward evaluate --reflect`.

    given: how many earlier attempts a new one reads, drawn anew for each; rounds: how often all are improved;
    show: of the earlier attempts their whole text, or their final answers only;
    hindsight: for learning to read such prompts at all: nothing new is written, and each earlier attempt stands as
    if it had read `given` of the others, and once more as it was made, so that to answer alone is not forgotten. Those
    that the vote elects can be imitated, from a log alone too.
    """

    given: int = 4
    rounds: int = 1
    show: Literal["solutions", "answers"] = "solutions"
    hindsight: bool = False


def reflection(
    task: Task, earlier: Sequence[str], show: Literal["solutions", "answers"]
) -> tuple[Message, ...]:
    """The messages that ask for an improved answer: the task's own, with `earlier` texts before the last question."""
    *before, last = task.messages
    if show == "answers":
        said = "Earlier answers: " + ", ".join(final_answer(text) or "none" for text in earlier)
    else:
        said = "\n".join(f"Earlier answer {number}: {text}" for number, text in enumerate(earlier, start=1))
    asked = f"{said}\nThey may be wrong. Think again.\n{last['content']}"
    return (*before, Message(role=last["role"], content=asked))


class Reflector:
    """Improves attempts by having the policy read them."""

    def __init__(
        self,
        engine: Engine,
        chat_prompt: Callable[[Sequence[Message]], IntArray],
        settings: ReflectSettings,
        sampling: Sampling,
        *,
        seed: int,
    ) -> None:
        self._engine = engine
        self._chat_prompt = chat_prompt
        self.settings = settings
        self._sampling = sampling
        self._seed = seed

    def improve(
        self, groups: Sequence[Group], draws: Sequence[int], *, size: int, version: int
    ) -> list[tuple[Rollout, ...]]:
        """For each group `size` improved attempts, after all rounds.

        What each reads depends on the seed, the draw, the round and its own number alone.
        """
        population = [group.rollouts for group in groups]
        for turn in range(self.settings.rounds):
            requests = [
                Request(
                    prompt=self._prompt(group.task, attempts, draw, turn, index),
                    streams=(self._stream(draw, turn, index, size),),
                )
                for group, attempts, draw in zip(groups, population, draws, strict=True)
                for index in range(size)
            ]
            flat = self._engine.generate(requests, self._sampling, seed=self._seed, version=version)
            population = [
                tuple(rollout for (rollout,) in flat[start : start + size])
                for start in range(0, len(flat), size)
            ]
        return population

    def _prompt(self, task: Task, attempts: Sequence[Rollout], draw: int, turn: int, index: int) -> IntArray:
        random = np.random.default_rng([self._seed, draw, turn, index])
        read = random.permutation(len(attempts))[: self.settings.given]
        texts = [attempts[number].text for number in read]
        return self._chat_prompt(reflection(task, texts, self.settings.show))

    def _stream(self, draw: int, turn: int, index: int, size: int) -> int:
        return _STREAMS + (draw * self.settings.rounds + turn) * size + index

    def hindsight(self, groups: Sequence[Group], draws: Sequence[int]) -> list[tuple[Rollout, ...]]:
        """For each group its own attempts twice: as they were made, and after a prompt that shows `given` of the others."""
        return [
            group.rollouts
            + tuple(
                replace(attempt, prompt=self._prompt(group.task, others, draw, 0, index), logprobs=None)
                for index, attempt in enumerate(group.rollouts)
                for others in [(*group.rollouts[:index], *group.rollouts[index + 1 :])]
            )
            for group, draw in zip(groups, draws, strict=True)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflecting:
    """Puts `size` improved attempts in the place of the earlier ones, which vote from now on (a Change)."""

    reflector: Reflector
    size: int

    def __call__(self, groups: Sequence[Group], draws: Sequence[int], version: int) -> list[Group]:
        """The groups with improved attempts."""
        if self.reflector.settings.hindsight:
            improved = self.reflector.hindsight(groups, draws)
        else:
            improved = self.reflector.improve(groups, draws, size=self.size, version=version)
        return [
            replace(group, rollouts=attempts, voters=group.rollouts, feedback=())
            for group, attempts in zip(groups, improved, strict=True)
        ]
