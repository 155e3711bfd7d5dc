"""Unknown names, told plainly: what was asked for, the nearest name there is, and all of them."""

from collections.abc import Iterable
from difflib import get_close_matches

from goalward.errors import UsageError

_LIST_AT_MOST = 20


def unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a `name` that is none of `known`; `what` says what it should name ("grader", "split")."""
    names = sorted(known)
    nearest = get_close_matches(name, names, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    listed = f" There are: {', '.join(names)}." if len(names) <= _LIST_AT_MOST else ""
    return UsageError(f"unknown {what} {name!r}{hint}{listed}")
