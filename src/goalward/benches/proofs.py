"""set.mm's closed propositional theorems: what needs no learning, and what models add at equal expansions."""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

import numpy as np
from rich.table import Table

from goalward.errors import UsageError
from goalward.evaluation.statistics import Interval, bootstrap
from goalward.experience.prover import PolicyGuide
from goalward.experience.search import SearchSettings, search
from goalward.experience.walks import walks
from goalward.formal.export import lean_statement, lean_term
from goalward.formal.formula import Formula
from goalward.formal.lean import Job
from goalward.formal.lean_find import find_lean
from goalward.formal.metamath import shipped
from goalward.formal.proof import Proof, read_script, statement_goal, verify
from goalward.formal.tactics import Goal, moves
from goalward.models.load import ModelConfig, load_policy
from goalward.types import BoolArray

BUDGETS = (16, 64)
METHODS: tuple[Literal["best_first", "puct"], ...] = ("best_first", "puct")
LONGEST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One way to look for proofs. hard: of the theorems that neither control proves, how many it does."""

    name: str
    proved: Interval
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All lines; judged: proofs that the kernel accepted, all; lean: what Lean said to them; hard: how many are."""

    lines: list[Line]
    hard: int
    judged: int
    lean: str


def study(models: Sequence[str], attempts: int, most: int, say: Callable[[str], None] = print) -> Study:
    """Controls, and each model's walk and searches. Every proof goes through the kernel, and through Lean if there is one."""
    statements = [theorem.statement for theorem in shipped()]
    proofs: list[tuple[Formula, Proof]] = []
    say("random tactics")
    luck = random.Random(0)  # noqa: S311
    tries = np.array([[random_walk(one, luck) for _ in range(attempts)] for one in statements])
    say("search by size")
    spent = np.array([by_size(one, most) or most + 1 for one in statements])
    rows: list[tuple[str, BoolArray]] = [
        ("random tactics, 1 attempt", tries[:, 0]),
        (f"random tactics, {attempts} attempts", np.asarray(tries.any(1), np.bool_)),
    ]
    rows += [(f"best first by size, {budget}", np.asarray(spent <= budget)) for budget in (*BUDGETS, most)]
    hard = ~tries.any(1) & (spent > most)
    for model in models:
        guide = PolicyGuide(load_policy(ModelConfig(name=model)))
        say(f"{model}: one attempt")
        scripts = walks(statements, guide, longest=LONGEST)
        found = [
            read_script(s, "\n".join(t)) if t else None for s, t in zip(statements, scripts, strict=True)
        ]
        rows.append((f"{model}: one attempt", np.array([each is not None for each in found])))
        for method in METHODS:
            for budget in BUDGETS:
                say(f"{model}: {method}, {budget}")
                settings = SearchSettings(budget=budget, method=method)
                each = [one.proof for one in search(statements, guide, settings)]
                rows.append((f"{model}: {method}, {budget}", np.array([one is not None for one in each])))
                found += each
        proofs += [(s, one) for s, one in zip(statements * 5, found, strict=True) if one is not None]
    say("the judges")
    terms = [(statement, verify(statement, proof)) for statement, proof in proofs]
    return Study(
        lines=[Line(name=name, proved=bootstrap(won), hard=int((won & hard).sum())) for name, won in rows],
        hard=int(hard.sum()),
        judged=len(terms),
        lean=ask_lean([Job(statement=lean_statement(s), body=lean_term(t, s)) for s, t in terms]),
    )


def random_walk(statement: Formula, luck: random.Random) -> bool:
    """Whether tactics that apply, drawn at random, prove it."""
    goals = [statement_goal(statement)]
    for _ in range(LONGEST):
        tactics = [move for _, move in moves(goals[0])]
        if not tactics:
            return False
        goals = [*luck.choice(tactics).goals, *goals[1:]]
        if not goals:
            return True
    return False


def by_size(statement: Formula, most: int) -> int | None:
    """How many expansions best-first search needs that goes on where the open goals are smallest; None: over `most`."""
    start: tuple[Goal, ...] = (statement_goal(statement),)
    order = count()
    waiting, seen = [(0, next(order), start)], {start}
    for spent in range(1, most + 1):
        if not waiting:
            return None
        _, _, goals = heapq.heappop(waiting)
        for _, move in moves(goals[0]):
            left = tuple(dict.fromkeys(move.goals + goals[1:]))
            if not left:
                return spent
            if left not in seen:
                seen.add(left)
                heapq.heappush(waiting, (sum(goal.size for goal in left), next(order), left))
    return None


def ask_lean(jobs: Sequence[Job]) -> str:
    """How many proofs Lean accepts, in words; or why it was not asked."""
    try:
        lean = find_lean()
    except UsageError as error:
        return f"not asked: {error}"
    verdicts = lean.check(list(dict.fromkeys(jobs)))
    accepted = sum(verdict.status == "ok" for verdict in verdicts)
    return f"accepted {accepted} of {len(verdicts)} distinct proofs"


def table(found: Study) -> Table:
    """The lines, and the judges' words below."""
    drawn = Table(
        title="set.mm's 687 closed propositional theorems",
        caption=f"hard: of the {found.hard} that no control proves. Kernel: accepted all {found.judged}; Lean: {found.lean}",
    )
    for column in ("way", "proved", "95 %", "hard"):
        drawn.add_column(column, justify="left" if column == "way" else "right", overflow="fold")
    for line in found.lines:
        interval = line.proved
        drawn.add_row(
            line.name, f"{interval.mean:.1%}", f"{interval.low:.1%} to {interval.high:.1%}", str(line.hard)
        )
    return drawn
