"""Expert iteration on theorems: search for proofs, and learn what the search found (AlphaZero's loop, on statements).

Everything that a search settles is a lesson: for each goal that was proved, the tactic of its shortest proof and how
many tactics that has; for goals that a countermodel refutes, that there is no proof. Nothing else is learned from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from goalward.experience.demonstrations import recorded
from goalward.experience.prover import goal_messages, value_text
from goalward.experience.search import Guide, Node, Search, SearchSettings, by_size, holds, search
from goalward.formal.formula import Formula, parse
from goalward.formal.tactics import Goal
from goalward.models.chat import Chat
from goalward.models.prover import STEPS
from goalward.types import Feedback, Group, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeSettings:
    """How a policy practises.

    search: how it looks for proofs; first: how proofs are looked for before the first step, when nothing is known;
    lessons: goals that a step learns from, half of them from its own searches and the rest from all before;
    refuted: goals without a proof for each goal with one; per_statement: most lessons that one search gives;
    bored, baffled: how often statements are drawn that were proved, or not, when last tried, where an untried one
    counts 1 (AlphaProof's matchmaker).
    """

    search: SearchSettings = field(default_factory=lambda: SearchSettings(budget=32, refute=True))
    first: SearchSettings = field(
        default_factory=lambda: SearchSettings(budget=64, refute=True, method="size")
    )
    lessons: int = 8192
    refuted: float = 0.5
    per_statement: int = 48
    bored: float = 0.001
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
        self._statements = statements
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
        return self.study(self.search(count, version=version), version=version)

    def search(self, count: int, *, version: int) -> list[Search]:
        """Search for proofs of `count` statements, the less decided the likelier."""
        self._luck = np.random.default_rng([self._seed, self.cursor])
        chosen = self._draw(min(count, len(self)))
        first = version == 0
        found = search(
            [self._statements[i] for i in chosen],
            by_size if first else self._guide,
            self._settings.first if first else self._settings.search,
        )
        self.cursor += count
        for i, one in zip(chosen, found, strict=True):
            self._weights[i] = self._settings.bored if one.proof else self._settings.baffled
        return found

    def study(self, found: Sequence[Search], *, version: int) -> list[Group]:
        """What there is to learn from searches, and from what was remembered: a group for each goal."""
        fresh: dict[Goal, Lesson] = {}
        for one in found:
            for lesson in lessons(
                one, most=self._settings.per_statement, refuted=self._settings.refuted, rng=self._luck
            ):
                remember(fresh, lesson)
        for lesson in fresh.values():
            remember(self._known, lesson)
        self.noticed = {
            "proved": float(np.mean([one.proof is not None for one in found])),
            "expansions": float(np.mean([one.expansions for one in found])),
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


def _some(lessons: list[Lesson], most: int, rng: np.random.Generator) -> list[Lesson]:
    if len(lessons) <= most:
        return lessons
    return [lessons[i] for i in rng.choice(len(lessons), most, replace=False)]
