"""Search for proofs over an AND/OR graph: what a model guesses, tried out against the rules of proof.

A goal is proved if some tactic's goals all are (OR over tactics, AND over their goals). The graph holds each goal
once, however it was come by; a path that would come back to itself is never taken. Searches for many statements run
side by side, so that the model is asked about all their goals at once. Expanding a goal, which asks the model once,
is the unit of cost.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple, Protocol

from goalward.experience.graph import Graph
from goalward.formal.formula import Formula, atom, atoms, canonical_names, implies, is_tautology, substitute
from goalward.formal.proof import Proof, statement_goal
from goalward.formal.tactics import Goal, Move, moves


class Appraisal(NamedTuple):
    """What a guide makes of a goal: how good each of its tactics is, summing to 1, and how many are left to its proof."""

    prior: Sequence[float]
    steps: float


class Guide(Protocol):
    """Whom a search asks."""

    def __call__(self, goals: Sequence[Goal], tactics: Sequence[Sequence[str]]) -> list[Appraisal]:
        """Appraise goals, each with the tactics that apply to it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How to search.

    budget: goals to expand. method: "best_first" goes where -log prior of the tactics so far, plus `distance` for
    each that the guide still expects, is least; "puct" balances expected steps against tactics little tried
    (AlphaZero's rule on AlphaProof's graph): `discount` a step turns expected steps into a value in (0, 1],
    `exploration` weighs the bonus for the prior.
    "walk" has no way back: one tactic at each goal, at most `budget`.
    refute: give up a goal at once where values of its variables refute it. For practice: a search that is measured
    goes without.
    """

    budget: int = 64
    method: Literal["best_first", "puct", "walk"] = "best_first"
    distance: float = 1.0
    discount: float = 0.9
    exploration: float = 1.0
    refute: bool = False


class Branch:
    """A tactic at a goal, and the goals that it leaves. cost: -log prior."""

    __slots__ = ("cost", "nodes", "prior", "text", "visits")

    def __init__(self, text: str, prior: float, nodes: tuple["Node", ...]) -> None:
        self.text = text
        self.prior = prior
        self.cost = -math.log(max(prior, 1e-9))
        self.nodes = nodes
        self.visits = 0


class Node:
    """A goal in the graph.

    branches: None until it is expanded; left: the cost that is still expected; by: the branch that proved it;
    dead: there is nothing to try, or all that there is needs something dead.
    """

    __slots__ = ("branches", "by", "dead", "goal", "left", "parents", "visits")

    def __init__(self, goal: Goal, left: float) -> None:
        self.goal = goal
        self.branches: list[Branch] | None = None
        self.by: Branch | None = None
        self.dead = False
        self.left = left
        self.visits = 0
        self.parents: list[Node] = []

    @property
    def proof(self) -> Proof:
        """Its proof, once it is proved."""
        assert self.by is not None
        return Proof(self.by.text, tuple(node.proof for node in self.by.nodes))


class Found(NamedTuple):
    """What a search came to: a proof that the kernel has still to see, or None, and what it cost."""

    proof: Proof | None
    expansions: int


class Search:
    """The search for one statement's proof. It can be stopped after any expansion."""

    def __init__(self, statement: Formula, settings: SearchSettings) -> None:
        self.statement = statement
        self.expansions = 0
        self.nodes: dict[Goal, Node] = {}
        self._settings = settings
        self._path: list[Node] = []
        self.root = self._node(statement_goal(statement), 0.0)

    @property
    def proof(self) -> Proof | None:
        """What was found so far: every tactic applies, and the kernel is still to be asked."""
        return self.root.proof if self.root.by else None

    @property
    def proved(self) -> bool:
        """Whether the statement was."""
        return self.root.by is not None

    @property
    def graph(self) -> Graph:
        """All goals that were expanded, and what each tactic made of them."""
        return {
            node.goal: [(branch.text, [each.goal for each in branch.nodes]) for branch in node.branches]
            for node in self.nodes.values()
            if node.branches is not None
        }

    @property
    def over(self) -> bool:
        """Whether nothing is left to try, or to pay with."""
        return bool(self.root.by) or self.root.dead or self.expansions >= self._settings.budget

    def leaf(self) -> Node | None:
        """The goal to expand next; None where the way there ended in a circle, which costs an expansion too."""
        self._path = [node := self.root]
        while node.branches is not None:
            best = self._choose(node)
            if best is None:
                node.left += 2 * self._settings.distance
                self.expansions += 1
                self._look_back()
                return None
            node.visits += 1
            best.visits += 1
            node = max((each for each in best.nodes if not each.by), key=lambda each: each.left)
            self._path.append(node)
        return node

    def expand(self, node: Node, tactics: Sequence[tuple[str, Move]], found: Appraisal) -> None:
        """Grow the graph at the leaf that `leaf` gave."""
        self.expansions += 1
        left = max(found.steps - 1, 1.0) * self._settings.distance  # until a goal is looked at itself
        node.branches = []
        for (text, move), prior in zip(tactics, found.prior, strict=True):
            share = left / max(len(move.goals), 1)
            branch = Branch(text, prior, tuple(self._node(goal, share) for goal in move.goals))
            node.branches.append(branch)
            for each in branch.nodes:
                each.parents.append(node)
        self._settle(node)
        self._look_back()

    def _node(self, goal: Goal, left: float) -> Node:
        key = canonical_goal(goal)
        if key not in self.nodes:
            node = self.nodes[key] = Node(key, left)
            node.dead = self._settings.refute and not holds(key)
        return self.nodes[key]

    def _choose(self, node: Node) -> Branch | None:
        assert node.branches is not None
        best, best_score = None, -math.inf
        for branch in node.branches:
            if any(each.dead or each in self._path for each in branch.nodes):
                continue
            score = self._score(node, branch)
            if score > best_score:
                best, best_score = branch, score
        return best

    def _score(self, node: Node, branch: Branch) -> float:
        if self._settings.method != "puct":
            return -self._cost(branch)
        value: float = self._settings.discount ** (1 + _still(branch))
        bonus = branch.prior * math.sqrt(node.visits + 1) / (1 + branch.visits)
        return value + self._settings.exploration * bonus

    def _cost(self, branch: Branch) -> float:
        """What a branch is expected to cost from here."""
        return (branch.cost if self._settings.method == "best_first" else 1.0) + _still(branch)

    def _look_back(self) -> None:
        """What the newest leaf has changed for those before it on the path."""
        for node in reversed(self._path):
            alive = [
                self._cost(branch)
                for branch in node.branches or ()
                if not any(each.dead for each in branch.nodes)
            ]
            if alive:
                node.left = min(alive)

    def _settle(self, node: Node) -> None:
        """Mark what the newest leaf has proved, or shown to be without proof, and all that follows."""
        todo = [node]
        while todo:
            one = todo.pop()
            if one.by or one.dead or one.branches is None:
                continue
            one.by = next((b for b in one.branches if all(each.by for each in b.nodes)), None)
            one.dead = one.by is None and all(any(e.dead for e in b.nodes) for b in one.branches)
            if one.by or one.dead:
                todo += one.parents


def search(
    statements: Sequence[Formula], guide: Guide, settings: SearchSettings, *, side_by_side: int = 256
) -> list[Search]:
    """Search for a proof of each statement; all that was looked at stays in memory."""
    found = dict(searches(statements, guide, settings, side_by_side=side_by_side))
    return [found[place] for place in range(len(statements))]


def find_proofs(statements: Sequence[Formula], guide: Guide, settings: SearchSettings) -> list[Found]:
    """Search for a proof of each statement, and keep no more than what was found."""
    found = {place: Found(one.proof, one.expansions) for place, one in searches(statements, guide, settings)}
    return [found[place] for place in range(len(statements))]


def searches(
    statements: Sequence[Formula], guide: Guide, settings: SearchSettings, *, side_by_side: int = 256
) -> Iterator[tuple[int, Search]]:
    """Search for a proof of each statement, `side_by_side` at a time; each with its place as soon as it is over.

    What the caller does not keep is forgotten: of many long searches only those under way fill memory.
    """
    waiting = enumerate(Search(statement, settings) for statement in statements)
    active = list(islice(waiting, side_by_side))
    while active:
        leaves = [(one, node) for _, one in active if not one.over and (node := one.leaf())]
        tactics = [list(moves(node.goal)) for _, node in leaves]
        texts = [[text for text, _ in each] for each in tactics]
        found = guide([node.goal for _, node in leaves], texts)
        for (one, node), each, appraisal in zip(leaves, tactics, found, strict=True):
            one.expand(node, each, appraisal)
        yield from ((place, one) for place, one in active if one.over)
        active = [(place, one) for place, one in active if not one.over]
        active += islice(waiting, side_by_side - len(active))


def holds(goal: Goal) -> bool:
    """Whether the target follows from the hypotheses, by truth table."""
    whole = goal.target
    for known in goal.hypotheses:
        whole = implies(known, whole)
    return is_tautology(whole)


def canonical_goal(goal: Goal) -> Goal:
    """The goal with its variables named p, q, r, ... as they first appear. The same tactics prove it."""
    names: dict[str, None] = {}
    for formula in (*goal.hypotheses, goal.target):
        for name in atoms(formula):
            names.setdefault(name)
    wanted = canonical_names(len(names))
    if tuple(names) == wanted:
        return goal
    by = dict(zip(names, map(atom, wanted), strict=True))
    return Goal(tuple(substitute(one, by) for one in goal.hypotheses), substitute(goal.target, by))


def _still(branch: Branch) -> float:
    return sum(each.left for each in branch.nodes if not each.by)
