"""Statements to prove: made at random to learn from, and set.mm's to be tested on."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any
from zlib import crc32

from goalward.errors import UsageError
from goalward.formal.formula import Formula, canonical, countermodel
from goalward.formal.metamath import Theorem, shipped, theorems
from goalward.formal.random_terms import proved
from goalward.formal.statements import consequences, distinct, refutables, take_turns, tautologies
from goalward.tasks.lean_statements import lean_statements
from goalward.tasks.prompts import check_count, check_split, plain_prompt
from goalward.types import Task

_VALIDATION_SHARE = 5
"""One statement in so many belongs to validation: which one, its text alone decides, so no seed mixes them up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theorems:
    """Theorems of propositional logic to prove; the question is `⊢ p ∧ q → q ∧ p`.

    train, validation: how many are made; no statement is in both, whatever their seeds, nor in the test, whatever its
    variables are called. A smaller split is the beginning of a larger one. refutable: the share of both that is no
    theorem, for who wants to learn to tell. seed: which are drawn. largest: the atoms and operators in them at most.
    test: "setmm", the 687 that come with Goalward; or a `set.mm`, read anew; or a file of Lean statements in
    miniF2F's manner (see lean_statements), which need a Lean toolchain with their header's library as judge.

    A task's info has the `statement`, its `label` in the test, and the `countermodel` of what is no theorem.
    """

    train: int = 2000
    validation: int = 200
    refutable: float = 0.0
    seed: int = 0
    largest: int = 30
    test: str = "setmm"

    def __post_init__(self) -> None:
        """Raise UsageError where no statement could be made."""
        check_count("theorems.train", self.train, 1)
        check_count("theorems.validation", self.validation, 1)
        check_count("theorems.largest", self.largest, 7)
        if not 0 <= self.refutable <= 1:
            raise UsageError(
                f"theorems.refutable = {self.refutable} makes no sense; it is a share, from 0 to 1"
            )

    def tasks(self, split: str) -> Sequence[Task]:
        """The statements of "train", "validation" or "test". Raises UsageError naming the splits there are."""
        check_split(split, "train", "validation", "test")
        if split == "test":
            return self._test()
        size = self.train if split == "train" else self.validation
        return [
            _task(f"theorems/{split}/{index}", str(one), {"countermodel": countermodel(one)})
            for index, one in enumerate(islice(self._drawn(split), size))
        ]

    def _drawn(self, split: str) -> Iterator[Formula]:
        rng = random.Random(f"theorems {self.seed}")  # noqa: S311
        held_out = [one.statement for one in shipped()]
        if self.test.endswith(".mm"):
            held_out += [one.statement for one in theorems(self.test)]
        true = theorem_stream(rng)
        false = (one.statement for one in refutables(rng, theorem_stream(rng)))
        mixed = (next(false) if rng.random() < self.refutable else next(true) for _ in count())
        for statement in distinct(mixed, held_out, largest=self.largest):
            if (crc32(str(statement).encode()) % _VALIDATION_SHARE == 0) == (split == "validation"):
                yield statement

    def _test(self) -> Sequence[Task]:
        if self.test != "setmm" and not self.test.endswith(".mm"):
            return [
                _task(f"theorems/test/{one.name}", one.statement, {"label": one.name, "header": one.header})
                for one in lean_statements(self.test, "test")
            ]
        found: Sequence[Theorem] = shipped() if self.test == "setmm" else theorems(Path(self.test))
        return [
            _task(f"theorems/test/{one.label}", str(one.statement), {"label": one.label}) for one in found
        ]


def theorem_stream(rng: random.Random) -> Iterator[Formula]:
    """Theorems from all that makes some, by turns: random formulas, truth tables compared, random proofs; repeats too."""
    types = (canonical(one.statement) for one in proved(rng))
    return take_turns(tautologies(rng), consequences(rng), consequences(rng), types)


def _task(name: str, statement: str, info: Mapping[str, Any]) -> Task:
    return Task(id=name, messages=plain_prompt(f"⊢ {statement}"), info={"statement": statement, **info})
