"""Turning a question into the messages that a policy completes."""

from collections.abc import Callable

from goalward.errors import UsageError, unknown_name
from goalward.types import Message

Prompt = Callable[[str], tuple[Message, ...]]

# The published experiment's prompt has this shape: a system message with the format and the kind of answer,
# one worked example (2+2), then the question. The wording is ours.
_FORMAT = (
    "Solve the user's problem. First think it through, step by step, between <reasoning> and </reasoning>. "
    "Then, on the next line, give your result between <answer> and </answer>:\n"
    "<reasoning>your steps</reasoning>\n"
    "<answer>your result</answer>"
)
_INTEGER = "The result is a single integer: write its digits and nothing else between the answer tags."
_EXAMPLE = (
    Message(role="user", content="What is 2+2?"),
    Message(
        role="assistant", content="<reasoning>Adding 2 to 2 gives 2 + 2 = 4.</reasoning>\n<answer>4</answer>"
    ),
)


def essay_prompt(question: str) -> tuple[Message, ...]:
    """The essay's prompt: format and "a single integer" in a system message, an example, the question."""
    return (
        Message(role="system", content=f"{_FORMAT}\n{_INTEGER}"),
        *_EXAMPLE,
        Message(role="user", content=question.strip()),
    )


def tags_prompt(question: str) -> tuple[Message, ...]:
    """The same format for answers of any kind: a system message and the question."""
    return (Message(role="system", content=_FORMAT), Message(role="user", content=question.strip()))


def plain_prompt(question: str) -> tuple[Message, ...]:
    """The question alone."""
    return (Message(role="user", content=question.strip()),)


PROMPTS: dict[str, Prompt] = {"essay": essay_prompt, "tags": tags_prompt, "plain": plain_prompt}


def prompt_named(name: str) -> Prompt:
    """The prompt called `name`. Raises UsageError, with the names there are, where there is none."""
    if name not in PROMPTS:
        raise unknown_name("prompt", name, PROMPTS)
    return PROMPTS[name]


def in_format(reasoning: str, answer: str) -> str:
    r"""A completion in the format that the prompts ask for: two lines, as the essay's format grader wants them.

    The lines of `reasoning` are joined by spaces, since no newline may stand inside a block.
    """
    lines = (line.strip() for line in reasoning.splitlines())
    return f"<reasoning>{' '.join(line for line in lines if line)}</reasoning>\n<answer>{answer}</answer>"


def check_split(split: str, *known: str) -> None:
    """Raise UsageError where `split` is none of `known`."""
    if split not in known:
        raise unknown_name("split", split, known) from None


def check_count(name: str, value: int, least: int) -> None:
    """Raise UsageError where the knob `name` is below `least`."""
    if value < least:
        raise UsageError(f"{name} = {value} makes no sense; it is at least {least}")
