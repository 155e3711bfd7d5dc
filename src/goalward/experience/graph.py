"""What a search for a proof has seen: goals, and what tactics made of them. The shortest proofs in it."""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple, TypeAlias

from goalward.formal.proof import Proof
from goalward.formal.tactics import Goal

Graph: TypeAlias = Mapping[Goal, Sequence[tuple[str, Sequence[Goal]]]]
"""Of each goal that was expanded: its tactics, each with the goals that it leaves."""


class Best(NamedTuple):
    """How the shortest proof of a goal begins, what that leaves, and how many tactics the whole proof has."""

    tactic: str
    goals: Sequence[Goal]
    size: int


def shortest_proofs(graph: Graph) -> dict[Goal, Best]:
    """The shortest proof of every goal that has one in the graph, the shorter first.

    Knuth's generalisation of Dijkstra's algorithm (1977): a tactic is ready once all its goals have their proofs, and
    the smallest proof that is ready is final. A goal that occurs twice in a proof is counted twice.
    """
    order = count()  # equally short ones in the order in which they came up, so that nothing hangs on chance
    users: dict[Goal, list[list[int]]] = defaultdict(list)
    ready: list[tuple[int, int, Goal, int]] = []
    waits: list[tuple[Goal, int]] = []  # the goal and the place of its tactic, by number
    for goal, branches in graph.items():
        for place, (_, goals) in enumerate(branches):
            if not goals:
                heapq.heappush(ready, (1, next(order), goal, place))
            else:
                state = [len(goals), 1, len(waits)]
                waits.append((goal, place))
                for each in goals:
                    users[each].append(state)
    found: dict[Goal, Best] = {}
    while ready:
        size, _, goal, place = heapq.heappop(ready)
        if goal in found:
            continue
        tactic, goals = graph[goal][place]
        found[goal] = Best(tactic, goals, size)
        for state in users[goal]:
            state[0] -= 1
            state[1] += size
            if state[0] == 0:
                heapq.heappush(ready, (state[1], next(order), *waits[state[2]]))
    return found


def proof_of(goal: Goal, shortest: Mapping[Goal, Best]) -> Proof:
    """The proof of a goal that has one."""
    best = shortest[goal]
    return Proof(best.tactic, tuple(proof_of(each, shortest) for each in best.goals))
