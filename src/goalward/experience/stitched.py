"""Experience stitched from a log: new attempts made of pieces of recorded ones at the same task."""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import cast

import numpy as np

from goalward.experience.experience import Order
from goalward.experience.log import Log
from goalward.experience.stitch import Merged, Step, Stitched, Trajectory
from goalward.models.chat import Chat
from goalward.types import Feedback, Group, IntArray, Rollout

Cut = tuple[int, Hashable]
Cuts = Callable[[str], Sequence[Cut]]
"""A completion's text -> where it may be cut (characters from its beginning), and the key of what stands before.

Two attempts may be joined where their keys are equal; so the key says all that matters of what came before.
"""

_RESULT = re.compile(r"=\s*(-?\d+(?:,\d{3})*(?:\.\d+)?)(?!\d)")


def computed_values(text: str) -> list[Cut]:
    """Behind every "= number"; the key is the set of numbers computed so far. For worked solutions."""
    cuts: list[Cut] = []
    known: frozenset[float] = frozenset()
    for match in _RESULT.finditer(text):
        known |= {float(match[1].replace(",", ""))}
        cuts.append((match.end(), known))
    return cuts


CUTS: dict[str, Cuts] = {"values": computed_values}
"""By the name in a recipe; others are a function of the user's, "file.py:function"."""

_START = "<start>"


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchSettings:
    """How recorded attempts are joined.

    key: where they may be cut and what must agree there: "values", or "file.py:function" (text -> list of
    (place, key)); temperature: the weight of the KL to what was recorded; 0 is hard stitching.
    """

    key: str = "values"
    temperature: float = 0.1


class StitchedLog:
    """A log's tasks with stitched attempts (an Experience): soft-stitch at `temperature`, hard stitch at 0.

    Each rollout says in `sources` where its pieces came from. Its score is that of the attempt whose end it
    has; a grader, where there is one, judges it anew. Tasks without a judged attempt give no attempts.
    """

    def __init__(
        self, log: Log, chat: Chat, cuts: Cuts, *, attempts: int, temperature: float, seed: int
    ) -> None:
        """`attempts` are made at each task, with the luck of `seed` and the draw alone."""
        self.cursor = 0
        self._log = log
        self._chat = chat
        self._cuts = cuts
        self._attempts = attempts
        self._temperature = temperature
        self._seed = seed
        self._order = Order(len(log), seed)

    def __len__(self) -> int:
        """The number of tasks."""
        return len(self._log)

    def collect(self, count: int, *, version: int) -> list[Group]:
        """Stitch attempts at the next `count` tasks."""
        draws = range(self.cursor, self.cursor + count)
        indices = self._order.take(self.cursor, count)
        self.cursor += count
        return [
            self._stitched(self._log.group(index), np.random.default_rng([self._seed, draw]))
            for draw, index in zip(draws, indices, strict=True)
        ]

    def _stitched(self, group: Group, generator: np.random.Generator) -> Group:
        trajectories = [
            Trajectory(name=str(number), steps=self._steps(rollout), score=feedback.score)
            for number, (rollout, feedback) in enumerate(zip(group.rollouts, group.feedback, strict=True))
            if feedback.score is not None
        ]
        if not trajectories:
            return Group(task=group.task, rollouts=(), feedback=())
        merged = Merged(trajectories)
        values = merged.values(self._temperature)
        made = (merged.sample(_START, values, self._temperature, generator) for _ in range(self._attempts))
        found = [self._rollout(stitched, group) for stitched in made if stitched is not None]
        return Group(
            task=group.task,
            rollouts=tuple(rollout for rollout, _ in found),
            feedback=tuple(feedback for _, feedback in found),
        )

    def _steps(self, rollout: Rollout) -> tuple[Step, ...]:
        """The completion in pieces: (key before it, its tokens)."""
        places = {place: token for token, place in enumerate(token_ends(rollout.completion, self._chat), 1)}
        steps: list[Step] = []
        start, key = 0, cast(Hashable, _START)
        tokens = rollout.completion.tolist()
        for place, after in self._cuts(rollout.text):
            end = places.get(place)
            if end is None or not start < end < len(tokens):  # inside a token, or nothing would follow
                continue
            steps.append(Step(key, tuple(tokens[start:end])))
            start, key = end, after
        return (*steps, Step(key, tuple(tokens[start:])))

    def _rollout(self, stitched: Stitched, group: Group) -> tuple[Rollout, Feedback]:
        tokens = [token for step in stitched.steps for token in step.edge]  # type: ignore[attr-defined]  # tuples, made above
        last = int(stitched.sources[-1][0])
        completion = np.array(tokens, np.int32)
        rollout = Rollout(
            prompt=group.rollouts[last].prompt,
            completion=completion,
            sampled=np.ones(completion.shape, np.bool_),
            logprobs=None,
            text=self._chat.text(completion),
            stop=group.rollouts[last].stop,
            sources=stitched.sources,
        )
        return rollout, Feedback(score=group.feedback[last].score)


def token_ends(tokens: IntArray, chat: Chat) -> list[int]:
    """How many characters of the text stand before the end of each token, [C]."""
    parts = [chat.text([int(token)]) for token in tokens]
    if "".join(parts) == chat.text(tokens):
        return list(accumulate(len(part) for part in parts))
    # A character of several tokens: only whole prefixes can be read.
    return [len(chat.text(tokens[:end])) for end in range(1, len(tokens) + 1)]
