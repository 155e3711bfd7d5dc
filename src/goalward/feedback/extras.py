"""Libraries that only some graders need."""

from importlib import import_module
from typing import Any

from goalward.errors import UsageError


def extra(module: str, grader: str) -> Any:
    """The module, imported. Raises UsageError that says how to install it where it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(f"{grader} needs {module}: pip install 'goalward[graders]'") from error
