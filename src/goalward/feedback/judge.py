"""Getting feedback: run a grader over groups, whatever the grader does."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from goalward.errors import GoalwardError
from goalward.feedback.grader import BatchGrader, Grader
from goalward.feedback.verdict import failure, no_verdict, verdict
from goalward.types import Feedback, Group

SHOWN = 3
"""Different errors that are told where there are too many."""


def judge(groups: Sequence[Group], grader: Grader) -> list[Group]:
    """The groups with their feedback filled in, one for each rollout.

    A grader that raises, returns the wrong number of values, or a value that is no finite number, gives an
    error and no score, for the whole group in the first two cases. Nothing is raised, except
    what is meant to end the program (KeyboardInterrupt, SystemExit).
    """
    return [
        replace(group, feedback=feedback)
        for group, feedback in zip(groups, judge_all(groups, grader), strict=True)
    ]


def judge_all(groups: Sequence[Group], grader: Grader) -> list[tuple[Feedback, ...]]:
    """One feedback for each rollout of each group, as `judge` gives them."""
    if not isinstance(grader, BatchGrader):
        return [judge_group(group, grader) for group in groups]
    try:
        rows = list(grader.grade_all(groups))
    except Exception as error:  # noqa: BLE001 (as in judge_group)
        return [(failure(error),) * len(group.rollouts) for group in groups]
    if len(rows) != len(groups):
        wrong = no_verdict(f"the grader judged {len(rows)} groups of {len(groups)}")
        return [(wrong,) * len(group.rollouts) for group in groups]
    return [_checked(group, row) for group, row in zip(groups, rows, strict=True)]


def judge_group(group: Group, grader: Grader) -> tuple[Feedback, ...]:
    """One feedback for each rollout of `group`, as `judge` gives them."""
    try:
        values = grader.grade(group)
        return _checked(group, values)
    except Exception as error:  # noqa: BLE001 (a grader may be anybody's code; what it raises is counted and shown)
        return (failure(error),) * len(group.rollouts)


def _checked(group: Group, given: Iterable[object]) -> tuple[Feedback, ...]:
    wanted, values = len(group.rollouts), list(given)
    if len(values) != wanted:
        wrong = no_verdict(f"the grader returned {len(values)} values for {wanted} attempts")
        return (wrong,) * wanted
    return tuple(verdict(value) for value in values)


def error_share(groups: Sequence[Group]) -> float:
    """The share of attempts whose grading failed, from 0 to 1; 0 where nothing was judged."""
    feedback = [one for group in groups for one in group.feedback]
    return sum(one.error is not None for one in feedback) / len(feedback) if feedback else 0.0


def check_errors(groups: Sequence[Group], limit: float) -> None:
    """Raise GoalwardError where more than `limit` (a share) of the attempts could not be graded.

    The message gives the share and the first SHOWN different errors, each with its task and where it was raised.
    """
    share = error_share(groups)
    if share <= limit:
        return
    where: dict[str, str] = {}
    for group in groups:
        for one in group.feedback:
            if one.error is not None:
                where.setdefault(one.error, group.task.id)
    shown = "; ".join(f"at task {task}: {error}" for error, task in islice(where.items(), SHOWN))
    more = f"; and {len(where) - SHOWN} other errors" if len(where) > SHOWN else ""
    raise GoalwardError(
        f"grading failed for {share:.1%} of the attempts, more than the {limit:.1%} that is allowed.\n"
        f"First, {shown}{more}"
    )
