"""A goal, and what a tactic makes of it. Nothing here is trusted; the kernel judges what comes out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from goalward.errors import GoalwardError
from goalward.formal.formula import TRUE, Formula, rename_numbers
from goalward.formal.kernel import Fun, Term, Var
from goalward.formal.numbers import Number, change, free


class Goal(NamedTuple):
    """What is known, without repetition, and what is to be shown. Number variables are named n, m, k, ... in it."""

    hypotheses: tuple[Formula, ...]
    target: Formula

    def __str__(self) -> str:
        known = "".join(f"h{place}:{one} " for place, one in enumerate(self.hypotheses, start=1))
        return f"{known}⊢ {self.target}"

    @property
    def size(self) -> int:
        """Atoms and operators in all of it."""
        return self.target.size + sum(one.size for one in self.hypotheses)

    @property
    def numbers(self) -> int:
        """How many number variables there are; whether all of them are named in it is another matter."""
        return max(self.target.free, *(one.free for one in self.hypotheses), 0)

    @property
    def arithmetic(self) -> bool:
        """Whether numbers are spoken of."""
        return self.target.arithmetic or any(one.arithmetic for one in self.hypotheses)


class Environment(NamedTuple):
    """Proofs of a goal's hypotheses, in their order, under `depth` assumptions and `around` number variables.

    numbers: what the goal's own variables are among these, for they are named anew where one is no longer spoken of.
    """

    proofs: tuple[Term, ...]
    depth: int
    numbers: tuple[Number, ...] = ()
    around: int = 0

    def formula(self, formula: Formula) -> Formula:
        """A goal's formula in the proof."""
        return rename_numbers(formula, self.numbers) if formula.free else formula

    def number(self, number: Number) -> Number:
        """A goal's number in the proof."""
        return change(number, lambda one, _: self.numbers[one.index] if one.op == "free" else None, 0)

    def with_number(self, level: int) -> "Environment":
        """Under one more number, which is what the goal's variable of this level means from here on."""
        numbers = (*self.numbers[:level], free(self.around), *self.numbers[level + 1 :])
        return self._replace(numbers=numbers, around=self.around + 1)


Build: TypeAlias = Callable[[Environment], Term]
"""The proof of a goal, given proofs of its hypotheses."""


class Move(NamedTuple):
    """What a tactic makes of a goal: the goals that are left, and the proof, given how theirs are built."""

    goals: tuple[Goal, ...]
    proof: Callable[[Environment, Sequence[Build]], Term]


class TacticError(GoalwardError):
    """The tactic does not apply."""


class Scope:
    """A goal whose hypothesis at `place` (or none, at the end) has given way to `parts`.

    What is known already and ⊤ are not written down again.
    """

    __slots__ = ("_parts", "_sources", "goal")

    def __init__(self, goal: Goal, place: int, parts: tuple[Formula, ...], target: Formula) -> None:
        known = goal.hypotheses
        rows = [(one, at) for at, one in enumerate(known[:place])]
        rows += [(one, -1 - at) for at, one in enumerate(parts)]  # the new ones count down from -1
        rows += [(one, at) for at, one in enumerate(known[place + 1 :], start=place + 1)]
        first: dict[Formula, int] = {}
        for one, source in rows:
            if one is not TRUE:
                first.setdefault(one, source)
        self._parts = parts
        self._sources = first.values()
        self.goal = Goal(tuple(first), target)

    def inside(self, env: Environment, proofs: Sequence[Term], binders: int = 0) -> Environment:
        """The environment of the goal, with proofs of the parts."""
        known = env.proofs
        return Environment(
            tuple(known[at] if at >= 0 else proofs[-1 - at] for at in self._sources),
            env.depth + binders,
            env.numbers,
            env.around,
        )

    def bind(self, env: Environment, body: Build) -> Term:
        """`body` as a function of its only part."""
        [part] = self._parts
        return Fun(env.formula(part), body(self.inside(env, (Var(env.depth),), 1)))
