"""Other words that keep an answer, or change it, made without knowing it."""

import re

import pytest

from goalward.errors import UsageError
from goalward.tasks.rewrites import REWRITES, last_number, other_names, rewrite_named
from goalward.tasks.word_problem_text import PEOPLE
from goalward.tasks.word_problems import WordProblems


def names(question: str) -> list[str]:
    return re.findall(rf"\b(?:{'|'.join(PEOPLE)})\b", question)


def test_other_people_keep_their_number_and_pronoun():
    for task in WordProblems().tasks("validation"):
        before, after = names(task.question), names(other_names(task.question))
        assert len(before) == len(after) and not set(zip(before, before, strict=True)) & set(
            zip(before, after, strict=True)
        )
        assert [PEOPLE[name] for name in before] == [PEOPLE[name] for name in after]
        assert len(set(before)) == len(set(after))
        assert re.sub(r"[A-Z]\w+", "", task.question) == re.sub(r"[A-Z]\w+", "", other_names(task.question))


@pytest.mark.parametrize(
    ("question", "changed"),
    [
        ("3 trays of 12.", "3 trays of 14."),
        ("Half of 9 cost $1,250 in all.", "Half of 11 cost $1,250 in all."),
        ("It is 2.5 m and 4 kg.", "It is 2.5 m and 6 kg."),
        ("How many are 99?", "How many are 101?"),
        ("No number here.", "No number here."),
    ],
)
def test_the_last_whole_number_is_another(question, changed):
    assert last_number(question) == changed


def test_by_name():
    assert rewrite_named("names") is REWRITES["names"]
    with pytest.raises(UsageError, match="did you mean 'last_number'"):
        rewrite_named("last_numbers")
