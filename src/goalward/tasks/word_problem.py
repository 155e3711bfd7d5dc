"""One word problem: composed from sentences, solved operation by operation, told in two styles."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Literal
from zlib import crc32

from goalward.tasks.word_problem_harder import HARDER
from goalward.tasks.word_problem_text import PEOPLE, SCENARIOS, Line, Scenario

Style = Literal["terse", "careful"]

OPERATION = re.compile(r"([xyabcjk]|\d+)([-+*/])([xyabcjk]|\d+)")
SLOT = re.compile(r"{([abcjk])}")
BUCKETS = {
    **dict.fromkeys(range(7), "pretraining"),
    **dict.fromkeys(range(7, 9), "train"),
    9: "validation",
    10: "test",
    11: "ood",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """How many operations (inclusive range), how large an amount in the text, how large a result."""

    steps: tuple[int, int]
    amount: int
    limit: int


@dataclass(frozen=True, slots=True)
class Operand:
    """A number in an operation; `source` is the index of the operation that made it, None if it was given."""

    value: int
    source: int | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """`left sign right = value`; `label` says in words what it is, `sentence` which sentence asks for it."""

    label: str
    left: Operand
    sign: str
    right: Operand
    value: int
    sentence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A question with everything known about it. `skeleton` names the sentences, `numbers` fill them."""

    scenario: str
    question: str
    skeleton: str
    numbers: tuple[int, ...]
    operations: tuple[Operation, ...]

    @property
    def answer(self) -> int:
        """What the last operation gives."""
        return self.operations[-1].value


def problems(split: str, seed: int, difficulty: Difficulty) -> Iterator[Problem]:
    """Endlessly many problems of `split`, the same for the same arguments.

    The hash of a skeleton and the hash of the numbers each belong to one split for ever, whatever
    the seed, so that no two splits share a skeleton or a tuple of numbers.
    """
    scenarios = HARDER if split == "ood" else SCENARIOS
    random = Random(f"word problems, {split}, {seed}")  # noqa: S311
    while True:
        scenario, lines = draw_lines(random, scenarios, difficulty.steps)
        skeleton = name_skeleton(scenario, lines)
        if split_of(skeleton) != split:
            continue
        # Most draws fail on a division that leaves a rest or on the numbers' split; the sentences can stay.
        for _ in range(40):
            problem = fill(random, scenario, lines, difficulty)
            if problem is not None and split_of(str(problem.numbers)) == split:
                yield problem
                break


def split_of(text: str) -> str:
    """The one split that a skeleton, or a tuple of numbers, may appear in."""
    return BUCKETS[crc32(text.encode()) % len(BUCKETS)]


def draw_lines(
    random: Random, scenarios: tuple[Scenario, ...], steps: tuple[int, int]
) -> tuple[Scenario, list[Line]]:
    """A scenario and sentences of it, start to end, with a number of operations within `steps`."""
    wanted = random.randint(*steps)
    while True:
        scenario = random.choice(scenarios)
        start, end = random.choice(scenario.starts), random.choice(scenario.ends)
        lines = [start]
        left = wanted - operation_count(start) - operation_count(end)
        for step in random.sample(scenario.steps, len(scenario.steps)):
            if 0 < operation_count(step) <= left:
                lines.append(step)
                left -= operation_count(step)
        if left == 0:
            return scenario, [*lines, end]


def operation_count(line: Line) -> int:
    """How many operations a sentence asks for."""
    return len(OPERATION.findall(line.program))


def name_skeleton(scenario: Scenario, lines: list[Line]) -> str:
    """The sentences without their numbers, people and things, as a short name."""
    start, *steps, end = lines
    middle = "-".join(str(scenario.steps.index(step)) for step in steps)
    return f"{scenario.name}:{scenario.starts.index(start)}:{middle}:{scenario.ends.index(end)}"


def fill(random: Random, scenario: Scenario, lines: list[Line], difficulty: Difficulty) -> Problem | None:
    """Draw people, things and numbers; None where a result would be negative, broken or too large."""
    person, friend = random.sample(sorted(PEOPLE), 2)
    pronoun = PEOPLE[person]
    possessive = "her" if pronoun == "she" else "his"
    words = {
        "N": person,
        "F": friend,
        "s": pronoun,
        "S": pronoun.title(),
        "h": possessive,
        "H": possessive.title(),
    }
    words["i"] = random.choice(scenario.things)
    sentences: list[str] = []
    numbers: list[int] = []
    operations: list[Operation] = []
    total = Operand(0)
    for line in lines:
        slots = {
            name: draw_number(random, name, difficulty) for name in dict.fromkeys(SLOT.findall(line.text))
        }
        numbers.extend(slots.values())
        sentences.append(line.text.format(**words, **slots))
        if line.program in slots:
            total = Operand(slots[line.program])
        known = {name: Operand(value) for name, value in slots.items()} | {"x": total}
        for part in line.program.split("; "):
            if (match := OPERATION.search(part)) is None:
                continue
            left, right = (known.get(name) or Operand(int(name)) for name in (match[1], match[3]))
            value = compute(left.value, match[2], right.value)
            if value is None or value > difficulty.limit:
                return None
            label = part[: match.start()].strip().format(**words) or "Now"
            operations.append(Operation(label, left, match[2], right, value, len(sentences)))
            total = known["y"] = Operand(value, len(operations) - 1)
    return Problem(
        scenario=scenario.name,
        question=" ".join(sentences),
        skeleton=name_skeleton(scenario, lines),
        numbers=tuple(numbers),
        operations=tuple(operations),
    )


def draw_number(random: Random, slot: str, difficulty: Difficulty) -> int:
    """`j` and `k` are small counts, `c` is a goal beyond the running quantity, the others are amounts."""
    if slot in "jk":
        return random.randint(2, 9)
    return random.randint(2, difficulty.limit if slot == "c" else difficulty.amount)


def compute(left: int, sign: str, right: int) -> int | None:
    """The result, or None where it is not a positive integer."""
    if sign == "/":
        return left // right if right and left % right == 0 else None
    value = {"+": left + right, "-": left - right, "*": left * right}[sign]
    return value if value > 0 else None


def solve(problem: Problem, style: Style) -> str:
    """The worked solution: "careful" states and computes each operation, "terse" all of a sentence at once.

    Terse is how people write references: "Now 12+3*5=27." has no word of the 15.
    """
    by_sentence = groupby(problem.operations, key=lambda operation: operation.sentence)
    groups = (
        [tuple(group) for _, group in by_sentence] if style == "terse" else [(o,) for o in problem.operations]
    )
    return " ".join(f"{group[-1].label} {formula(problem, group)}={group[-1].value}." for group in groups)


def formula(problem: Problem, group: tuple[Operation, ...]) -> str:
    """The group's last operation, with the results of the others written out in its place."""
    inside = set(map(id, group))

    def write(operand: Operand, *, tight: bool) -> str:
        source = None if operand.source is None else problem.operations[operand.source]
        if source is None or id(source) not in inside:
            return str(operand.value)
        text = write_operation(source)
        return f"({text})" if tight and source.sign in "+-" else text

    def write_operation(operation: Operation) -> str:
        loose = operation.sign in "+-"
        left = write(operation.left, tight=not loose)
        right = write(operation.right, tight=not loose or operation.sign == "-")
        return f"{left}{operation.sign}{right}"

    return write_operation(group[-1])
