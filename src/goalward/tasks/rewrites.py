"""Putting a question otherwise, without knowing its answer: so that the answer stays, or so that it must change."""

import re
from collections.abc import Callable

from goalward.errors import unknown_name
from goalward.tasks.word_problem_text import PEOPLE

_NAME = re.compile(rf"\b({'|'.join(PEOPLE)})\b")
_NUMBER = re.compile(r"(?<![\d.,])\d+(?![\d.,]*\d)")


def other_names(question: str) -> str:
    """The question about other people: each name of the word problems becomes the next one of the same pronoun.

    The same question always becomes the same other one, two people stay two, and pronouns stay right.
    """
    return _NAME.sub(lambda match: _NEXT[match[0]], question)


def last_number(question: str) -> str:
    """The question with its last whole number two larger; as it is where it has none.

    Whoever reads to the end gives another answer now, unless that number does not matter.
    """
    numbers = list(_NUMBER.finditer(question))
    if not numbers:
        return question
    last = numbers[-1]
    return f"{question[: last.start()]}{int(last[0]) + 2}{question[last.end() :]}"


REWRITES: dict[str, Callable[[str], str]] = {"names": other_names, "last_number": last_number}


def rewrite_named(name: str) -> Callable[[str], str]:
    """The rewrite called `name`. Raises UsageError, with the names there are, where there is none."""
    if name not in REWRITES:
        raise unknown_name("rewrite", name, REWRITES)
    return REWRITES[name]


def _turned() -> dict[str, str]:
    turned: dict[str, str] = {}
    for pronoun in set(PEOPLE.values()):
        names = [name for name, own in PEOPLE.items() if own == pronoun]
        turned |= dict(zip(names, names[1:] + names[:1], strict=True))
    return turned


_NEXT = _turned()
