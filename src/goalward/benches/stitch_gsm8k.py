"""`goalward bench stitch-gsm8k DIR`: what can be stitched from four models' recorded solutions of GSM8K's test problems.

Data: `solutions.jsonl` of openai/grade-school-math, one solution by each of four models for each of 1,319 problems.
Merge: the beginning of one solution before the end of another where both have computed the same values. It makes
new ways to an answer, never a new answer. Graft: a value of one solution put into another, and all that follows
computed anew. It makes new answers, and proposes only: a selector must choose. Both stand beside a control with
the same number of joins that means nothing: ends joined where the values differ, and donors from another problem.
Problems are split in two halves, so that what is read off one can be checked on the other.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from goalward.errors import UsageError
from goalward.experience.equations import Equation, Graft, Worked, close, grafts, numbers, read_worked
from goalward.experience.stitch import Stitched, splices
from goalward.feedback.answers import final_number
from goalward.runs.files import read_jsonl

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem and its recorded solutions."""

    question: str
    truth: float
    solutions: tuple[Worked, ...]

    @property
    def solved(self) -> bool:
        """Whether a recorded solution is right."""
        return any(worked.correct for worked in self.solutions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Counts of distinct equation sequences.

    logged: right ones in the log; new: that are not in the log; right: new ones whose answer is right, whose
    every equation holds, and whose end uses no value that was computed only in what was cut off it;
    failed: right ones that begin with a failed solution; problems, solved: with new, right ones.
    """

    logged: int
    new: int
    right: int
    failed: int
    problems: int
    solved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grafted:
    """Over the problems that no recorded solution solves.

    reached: the truth is among the candidates; chosen: it is the one most often come to; candidates: a problem's,
    on average; equations, held: how many were made, and how many of them hold.
    """

    unsolved: int
    reached: int
    chosen: int
    candidates: float
    equations: int
    held: int


def read_problems(folder: Path) -> list[Problem]:
    """The problems in `folder`. Raises UsageError where they cannot be read, naming the line."""
    path = folder / "solutions.jsonl" if folder.is_dir() else folder
    problems = []
    for line, row in read_jsonl(path):
        where = f"{path}, line {line}"
        for column in ("question", "ground_truth"):
            if not isinstance(row.get(column), str):
                raise UsageError(f"{where}: there is no text {column!r}")
        truth = final_number(row["ground_truth"])
        if truth is None:
            raise UsageError(f"{where}: the ground truth has no number for an answer")
        problems.append(
            Problem(
                question=row["question"],
                truth=float(truth),
                solutions=tuple(_solution(row, model, where) for model in MODELS),
            )
        )
    if not problems:
        raise UsageError(f"{path}: there are no rows in it")
    return problems


def merge(problems: Sequence[Problem], *, null: bool = False) -> Merge:
    """Strict merge; with `null`, ends are joined where the computed values differ."""
    logged = new = right = failed = with_new = with_right = 0
    for number, problem in enumerate(problems):
        recorded = {worked.equations for worked in problem.solutions}
        logged += len({worked.equations for worked in problem.solutions if worked.correct})
        made: dict[tuple[Equation, ...], list[Join]] = {}
        for join in _mismatched(problem, number) if null else _joined(problem):
            if join.equations not in recorded:
                made.setdefault(join.equations, []).append(join)
        good = [
            [join for join in joins if join.end.correct and join.coherent(problem.question)]
            for equations, joins in made.items()
            if all(equation.holds for equation in equations)
        ]
        new += len(made)
        right += sum(bool(joins) for joins in good)
        failed += sum(any(not join.begun.correct for join in joins) for joins in good)
        with_new += bool(made)
        with_right += any(good)
    return Merge(logged=logged, new=new, right=right, failed=failed, problems=with_new, solved=with_right)


def graft(problems: Sequence[Problem], *, null: bool = False, seed: int = 0) -> Grafted:
    """Graft with re-execution on the unsolved problems; with `null`, values come from another problem's solutions."""
    unsolved = [problem for problem in problems if not problem.solved]
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(unsolved))
    other = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    reached = chosen = equations = held = 0
    sizes = []
    for number, problem in enumerate(unsolved):
        donors = unsolved[other[number]].solutions if null else problem.solutions
        made = list(_grafts(problem, donors))
        if null:  # no more chances than the real donors give
            real = sum(1 for _ in _grafts(problem, problem.solutions))
            made = [made[i] for i in sorted(generator.permutation(len(made))[:real].tolist())]
        votes = Counter(round(each.answer, 4) for each in made)
        sizes.append(len(votes))
        reached += any(close(answer, problem.truth) for answer in votes)
        chosen += bool(votes) and close(votes.most_common(1)[0][0], problem.truth)
        computed = [equation for each in made for equation in each.equations]
        equations += len(computed)
        held += sum(equation.holds for equation in computed)
    return Grafted(
        unsolved=len(unsolved),
        reached=reached,
        chosen=chosen,
        candidates=float(np.mean(sizes)) if sizes else 0.0,
        equations=equations,
        held=held,
    )


def study(problems: Sequence[Problem], nulls: int = 3) -> dict[str, dict[str, dict[str, float]]]:
    """Merge and graft with their controls, on all problems and on either half: part -> row -> counts.

    The controls of grafting are a mean over `nulls` ways to pair problems with others.
    """
    first, second = halves(problems)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for part, chosen in (("all", problems), ("half A", first), ("half B", second)):
        controls = [asdict(graft(chosen, null=True, seed=seed)) for seed in range(nulls)]
        found[part] = {
            "merge": asdict(merge(chosen)),
            "merge, null": asdict(merge(chosen, null=True)),
            "graft": asdict(graft(chosen)),
            "graft, null": {name: float(np.mean([c[name] for c in controls])) for name in controls[0]},
        }
    return found


def tables(found: dict[str, dict[str, dict[str, float]]]) -> list[Table]:
    """The study, for people."""
    merged = Table(
        "merge", "new", "right", "share", "from a failed beginning", "problems", "right ones logged"
    )
    grafted = Table(
        "graft",
        "unsolved",
        "truth reached",
        "share",
        "chosen by count",
        "candidates each",
        "equations that hold",
    )
    for part, rows in found.items():
        for name in ("merge", "merge, null"):
            row = rows[name]
            merged.add_row(
                f"{name}: {part}",
                f"{row['new']:,.0f}",
                f"{row['right']:,.0f}",
                f"{row['right'] / max(row['new'], 1):.1%}",
                f"{row['failed']:,.0f}",
                f"{row['solved']:,.0f}",
                f"{row['logged']:,.0f}",
            )
        for name in ("graft", "graft, null"):
            row = rows[name]
            grafted.add_row(
                f"{name}: {part}",
                f"{row['unsolved']:,.0f}",
                f"{row['reached']:,.1f}",
                f"{row['reached'] / max(row['unsolved'], 1):.1%}",
                f"{row['chosen']:,.1f}",
                f"{row['candidates']:,.1f}",
                f"{row['held'] / max(row['equations'], 1):.2%}",
            )
    return [merged, grafted]


def halves(problems: Sequence[Problem], seed: int = 0) -> tuple[list[Problem], list[Problem]]:
    """The problems in two halves, by chance."""
    order = np.random.default_rng(seed).permutation(len(problems)).tolist()
    middle = len(order) // 2
    return [problems[i] for i in sorted(order[:middle])], [problems[i] for i in sorted(order[middle:])]


def example(problems: Sequence[Problem]) -> tuple[Problem, Stitched, Worked, Worked] | None:
    """A short stitched solution that is right, and begins with a failed one and ends with a success."""
    best: tuple[int, Problem, Stitched, Worked, Worked] | None = None
    for problem in problems:
        by_name = {worked.name: worked for worked in problem.solutions}
        recorded = {worked.equations for worked in problem.solutions}
        for stitched, first, second in splices([w.trajectory() for w in problem.solutions], bool):
            begun, end = by_name[first.name], by_name[second.name]
            equations = _equations(stitched)
            if begun.correct or not end.correct or equations in recorded or len(stitched.pieces) != 2:
                continue
            if stitched.pieces[0][1] == len(
                begun.equations
            ):  # the beginning should leave something to do better
                continue
            size = sum(len(equation.text) for equation in equations) + len(end.ending)
            if all(equation.holds for equation in equations) and (best is None or size < best[0]):
                best = (size, problem, stitched, begun, end)
    return None if best is None else best[1:]


def _solution(row: dict[str, Any], model: str, where: str) -> Worked:
    found = row.get(model)
    if (
        not isinstance(found, dict)
        or not isinstance(found.get("solution"), str)
        or not isinstance(found.get("is_correct"), bool)
    ):
        raise UsageError(f"{where}: {model!r} should have a text 'solution' and 'is_correct'")
    return read_worked(model, found["solution"], correct=found["is_correct"])


@dataclass(frozen=True, slots=True)
class Join:
    """The first `i` equations of one solution, and those of another from its `j`-th on."""

    begun: Worked
    i: int
    end: Worked
    j: int

    @property
    def equations(self) -> tuple[Equation, ...]:
        """What they make."""
        return self.begun.equations[: self.i] + self.end.equations[self.j :]

    def coherent(self, question: str) -> bool:
        """Whether the end uses no value that only the part cut off it had computed."""
        lost = {e.value for e in self.end.equations[: self.j]} - {e.value for e in self.equations[: self.i]}
        used = set[float]().union(*(numbers(e.expression) for e in self.end.equations[self.j :]))
        return not used & lost - numbers(question)


def _joined(problem: Problem) -> Iterator[Join]:
    """Joins where both have computed the same values, and some."""
    by_name = {worked.name: worked for worked in problem.solutions}
    for stitched, first, second in splices([w.trajectory() for w in problem.solutions], bool):
        i = sum(name == first.name for name, _ in stitched.sources)
        j = len(second.steps) - (len(stitched.sources) - i)
        yield Join(by_name[first.name], i, by_name[second.name], j)


def _mismatched(problem: Problem, number: int) -> Iterator[Join]:
    """As many joins as `_joined` makes, at places where the computed values differ."""
    wanted = sum(1 for _ in _joined(problem))
    places = [
        Join(begun, i, end, j)
        for begun in problem.solutions
        for end in problem.solutions
        if begun is not end
        for i in range(1, len(begun.equations) + 1)
        for j in range(1, len(end.equations) + 1)
        if {e.value for e in begun.equations[:i]} != {e.value for e in end.equations[:j]}
    ]
    order = np.random.default_rng(number).permutation(len(places))[:wanted]
    yield from (places[index] for index in order)


def _grafts(problem: Problem, donors: Sequence[Worked]) -> Iterator[Graft]:
    for host in problem.solutions:
        for donor in donors:
            if donor.name != host.name:
                yield from grafts(host, donor)


def _equations(stitched: Stitched) -> tuple[Equation, ...]:
    return tuple(step.edge for step in stitched.steps if isinstance(step.edge, Equation))
