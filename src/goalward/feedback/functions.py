"""A grader from a Python function in a file: `path/file.py:function`."""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from goalward.errors import UsageError, unknown_name
from goalward.feedback.grader import Grader
from goalward.feedback.graders import EachRollout
from goalward.feedback.verdict import raised_at, verdict
from goalward.types import Feedback, Group

Function = Callable[..., Any]

_SIGNATURES = "f(task, rollout), f(group) or f(prompts, completions, **columns)"


def function_grader(path: Path, name: str) -> Grader:
    """The function `name` of the Python file `path` as a Grader; its parameters' names say how it is called.

    - `f(task, rollout)` gives a number, a Feedback, or None (no verdict);
    - `f(group)` gives a sequence of these, one for each rollout;
    - `f(prompts, completions, **columns)` is a reward function as TRL takes them: see `ColumnFunction`.

    Raises UsageError where the file cannot be imported, has no such function, or the signature is another.
    """
    function = load_function(path, name)
    parameters = inspect.signature(function).parameters
    if "group" in parameters:
        return GroupFunction(function)
    if {"task", "rollout"} <= parameters.keys():
        return EachRollout(lambda task, rollout: function(task=task, rollout=rollout))
    if "completions" in parameters:
        return ColumnFunction(function)
    raise UsageError(
        f"{path}:{name} takes ({', '.join(parameters)}); a grader is one of {_SIGNATURES}, told by these names."
    )


def load_function(path: Path, name: str) -> Function:
    """The function `name` of the Python file `path`. Raises UsageError where it cannot be had."""
    module = _load(path)
    function = getattr(module, name, None)
    if not inspect.isfunction(function):
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        raise unknown_name(f"function of {path}", name, functions)
    return function


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{path}: no such file; a function in a file is named path/file.py:function")
    # Under a name of its own, so that a grader's file called json.py or math.py shadows nothing.
    spec = spec_from_file_location(
        f"goalward_grader_{blake2b(str(path.resolve()).encode()).hexdigest()[:12]}", path
    )
    if spec is None or spec.loader is None:
        raise UsageError(f"{path}: not a Python file; a function in a file is named path/file.py:function")
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UsageError(f"{path}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        raise UsageError(
            f"{path} cannot be imported: {type(error).__name__}: {error} ({raised_at(error)})"
        ) from error
    return module


@dataclass(frozen=True, slots=True)
class GroupFunction:
    """A Grader from `f(group)`."""

    function: Function

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each value that the function gives."""
        return [verdict(value) for value in self.function(group=group)]


@dataclass(frozen=True, slots=True)
class ColumnFunction:
    """A Grader from a reward function in TRL's style, called once a group with keyword arguments.

    Each is a list with one entry for each rollout: `prompts` (messages), `completions` (one assistant message
    each), `completion_ids`, `reference`, and every key of the task's info. Only what the function names is
    given, unless it takes `**kwargs`. It returns one number, or None for no verdict, for each.
    """

    function: Function

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each value that the function gives."""
        columns = _columns(group)
        parameters = inspect.signature(self.function).parameters
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            columns = {name: column for name, column in columns.items() if name in parameters}
        missing = [name for name in _required(parameters) if name not in columns]
        if missing:
            raise UsageError(
                f"the grader wants {', '.join(missing)}; the task gives {', '.join(_columns(group))}"
            )
        return [verdict(value) for value in self.function(**columns)]


def _columns(group: Group) -> dict[str, Sequence[Any]]:
    task, rollouts = group.task, group.rollouts
    same = {
        **task.info,
        "reference": task.reference,
        "prompts": [dict(message) for message in task.messages],
    }
    return {
        **{name: [value] * len(rollouts) for name, value in same.items()},
        "completions": [[{"role": "assistant", "content": rollout.text}] for rollout in rollouts],
        "completion_ids": [rollout.completion.tolist() for rollout in rollouts],
    }


def _required(parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        name
        for name, parameter in parameters.items()
        if parameter.kind in named and parameter.default is parameter.empty
    ]
