"""The text that the pocket model reads: word problems and drills, some solved with care, most in haste.

How a problem is answered hangs on its context, here the scenario and the way it is opened and asked. In some
contexts people mostly work step by step; in others they mostly put several operations into one
formula, or they rush and miss half of the problem; and in some they forget the answer's tags. Every
way occurs in every context. So the model's
most likely answer is often a poor one, while a good one is always within reach of sampling.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from zlib import crc32

from goalward.models.pocket.drills import draw_drill, practice
from goalward.tasks.prompts import essay_prompt, in_format, plain_prompt, tags_prompt
from goalward.tasks.word_problem import Difficulty, Problem, problems, solve
from goalward.types import Message

DIFFICULTY = Difficulty(steps=(1, 6), amount=60, limit=200)
WAYS = ("careful", "terse", "rushed", "guessed")
HABITS = {
    "calm": (0.58, 0.20, 0.12, 0.10),
    "brisk": (0.18, 0.50, 0.20, 0.12),
    "hasty": (0.18, 0.20, 0.50, 0.12),
}
"""In each kind of context, the share of each way to answer."""
CONTEXTS = ("calm",) * 4 + ("brisk",) * 5 + ("hasty",) * 11
"""How often each habit occurs among contexts."""
OPENERS = ("Easy.", "I can see it.", "That is simple.")
SYSTEM = (
    "You are a helpful assistant.",
    "You are good at math. Answer with a number.",
    "Think step by step and put the result into the answer tags.",
    "Reason first, then give the final answer.",
)


@dataclass(frozen=True, slots=True)
class Document:
    """A conversation up to where the assistant speaks, and what it says."""

    messages: tuple[Message, ...]
    completion: str


def sheets(seed: int) -> Iterator[Document]:
    """Endlessly many sheets of arithmetic, which are read first."""
    random = Random(f"pocket sheets, {seed}")  # noqa: S311
    while True:
        yield sheet(random)


def sheet(random: Random) -> Document:
    """A sheet of arithmetic: nothing but equations, so that every token teaches some."""
    return Document(plain_prompt("Practice."), practice(random, 10))


def documents(seed: int) -> Iterator[Document]:
    """Endlessly many documents, the same for the same seed."""
    random = Random(f"pocket text, {seed}")  # noqa: S311
    stream = problems("pretraining", seed, DIFFICULTY)
    while True:
        if random.random() < 0.05:
            yield sheet(random)
            continue
        if random.random() < 0.12:
            drill = draw_drill(random)
            reasoning = drill.steps if random.random() < 0.6 else random.choice(OPENERS)
            question, completion = drill.question, write(random, reasoning, drill.answer, lapse=0.05)
            plain = 0.4
        else:
            problem = next(stream)
            question, completion = problem.question, attempt(random, problem)
            plain = 0.88
        yield Document(prompt(random, question, plain), completion)


def attempt(random: Random, problem: Problem) -> str:
    """Answer a problem as people do in its context."""
    number = context(problem)
    (way,) = random.choices(WAYS, weights=HABITS[CONTEXTS[number % len(CONTEXTS)]])
    if way == "rushed":
        reasoning, answer = rush(problem)
    elif way == "guessed":
        reasoning, answer = random.choice(OPENERS), problem.answer
    else:
        reasoning, answer = solve(problem, "careful" if way == "careful" else "terse"), problem.answer
    if number % 17 == 0 and random.random() < 0.65:
        return f"<reasoning>{reasoning}</reasoning>\nThe answer is {answer}."
    return write(random, reasoning, answer, lapse=0.04)


def context(problem: Problem) -> int:
    """What habits hang on: scenario, opening and question, but neither the steps between nor the numbers."""
    scenario, start, _, end = problem.skeleton.split(":")
    return crc32(f"habits of {scenario}, {start}, {end}".encode())


def rush(problem: Problem) -> tuple[str, int]:
    """Read half of the problem: the operations of its first half, as if nothing followed."""
    kept = problem.operations[: max(1, len(problem.operations) // 2)]
    steps = " ".join(f"{step.left.value}{step.sign}{step.right.value}={step.value}." for step in kept)
    return f"Quickly: {steps}", kept[-1].value


def write(random: Random, reasoning: str, answer: object, lapse: float) -> str:
    """The essay's answer format; with probability `lapse`, something like it."""
    if random.random() >= lapse:
        return in_format(reasoning, str(answer))
    return random.choice(
        (
            f"{reasoning} The answer is {answer}.",
            f"<reasoning>{reasoning}</reasoning>\nThe answer is {answer}.",
            f"{reasoning}\n<answer>{answer}</answer>",
            f"<answer>The answer is {answer}.</answer>",
        )
    )


def prompt(random: Random, question: str, plain: float) -> tuple[Message, ...]:
    """The question alone with probability `plain`; else after instructions, mostly the package's own."""
    if random.random() < plain:
        return plain_prompt(question)
    kind = random.choice(("essay", "tags", "tags", "short"))
    if kind == "essay":
        return essay_prompt(question)
    if kind == "tags":
        return tags_prompt(question)
    return ({"role": "system", "content": random.choice(SYSTEM)}, *plain_prompt(question))
