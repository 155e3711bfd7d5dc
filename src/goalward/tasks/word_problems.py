"""An own generator of grade-school word problems in English, with worked solutions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from goalward.errors import UsageError
from goalward.tasks.prompts import check_count, check_split, in_format, prompt_named
from goalward.tasks.word_problem import Difficulty, Problem, Style, problems, solve
from goalward.types import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class WordProblems:
    """Problems of 2 to 5 steps about shops, farms, savings and the like; every number is a positive integer.

    train, validation, test, ood: how many problems in each split. A smaller split is the beginning of a
    larger one. `ood` is harder: two more steps at least, larger numbers, scenarios that appear nowhere else.
    No two splits share a template skeleton or the numbers in it, nor does the text that the pocket model
    was trained on. seed: which problems are drawn. steps: the fewest and the most operations in a problem.
    style: of the demonstrations; "terse" has all operations of a sentence in one formula, as people write references,
    "careful" one operation after the other. prompt: see goalward.tasks.prompts; "plain" is the question alone.
    """

    train: int = 1000
    validation: int = 300
    test: int = 500
    ood: int = 500
    seed: int = 0
    steps: tuple[int, int] = (2, 5)
    style: Style = "terse"
    prompt: Literal["plain", "tags", "essay"] = "plain"

    def __post_init__(self) -> None:
        """Raise UsageError where no problem could be made."""
        prompt_named(self.prompt)
        for name in ("train", "validation", "test", "ood"):
            check_count(f"word_problems.{name}", getattr(self, name), 1)
        fewest, most = self.steps
        if not 1 <= fewest <= most <= 6:
            raise UsageError(f"word_problems: steps = [{fewest}, {most}]; need 1 <= fewest <= most <= 6.")

    def tasks(self, split: str) -> Sequence[Task]:
        """The problems of `split`. Raises UsageError naming the splits there are."""
        sizes = {"train": self.train, "validation": self.validation, "test": self.test, "ood": self.ood}
        check_split(split, *sizes)
        chosen = islice(distinct(problems(split, self.seed, self._difficulty(split))), sizes[split])
        return [self._task(f"word_problems/{split}/{index}", problem) for index, problem in enumerate(chosen)]

    def _difficulty(self, split: str) -> Difficulty:
        fewest, most = self.steps
        if split == "ood":
            return Difficulty(steps=(fewest + 2, most + 1), amount=90, limit=300)
        return Difficulty(steps=self.steps, amount=60, limit=200)

    def _task(self, name: str, problem: Problem) -> Task:
        return Task(
            id=name,
            messages=prompt_named(self.prompt)(problem.question),
            reference=str(problem.answer),
            demonstration=in_format(solve(problem, self.style), str(problem.answer)),
            info={
                "scenario": problem.scenario,
                "skeleton": problem.skeleton,
                "numbers": problem.numbers,
                "steps": len(problem.operations),
            },
        )


def distinct(stream: Iterator[Problem]) -> Iterator[Problem]:
    """Leave out problems that were drawn before."""
    seen: set[str] = set()
    for problem in stream:
        if problem.question not in seen:
            seen.add(problem.question)
            yield problem
