"""Errors that a person caused or can mend. Their message is one or two plain lines: what, where, what to do."""

import difflib
from collections.abc import Iterable

_LISTED_AT_MOST = 20


class GoalwardError(Exception):
    """Something went wrong that is not a bug of ours; the command line prints it plainly and exits with 1."""


class UsageError(GoalwardError):
    """What was asked for makes no sense; the command line exits with 2, before anything was loaded."""


def unknown_name(what: str, name: object, known: Iterable[str]) -> UsageError:
    """The error for a `name` that is none of `known`; `what` says what it should name ("grader", "split")."""
    return UsageError(f"there is no {what} {name!r}; {suggestion(name, known)}")


def suggestion(name: object, known: Iterable[str]) -> str:
    """The nearest of `known` to what was written, else what there is to choose from."""
    names = list(known)
    nearest = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    more = ", ..." if len(names) > _LISTED_AT_MOST else ""
    return f"known: {', '.join(names[:_LISTED_AT_MOST]) or 'none'}{more}"
