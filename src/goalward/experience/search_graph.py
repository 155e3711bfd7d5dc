"""What a search looked at: its AND/OR graph as plain values, and the part of it that a page has room for."""

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from goalward.experience.search import Branch, Node, Search

State = Literal["proved", "given up", "open", "waiting"]
"""Of a goal; waiting: nobody has looked at it yet."""


def state(node: Node) -> State:
    """What is known of a goal."""
    if node.by:
        return "proved"
    if node.dead:
        return "given up"
    return "waiting" if node.branches is None else "open"


def visits(node: Node) -> int:
    """How often the search came to a goal: to look at it, and on its way to others."""
    return node.visits + (node.branches is not None)


def proof_nodes(found: Search) -> set[Node]:
    """The goals of the proof; none where there is no proof."""
    nodes: set[Node] = set()
    todo = [found.root]
    while todo:
        node = todo.pop()
        if node.by and node not in nodes:
            nodes.add(node)
            todo += node.by.nodes
    return nodes if found.root.by else set()


def graph(found: Search) -> dict[str, Any]:
    """The whole graph, for machines; the statement's goal comes first, and tactics name goals by their place.

    left: tactics that the search still expects before the goal is proved (by its own measure).
    """
    place = {node: index for index, node in enumerate(found.nodes.values())}
    proof = proof_nodes(found)
    return {
        "statement": str(found.statement),
        "proved": found.root.by is not None,
        "expansions": found.expansions,
        "goals": [
            {
                "goal": str(node.goal),
                "state": state(node),
                "visits": visits(node),
                "left": 0.0 if node.by else node.left,
                "in_proof": node in proof,
                "tactics": [
                    {
                        "tactic": branch.text,
                        "prior": branch.prior,
                        "visits": branch.visits,
                        "goals": [place[each] for each in branch.nodes],
                        "in_proof": node in proof and branch is node.by,
                    }
                    for branch in node.branches or ()
                ],
            }
            for node in place
        ],
    }


@dataclass(slots=True, eq=False)
class Twig:
    """A goal in the tree that is drawn. in_proof: the proof goes by it; again: it stands elsewhere in full."""

    node: Node
    in_proof: bool
    again: bool = False
    tactics: list["Fork"] = field(default_factory=list)

    @property
    def hidden(self) -> int:
        """How many of its tactics are not drawn."""
        return 0 if self.again else len(self.node.branches or ()) - len(self.tactics)


@dataclass(slots=True, eq=False)
class Fork:
    """A tactic in the tree, and the goals that it leaves."""

    branch: Branch
    in_proof: bool
    goals: list[Twig]


@dataclass(frozen=True, slots=True)
class Tree:
    """root: the statement's goal; drawn: how many of the graph's goals stand in the tree."""

    root: Twig
    drawn: int


def prune(found: Search, most: int) -> Tree:
    """The proof, whole, and beside it at most `most` goals in all: where the search has been most, the likelier first."""
    proof = proof_nodes(found)
    root = Twig(found.root, found.root in proof)
    drawn = {root.node: root}
    order = count()
    waiting: list[tuple[bool, int, float, int, Twig, Branch]] = []

    def offer(twig: Twig) -> None:
        for branch in twig.node.branches or ():
            by_proof = twig.in_proof and branch is twig.node.by
            heapq.heappush(waiting, (not by_proof, -branch.visits, -branch.prior, next(order), twig, branch))

    offer(root)
    places = 1
    while waiting:
        aside, _, _, _, twig, branch = heapq.heappop(waiting)
        room = max(len(branch.nodes), 1)
        if aside and places + room > most:
            continue
        places += room
        goals = []
        for node in branch.nodes:
            goals.append(Twig(node, not aside, again=node in drawn))
            if node not in drawn:
                drawn[node] = goals[-1]
                offer(goals[-1])
        twig.tactics.append(Fork(branch, not aside, goals))
    return Tree(root, len(drawn))
