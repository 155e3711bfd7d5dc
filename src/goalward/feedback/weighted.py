"""A sum of graders with weights and names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from goalward.feedback.grader import Grader
from goalward.feedback.judge import judge_all
from goalward.types import Feedback, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One grader in a sum, and how much its score counts."""

    grader: Grader
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """score = sum over parts of weight * score. `Feedback.parts` holds the parts' own scores, unweighted.

    Where a part has no verdict the sum has none either; its error is kept under the part's name.
    """

    parts: Mapping[str, Part]

    def grade(self, group: Group) -> tuple[Feedback, ...]:
        """One feedback for each rollout. A part that raises is an error of that part, under its name."""
        return self.grade_all([group])[0]

    def grade_all(self, groups: Sequence[Group]) -> list[tuple[Feedback, ...]]:
        """As `grade`, for every group."""
        columns = [judge_all(groups, part.grader) for part in self.parts.values()]
        return [
            tuple(self._sum(row) for row in zip(*parts, strict=True)) for parts in zip(*columns, strict=True)
        ]

    def _sum(self, row: tuple[Feedback, ...]) -> Feedback:
        named = dict(zip(self.parts, row, strict=True))
        scores = {name: one.score for name, one in named.items() if one.score is not None}
        notes = (f"{name}: {one.note}" for name, one in named.items() if one.note)
        errors = (f"{name}: {one.error}" for name, one in named.items() if one.error)
        complete = len(scores) == len(named)
        return Feedback(
            score=sum(self.parts[name].weight * score for name, score in scores.items())
            if complete
            else None,
            parts=scores,
            note="; ".join(notes),
            error="; ".join(errors) or None,
        )
