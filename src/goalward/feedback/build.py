"""A grader by its name."""

from collections.abc import Callable
from pathlib import Path

from goalward.errors import UsageError, unknown_name
from goalward.feedback.code import CodeTests
from goalward.feedback.functions import function_grader
from goalward.feedback.grader import Grader
from goalward.feedback.graders import (
    EachRollout,
    Random,
    essay,
    essay_answer,
    essay_format,
    gym,
    math,
    numeric,
    tags,
)

GRADERS: dict[str, Callable[[], Grader]] = {
    "essay": essay,
    "essay_format": lambda: EachRollout(essay_format),
    "essay_answer": lambda: EachRollout(essay_answer),
    "strict": lambda: EachRollout(essay_answer),
    "tags": lambda: EachRollout(tags),
    "numeric": lambda: EachRollout(numeric),
    "math": lambda: EachRollout(math),
    "gym": lambda: EachRollout(gym),
    "code_tests": CodeTests,
    "random": Random,
}


def build_grader(spec: str, base: Path | None = None) -> Grader:
    """The grader that `spec` names: a key of GRADERS, or `path/file.py:function`.

    A relative path is looked for in the working directory and then in `base` (the recipe's folder).
    Raises UsageError where there is no such name, file or function.
    """
    if spec in GRADERS:
        return GRADERS[spec]()
    file, colon, function = spec.rpartition(":")
    if spec.endswith(".py"):
        raise UsageError(f"{spec!r} names a file without its function; write {spec}:function")
    if not colon or not file.endswith(".py"):
        raise unknown_name("grader", spec, GRADERS)
    path = Path(file)
    if base is not None and not path.is_file() and (base / path).is_file():
        path = base / path
    return function_grader(path, function)
