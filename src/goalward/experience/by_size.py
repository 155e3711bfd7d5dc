"""Search for proofs without a model: what learning has to beat, and its first teacher.

A state is all that is left to show. The smallest one is gone on with, at its first goal: best-first search by the
size of goals. Nothing is learned, so an expansion costs some thirty microseconds.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from goalward.experience.graph import Graph, proof_of, shortest_proofs
from goalward.formal.formula import Formula
from goalward.formal.proof import Proof, statement_goal
from goalward.formal.tactics import Goal, moves


@dataclass(frozen=True, slots=True)
class BySize:
    """What such a search found. proved: whether the statement was; graph: the goals that were expanded."""

    statement: Formula
    expansions: int
    proved: bool
    graph: Graph

    @property
    def proof(self) -> Proof | None:
        """The shortest in the graph: every tactic applies, and the kernel is still to be asked."""
        return proof_of(statement_goal(self.statement), shortest_proofs(self.graph)) if self.proved else None


def search_by_size(statement: Formula, budget: int) -> BySize:
    """Expand at most `budget` states, the smallest first, until nothing is left to show."""
    start: tuple[Goal, ...] = (statement_goal(statement),)
    order = count()
    waiting, seen = [(0, next(order), start)], {start}
    graph: dict[Goal, Sequence[tuple[str, tuple[Goal, ...]]]] = {}
    expansions = 0
    while waiting and () not in seen and expansions < budget:
        expansions += 1
        _, _, (goal, *rest) = heapq.heappop(waiting)
        if goal not in graph:
            graph[goal] = [(text, move.goals) for text, move in moves(goal)]
        for _, goals in graph[goal]:
            left = tuple(dict.fromkeys((*goals, *rest)))
            if left not in seen:
                seen.add(left)
                heapq.heappush(waiting, (sum(each.size for each in left), next(order), left))
    return BySize(statement, expansions, () in seen, graph)
