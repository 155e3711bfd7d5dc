"""From whatever a grader gave back, or raised, to a Feedback: an error stays an error and never becomes a zero."""

import math
import sysconfig
import traceback
from pathlib import Path

from goalward.errors import GoalwardError
from goalward.types import Feedback

_LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


class NoMatchError(GoalwardError):
    """Raised while judging where the attempt itself is at fault, such as one that is no JSON: it scores 0."""


def verdict(value: object) -> Feedback:
    """A Feedback as it is, a finite number as its score, None as no verdict; anything else is an error."""
    if isinstance(value, Feedback):
        if value.score is None:
            return value
        score = verdict(value.score)
        return value if score.error is None else score
    if value is None:
        return Feedback(score=None)
    if not hasattr(value, "__float__"):
        return no_verdict(f"the grader returned {_shown(value)}, not a number")
    try:
        number = float(value)
    except (TypeError, ValueError):
        return no_verdict(f"the grader returned {_shown(value)}, not one number")
    if not math.isfinite(number):
        return no_verdict(f"the grader returned {number}, not a finite number")
    return Feedback(score=number)


def no_verdict(error: str) -> Feedback:
    """A feedback that says why there is no score."""
    return Feedback(score=None, error=error)


def failure(error: Exception) -> Feedback:
    """A feedback that says what was raised and where: "ValueError: no digits (grader.py, line 12)".

    Our own errors are plain lines for people already and stay as they are.
    """
    message = str(error).strip().partition("\n")[0]
    if isinstance(error, GoalwardError):
        return no_verdict(message)
    named = f"{type(error).__name__}: {message}" if message else type(error).__name__
    where = raised_at(error)
    return no_verdict(f"{named} ({where})" if where else named)


def raised_at(error: BaseException) -> str | None:
    """The file and line to look at: the innermost frame outside the Python libraries, else the innermost."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    if not frames:
        return None
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}, line {frame.lineno}"


def _shown(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
