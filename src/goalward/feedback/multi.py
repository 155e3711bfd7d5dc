"""Several graders, and arithmetic over what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from goalward.errors import GoalwardError, UsageError, unknown_name
from goalward.feedback.expression import FUNCTIONS, NAME, Expression, parse_expression
from goalward.feedback.grader import Grader
from goalward.feedback.judge import judge_all
from goalward.feedback.weighted import Part, Weighted
from goalward.schema import Place
from goalward.types import Feedback, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Multi:
    """`calculate_output` over the scores of `graders`: each a table as any grader's, or the name of one."""

    graders: Mapping[str, Any]
    calculate_output: str
    name: str = ""

    def combined(self, inner: Mapping[str, Grader], place: Place) -> "Combined":
        """With the graders built. Raises UsageError for a formula that cannot be, or that reads other names."""
        for name in self.graders:
            if not NAME.fullmatch(name) or name in FUNCTIONS:
                raise UsageError(
                    f"{place.at('graders', name)}: a formula cannot call it that; use letters, digits and _"
                )
        where = place.at("calculate_output")
        try:
            formula = parse_expression(self.calculate_output)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        for name in sorted(formula.names - inner.keys()):
            raise UsageError(f"{where}: {unknown_name('grader', name, inner)}")
        return Combined(graders=inner, formula=formula)


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """A Grader whose score is `formula` over the scores of `graders`; their own scores are its parts.

    Where one of them has an error or no verdict, the whole has none either, as in `Weighted`.
    """

    graders: Mapping[str, Grader]
    formula: Expression

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each rollout."""
        return self.grade_all([group])[0]

    def grade_all(self, groups: Sequence[Group]) -> list[list[Feedback]]:
        """As `grade`, for every group."""
        together = Weighted(parts={name: Part(grader=grader) for name, grader in self.graders.items()})
        return [[self._calculate(one) for one in row] for row in judge_all(groups, together)]

    def _calculate(self, together: Feedback) -> Feedback:
        if together.score is None:
            return together
        try:
            return replace(together, score=self.formula(together.parts))
        except GoalwardError as error:
            return replace(together, score=None, error=str(error))
