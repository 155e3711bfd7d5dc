"""Putting a question in other words that leave its answer as it is."""

import re

from goalward.tasks.word_problem_text import PEOPLE

_NAME = re.compile(rf"\b({'|'.join(PEOPLE)})\b")


def other_names(question: str) -> str:
    """The question about other people: each name of the word problems becomes the next one of the same pronoun.

    The same question always becomes the same other one, two people stay two, and pronouns stay right.
    """
    return _NAME.sub(lambda match: _NEXT[match[0]], question)


def _turned() -> dict[str, str]:
    turned: dict[str, str] = {}
    for pronoun in set(PEOPLE.values()):
        names = [name for name, own in PEOPLE.items() if own == pronoun]
        turned |= dict(zip(names, names[1:] + names[:1], strict=True))
    return turned


_NEXT = _turned()
