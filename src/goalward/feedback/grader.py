"""What every grader can do: judge the attempts at one task, together."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from goalward.types import Feedback, Group


class Grader(Protocol):
    """Feedback always judges a group, so that a verifier, a vote and a pairwise judge look alike."""

    def grade(self, group: Group) -> Sequence[Feedback]:
        """One feedback for each rollout of `group`, in order. Reads `group.feedback` never."""
        ...


@runtime_checkable
class BatchGrader(Protocol):
    """A Grader that gains from seeing many groups at once: it asks over a network, or works in many processes."""

    def grade(self, group: Group) -> Sequence[Feedback]:
        """As every grader's."""
        ...

    def grade_all(self, groups: Sequence[Group]) -> Sequence[Sequence[Feedback]]:
        """What `grade` gives for each of `groups`, in order."""
        ...
