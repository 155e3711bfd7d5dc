import pytest

from goalward.errors import UsageError
from goalward.feedback.grade import recorded
from goalward.feedback.graders import essay_format
from goalward.tasks.prompts import (
    PROMPTS,
    check_split,
    essay_prompt,
    in_format,
    plain_prompt,
    prompt_named,
    tags_prompt,
)
from goalward.types import Task


def test_essay_prompt_explains_shows_and_asks() -> None:
    system, question, example, asked = essay_prompt("  How many? ")
    assert [m["role"] for m in (system, question, example, asked)] == ["system", "user", "assistant", "user"]
    assert "<reasoning>" in system["content"] and "<answer>" in system["content"]
    assert "single integer" in system["content"]
    assert "2+2" in question["content"]
    task = Task(id="example", messages=(question,))
    assert essay_format(task, recorded(example["content"])) == 1
    assert asked["content"] == "How many?"


def test_the_other_prompts() -> None:
    assert plain_prompt("q") == ({"role": "user", "content": "q"},)
    system, asked = tags_prompt("q")
    assert "<answer>" in system["content"] and "integer" not in system["content"]
    assert asked == {"role": "user", "content": "q"}


def test_names() -> None:
    for name, prompt in PROMPTS.items():
        assert prompt_named(name) is prompt
    with pytest.raises(UsageError, match="there is no prompt 'esay'; did you mean 'essay'"):
        prompt_named("esay")
    with pytest.raises(UsageError, match="there is no split 'tets'; did you mean 'test'"):
        check_split("tets", "train", "test")


def test_in_format() -> None:
    assert in_format("a = 1\n\n b = 2\n", "3") == "<reasoning>a = 1 b = 2</reasoning>\n<answer>3</answer>"
    assert in_format("", "3") == "<reasoning></reasoning>\n<answer>3</answer>"
