"""Expert iteration on theorems: search for proofs, and learn what the search found (AlphaZero's loop, on statements).

Everything that a search settles is a lesson: for each goal that was proved, the tactic of its shortest proof and how
many tactics that has; for goals that a countermodel refutes, that there is no proof. Nothing else is learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from goalward.experience.prover import STEPS, goal_messages, value_text
from goalward.experience.search import Guide, Node, Search, SearchSettings, holds, search
from goalward.formal.formula import Formula
from goalward.formal.tactics import Goal
from goalward.models.chat import Chat
from goalward.types import Feedback, Group, Rollout, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeSettings:
    """How a policy practises.

    search: how proofs are looked for; first: by which method while the model knows nothing, which is before the
    first step; lessons: examples that a step learns from, half of them from its own searches and the rest from all
    before; refuted: goals without a proof for each goal with one; per_statement: most lessons that one search gives.
    """

    search: SearchSettings = field(default_factory=lambda: SearchSettings(budget=32))
    lessons: int = 4096
    refuted: float = 0.5
    per_statement: int = 48


class Lesson(NamedTuple):
    """A goal, its shortest proof's first tactic (None: it has no proof), and how many tactics that proof has."""

    goal: Goal
    tactic: str | None
    steps: int


def lessons(found: Search, *, most: int, refuted: float, rng: np.random.Generator) -> list[Lesson]:
    """What a search teaches, at most `most` goals with a proof."""
    shortest = shortest_proofs(found)
    proved = [Lesson(node.goal, text, size) for node, (text, size) in shortest.items()]
    if len(proved) > most:
        proved = [proved[i] for i in sorted(rng.choice(len(proved), most, replace=False))]
    open_goals = [node.goal for node in found.nodes.values() if not node.by]
    wanted = int(np.ceil(refuted * max(len(proved), 2)))
    looked_at = rng.permutation(len(open_goals))[: 2 * wanted].tolist()
    wrong = [open_goals[i] for i in looked_at if not holds(open_goals[i])][:wanted]
    return proved + [Lesson(goal, None, STEPS - 1) for goal in wrong]


def shortest_proofs(found: Search) -> dict[Node, tuple[str, int]]:
    """Of every goal that the search proved: the first tactic of its shortest proof in the graph, and its length."""
    size = {node: STEPS * STEPS for node in found.nodes.values() if node.by}
    best: dict[Node, tuple[str, int]] = {}
    changed = True
    while changed:
        changed = False
        for node in size:
            for branch in node.branches or ():
                if all(each.by for each in branch.nodes):
                    total = 1 + sum(size[each] for each in branch.nodes)
                    if total < size[node]:
                        size[node], best[node] = total, (branch.text, total)
                        changed = True
    return best
