"""Worked solutions with equations, as people and models write them: "3 boxes of 4 are 3*4=<<3*4=12>>12 eggs".

What such a solution has computed so far is a state that other solutions of the same problem come by too, so they can
be stitched; and since every equation can be computed anew, a value from one may be put into another. No torch here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from goalward.errors import GoalwardError
from goalward.experience.stitch import Step, Trajectory
from goalward.feedback.answers import final_number
from goalward.feedback.expression import parse_expression

_ANNOTATION = re.compile(r"<<([^<>]*)=([^<>=]*)>>")
_NUMBER = re.compile(r"\d[\d,]*\.?\d*|\.\d+")


@dataclass(frozen=True, slots=True)
class Equation:
    """One annotated computation. Two are equal if expression and value are; `text` is how it was put."""

    expression: str
    value: float
    text: str = field(default="", compare=False)

    @property
    def holds(self) -> bool:
        """Whether computing the expression anew gives the value."""
        found = evaluate(self.expression)
        return found is not None and close(found, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """A worked solution: its equations in order, the text after the last, and the answer it gives."""

    name: str
    equations: tuple[Equation, ...]
    ending: str
    answer: float | None
    correct: bool

    @property
    def holds(self) -> bool:
        """Whether every equation does."""
        return all(equation.holds for equation in self.equations)

    def trajectory(self) -> Trajectory:
        """The solution as steps between sets of computed values, which is the key that it can be stitched by."""
        steps, known = [], frozenset[float]()
        for equation in self.equations:
            steps.append(Step(known, equation))
            known |= {equation.value}
        return Trajectory(name=self.name, steps=tuple(steps), score=float(self.correct), final=known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graft:
    """A solution with one computed value replaced by another's, and all that hangs on it computed anew.

    host: whose equations; at: the equation whose value is replaced; donor, value: what is put there and
    from where; equations: the host's behind `at` as they are now; answer: the last one's value.
    """

    host: Worked
    at: int
    donor: str
    value: float
    equations: tuple[Equation, ...]

    @property
    def answer(self) -> float:
        """What the solution comes to."""
        return self.equations[-1].value


def read_worked(name: str, text: str, *, correct: bool) -> Worked:
    """Take a solution apart at its `<<expression=value>>` annotations.

    An annotation whose value is no number stays in the text and is no equation.
    """
    equations, start = [], 0
    for match in _ANNOTATION.finditer(text):
        value = _number(match[2])
        if value is not None:
            end = match.end()
            repeated = _NUMBER.match(text, end)  # the value stands behind its annotation once more
            end = repeated.end() if repeated else end
            equations.append(Equation(match[1].replace(" ", ""), value, text[start:end]))
            start = end
    answer = final_number(text)
    return Worked(
        name=name,
        equations=tuple(equations),
        ending=text[start:],
        answer=None if answer is None else float(answer),
        correct=correct,
    )


def evaluate(expression: str) -> float | None:
    """The value of arithmetic on numbers; None where it is none. Nothing in it is ever run as code."""
    text = expression.replace(",", "").replace("**", "^").replace("%", "/100")
    try:
        return parse_expression(text)({})
    except (GoalwardError, KeyError):  # a letter, a broken bracket, a division by zero: no arithmetic
        return None


def close(a: float, b: float) -> bool:
    """Equal up to what writing a value with a few decimals loses."""
    return abs(a - b) <= 1e-4 * max(1.0, abs(b))


def numbers(text: str) -> set[float]:
    """The numbers that are written in it."""
    found = (_number(match[0]) for match in _NUMBER.finditer(text))
    return {number for number in found if number is not None}


def grafts(host: Worked, donor: Worked) -> Iterator[Graft]:
    """Every way to replace one computed value of `host` by one of `donor`'s, and compute what follows anew.

    Only where the host's last equation hangs on the replaced value: elsewhere nothing would change.
    """
    for at, replaced in enumerate(host.equations[:-1]):
        for value in dict.fromkeys(equation.value for equation in donor.equations):
            if value == replaced.value:
                continue
            followed = _recompute(host.equations, at, value)
            if followed:
                yield Graft(host=host, at=at, donor=donor.name, value=value, equations=followed)


def _recompute(equations: Sequence[Equation], at: int, value: float) -> tuple[Equation, ...]:
    """The equations behind `at` with its value replaced.

    () where the last does not hang on it, or one that does not change is wrong.
    """
    changed = {equations[at].value: value}
    found: list[Equation] = []
    reached = False
    for equation in equations[at + 1 :]:
        expression = _replace(equation.expression, changed, bracket=True)
        reached = expression != equation.expression
        if reached:
            result = evaluate(expression)
            if result is None:
                return ()
            changed[equation.value] = result
            text = _replace(equation.text, changed, bracket=False)
            found.append(Equation(expression, result, text))
        elif not equation.holds:
            return ()
        else:
            found.append(equation)
    return tuple(found) if reached else ()


def _replace(text: str, changed: dict[float, float], *, bracket: bool) -> str:
    def swap(match: re.Match[str]) -> str:
        number = _number(match[0])
        if number not in changed:
            return match[0]
        return f"({changed[number]:.12g})" if bracket else f"{changed[number]:.12g}"

    return _NUMBER.sub(swap, text)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "").replace("$", ""))
    except ValueError:
        return None
