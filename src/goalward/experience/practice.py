"""Expert iteration on theorems: search for proofs, and learn what the search found (AlphaZero's loop, on statements).

Everything that a search settles is a lesson: for each goal that was proved, the tactic of its shortest proof and how
many tactics that has; for goals that a countermodel refutes, that there is no proof. Nothing else is learned from.
Before the first step, when the policy knows nothing, every statement is searched by size, which costs next to
nothing; then the policy practises on those that this did not prove, and now and then on the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from goalward.experience.by_size import BySize, search_by_size
from goalward.experience.demonstrations import recorded
from goalward.experience.graph import Best, Graph, shortest_proofs
from goalward.experience.prover import goal_messages, value_text
from goalward.experience.search import Guide, Search, SearchSettings, canonical_goal, holds, searches
from goalward.formal.formula import Formula, canonical, parse
from goalward.formal.proof import statement_goal
from goalward.formal.tactics import Goal
from goalward.models.chat import Chat
from goalward.models.prover import STEPS
from goalward.types import Feedback, Group, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeSettings:
    """How a policy practises.

    search: how it looks for proofs; first: expansions of the search by size at each statement before the first step;
    lessons: goals that a step learns from, half of them from its own searches and the rest from all before;
    refuted: goals without a proof for each goal with one; per_statement: most lessons that one search gives, those
    of the statement's own proof before others;
    bored, baffled: how often statements are drawn that were proved, or not, when last tried, where an untried one
    counts 1 (AlphaProof's matchmaker).
    """

    search: SearchSettings = field(
        default_factory=lambda: SearchSettings(budget=32, method="puct", refute=True)
    )
    first: int = 300
    lessons: int = 8192
    refuted: float = 0.5
    per_statement: int = 24
    bored: float = 0.05
    baffled: float = 0.1


class Lesson(NamedTuple):
    """A goal, its shortest proof's first tactic (None: it has no proof), and how many tactics that proof has."""

    goal: Goal
    tactic: str | None
    steps: int


class Practice:
    """Searches for proofs, and the lessons in them (an Experience that remembers)."""

    def __init__(
        self,
        statements: Sequence[Formula],
        guide: Guide,
        chat: Chat,
        settings: PracticeSettings,
        *,
        seed: int,
    ) -> None:
        self.cursor = 0
        self.noticed: dict[str, float] = {}
        self._statements = [canonical(one) for one in statements]
        self._guide = guide
        self._chat = chat
        self._settings = settings
        self._seed = seed
        self._known: dict[Goal, Lesson] = {}
        self._weights = np.ones(len(statements))
        self._luck = np.random.default_rng(seed)

    def __len__(self) -> int:
        """The number of statements."""
        return len(self._statements)

    def collect(self, count: int, *, version: int) -> list[Group]:
        """Search for proofs of `count` statements; a group for each goal to learn from: its tactic, and its value."""
        self._luck = np.random.default_rng([self._seed, self.cursor])
        if version > 0:
            return self.study(self.search(count), version=version)
        self.cursor += count
        return self.study(self._first(), version=version)

    def search(self, count: int) -> Iterator[tuple[int, Search]]:
        """Search for proofs of `count` statements, the less decided the likelier; each one's place, and its search."""
        self._luck = np.random.default_rng([self._seed, self.cursor])
        self.cursor += count
        chosen = self._draw(min(count, len(self)))
        statements = [self._statements[place] for place in chosen]
        return ((chosen[at], one) for at, one in searches(statements, self._guide, self._settings.search))

    def study(self, found: Iterable[tuple[int | None, BySize | Search]], *, version: int) -> list[Group]:
        """What there is to learn from searches, and from what was remembered: a group for each goal.

        found: with each search the place of its statement, None for one that is not among those practised on.
        """
        fresh: dict[Goal, Lesson] = {}
        proved, expansions = [], []
        for place, one in found:
            proved.append(one.proved)
            expansions.append(one.expansions)
            if place is not None:
                self._weights[place] = self._weight(one.proved, first=version == 0)
            for lesson in lessons(
                one.graph,
                statement_goal(one.statement),
                most=self._settings.per_statement,
                refuted=self._settings.refuted,
                rng=self._luck,
            ):
                remember(fresh, lesson)
        for lesson in fresh.values():
            remember(self._known, lesson)
        self.noticed = {
            "proved": float(np.mean(proved)),
            "expansions": float(np.mean(expansions)),
            "lessons": float(len(fresh)),
            "remembered": float(len(self._known)),
        }
        new = _some(list(fresh.values()), self._settings.lessons // 2, self._luck)
        old = _some(list(self._known.values()), self._settings.lessons - len(new), self._luck)
        return [self._group(lesson, version) for lesson in {each.goal: each for each in new + old}.values()]

    def memory(self) -> dict[str, Any]:
        """What a checkpoint holds of it, as plain values."""
        known = [
            [[str(one) for one in goal.hypotheses], str(goal.target), tactic, steps]
            for goal, tactic, steps in self._known.values()
        ]
        return {"known": known, "weights": self._weights.tolist()}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Go on from a saved `memory`."""
        for hypotheses, target, tactic, steps in memory["known"]:
            goal = Goal(tuple(map(parse, hypotheses)), parse(target))
            self._known[goal] = Lesson(goal, tactic, steps)
        self._weights = np.array(memory["weights"])

    def _first(self) -> Iterator[tuple[int, BySize]]:
        return (
            (place, search_by_size(one, self._settings.first)) for place, one in enumerate(self._statements)
        )

    def _weight(self, proved: bool, *, first: bool) -> float:
        if proved:
            return self._settings.bored
        return 1.0 if first else self._settings.baffled

    def _draw(self, count: int) -> list[int]:
        """Numbers of statements, the more interesting the likelier."""
        share = self._weights / self._weights.sum()
        drawn: list[int] = self._luck.choice(len(self), count, replace=False, p=share).tolist()
        return drawn

    def _group(self, lesson: Lesson, version: int) -> Group:
        said = [value_text(lesson.steps), *([] if lesson.tactic is None else [lesson.tactic])]
        messages = goal_messages(lesson.goal)
        return Group(
            task=Task(id=str(lesson.goal), messages=messages),
            rollouts=tuple(
                recorded(self._chat.prompt(messages), self._chat.completion(text), text, version)
                for text in said
            ),
            feedback=(Feedback(score=None),) * len(said),
        )


def remember(known: dict[Goal, Lesson], lesson: Lesson) -> None:
    """Keep the shorter proof of a goal."""
    before = known.get(lesson.goal)
    if before is None or lesson.steps < before.steps:
        known[lesson.goal] = lesson


def lessons(graph: Graph, root: Goal, *, most: int, refuted: float, rng: np.random.Generator) -> list[Lesson]:
    """What a search for `root` teaches, at most `most` goals with a proof."""
    shortest = shortest_proofs(graph)
    own = list(dict.fromkeys(_path(root, shortest)))[:most] if root in shortest else []
    others = [goal for goal in shortest if goal not in set(own)]
    proved = own + [others[i] for i in sorted(rng.permutation(len(others))[: most - len(own)].tolist())]
    open_goals = [
        goal
        for goal in {each: None for branches in graph.values() for _, goals in branches for each in goals}
        if goal not in shortest
    ]
    wanted = int(np.ceil(refuted * max(len(proved), 2)))
    looked_at = rng.permutation(len(open_goals))[: 2 * wanted].tolist()
    wrong = [open_goals[i] for i in looked_at if not holds(open_goals[i])][:wanted]
    return [
        *(Lesson(canonical_goal(goal), shortest[goal].tactic, shortest[goal].size) for goal in proved),
        *(Lesson(canonical_goal(goal), None, STEPS - 1) for goal in wrong),
    ]


def _path(root: Goal, shortest: Mapping[Goal, Best]) -> Iterator[Goal]:
    """The goals that the shortest proof of `root` meets."""
    yield root
    for goal in shortest[root].goals:
        yield from _path(goal, shortest)


def _some(lessons: list[Lesson], most: int, rng: np.random.Generator) -> list[Lesson]:
    if len(lessons) <= most:
        return lessons
    return [lessons[i] for i in rng.choice(len(lessons), most, replace=False)]
