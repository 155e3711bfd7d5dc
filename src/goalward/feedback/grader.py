"""What every grader can do: judge the attempts at one task, together."""

from collections.abc import Sequence
from typing import Protocol

from goalward.types import Feedback, Group


class Grader(Protocol):
    """Feedback always judges a group, so that a verifier, a vote and a pairwise judge look alike."""

    def grade(self, group: Group) -> Sequence[Feedback]:
        """One feedback for each rollout of `group`, in order. Reads `group.feedback` never."""
        ...
