"""Stitching: recorded attempts are cut where they meet, and joined into attempts that nobody made.

Two attempts meet in a state. A language model's state is its whole prefix, and there no two attempts ever meet
again, so whoever stitches says with a *key* what matters of a prefix: the node of a graph, the open goals of
a proof, the values computed so far. Attempts with equal keys share a node of the merged graph, and paths
through it, with their values, are dynamic programming. No torch here.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Source = tuple[str, int]
"""The name of a recorded attempt, and the number of one of its steps."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done (`edge`: tokens, a line of text, a tactic) in which state (`key`)."""

    key: Hashable
    edge: Hashable


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """A recorded attempt in steps, and what it earned at its end.

    final: the key behind the last step, where others may be joined to it (`splices` looks there).
    """

    name: str
    steps: tuple[Step, ...]
    score: float
    final: Hashable = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stitched:
    """An attempt made of recorded steps; `sources` says of each where it was taken from."""

    steps: tuple[Step, ...]
    sources: tuple[Source, ...]

    @property
    def pieces(self) -> list[tuple[Source, int]]:
        """Runs of steps that one attempt made one after the other: (where it begins, how many)."""
        runs: list[tuple[Source, int]] = []
        for name, number in self.sources:
            if runs and runs[-1][0] == (name, number - runs[-1][1]):
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append(((name, number), 1))
        return runs


END = "<end>"
"""The key after the last step."""


@dataclass(slots=True)
class _Edge:
    """All recorded steps with one key, one edge and one next key."""

    edge: Hashable
    after: Hashable
    sources: list[Source] = field(default_factory=list)
    earned: float = 0.0


class Merged:
    """The graph of all attempts, with counts as the behaviour policy pi_b."""

    def __init__(self, trajectories: Iterable[Trajectory]) -> None:
        self._edges: dict[Hashable, dict[tuple[Hashable, Hashable], _Edge]] = {}
        self.recorded: set[tuple[Hashable, ...]] = set()
        for trajectory in trajectories:
            self.recorded.add(_taken(trajectory.steps))
            after = [step.key for step in trajectory.steps[1:]] + [END]
            for number, (step, following) in enumerate(zip(trajectory.steps, after, strict=True)):
                # The end of a success and of a failure may look alike; a terminal's value is their mean.
                edges = self._edges.setdefault(step.key, {})
                edge = edges.setdefault((step.edge, following), _Edge(step.edge, following))
                edge.sources.append((trajectory.name, number))
                edge.earned += trajectory.score if following == END else 0.0

    @property
    def keys(self) -> list[Hashable]:
        """Every state that an attempt stood in, in the order of the log."""
        return list(self._edges)

    def values(self, temperature: float, tolerance: float = 1e-9) -> dict[Hashable, float]:
        """V of every key: what a policy earns that pays `temperature` x KL for leaving pi_b.

        V(k) = b log sum_e pi_b(e | k) exp((r_e + V(k')) / b), and V = 0 after the end, where the mean score is
        the last step's r. b -> 0 is the best path there is (hard stitching: Hepburn & Montana 2022,
        arXiv:2211.11603), b -> inf the mean of what was recorded, which is imitation. Sweeps until no value
        moves by more than `tolerance`; in a graph without cycles the second sweep is the last.
        """
        values: dict[Hashable, float] = dict.fromkeys(self._edges, 0.0) | {END: 0.0}
        order = self._backwards()
        for _ in range(len(order) + 1):
            moved = 0.0
            for key in order:
                scores, logs = self._scores(key, values, temperature)
                value = float(temperature * np.logaddexp.reduce(logs)) if temperature else float(scores.max())
                moved = max(moved, abs(value - values[key]))
                values[key] = value
            if moved <= tolerance:
                break
        return values

    def policy(
        self, key: Hashable, values: dict[Hashable, float], temperature: float
    ) -> list[tuple[Hashable, Hashable, float]]:
        """(edge, next key, probability) at `key`, in proportion to pi_b exp((r + V(k') - V(k)) / b)."""
        chances = self._chances(key, values, temperature)
        return [
            (edge.edge, edge.after, float(p))
            for edge, p in zip(self._edges[key].values(), chances, strict=True)
        ]

    def sample(
        self,
        start: Hashable,
        values: dict[Hashable, float],
        temperature: float,
        generator: np.random.Generator,
        longest: int = 1000,
    ) -> Stitched | None:
        """One path from `start` to an end, or None where it took more than `longest` steps (a cycle).

        A step's source is the attempt that the step before came from where that one went on so, else any.
        """
        steps: list[Step] = []
        sources: list[Source] = []
        key = start
        while key != END:
            if len(steps) == longest:
                return None
            edges = list(self._edges[key].values())
            chosen = edges[generator.choice(len(edges), p=self._chances(key, values, temperature))]
            steps.append(Step(key, chosen.edge))
            onward = (sources[-1][0], sources[-1][1] + 1) if sources else None
            same = onward is not None and onward in chosen.sources
            sources.append(
                onward if same and onward else chosen.sources[generator.integers(len(chosen.sources))]
            )
            key = chosen.after
        return Stitched(steps=tuple(steps), sources=tuple(sources))

    def is_new(self, stitched: Stitched) -> bool:
        """Whether no recorded attempt took these steps from there."""
        return _taken(stitched.steps) not in self.recorded

    def _scores(
        self, key: Hashable, values: dict[Hashable, float], temperature: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What each edge is worth, r + V(k'), and log pi_b + that / temperature."""
        edges = self._edges[key].values()
        counts = np.array([len(edge.sources) for edge in edges], float)
        rewards = np.array([edge.earned for edge in edges]) / counts
        scores = rewards + np.array([values[edge.after] for edge in edges])
        logs = np.log(counts / counts.sum()) + scores / temperature if temperature else scores
        return scores, logs

    def _chances(
        self, key: Hashable, values: dict[Hashable, float], temperature: float
    ) -> NDArray[np.float64]:
        scores, logs = self._scores(key, values, temperature)
        if not temperature:  # the best edges, as often as they were recorded
            counts = np.array([len(edge.sources) for edge in self._edges[key].values()], float)
            logs = np.where(scores >= scores.max() - 1e-9, np.log(counts), -np.inf)
        weights = np.exp(logs - logs.max())
        return np.asarray(weights / weights.sum())

    def _backwards(self) -> list[Hashable]:
        """All keys, those that are reached later first, where the graph has no cycle."""
        seen: set[Hashable] = {END}
        order: list[Hashable] = []
        for root in self._edges:
            stack: list[tuple[Hashable, Iterator[Hashable]]] = []
            if root not in seen:
                seen.add(root)
                stack.append((root, self._after(root)))
            while stack:
                key, rest = stack[-1]
                following = next((each for each in rest if each not in seen), None)
                if following is None:
                    order.append(key)
                    stack.pop()
                else:
                    seen.add(following)
                    stack.append((following, self._after(following)))
        return order

    def _after(self, key: Hashable) -> Iterator[Hashable]:
        return (edge.after for edge in self._edges[key].values())


def splices(
    trajectories: Sequence[Trajectory], joint: Callable[[Hashable], bool]
) -> Iterator[tuple[Stitched, Trajectory, Trajectory]]:
    """Every way to put the beginning of one attempt before the end of another where their keys are equal.

    joint: whether two attempts may be joined at this key (not where nothing was done yet, say).
    Yields (spliced, whose beginning, whose end); the same steps may come more than once.
    """
    for first in trajectories:
        for second in trajectories:
            if first is second:
                continue
            for i, here in enumerate(_keys(first)):
                for j, there in enumerate(_keys(second)):
                    if here == there and joint(here):
                        yield (
                            Stitched(
                                steps=first.steps[:i] + second.steps[j:],
                                sources=tuple((first.name, n) for n in range(i))
                                + tuple((second.name, n) for n in range(j, len(second.steps))),
                            ),
                            first,
                            second,
                        )


def _taken(steps: Sequence[Step]) -> tuple[Hashable, ...]:
    """Where an attempt began, and all that it did."""
    return (*(step.key for step in steps[:1]), *(step.edge for step in steps))


def _keys(trajectory: Trajectory) -> list[Hashable]:
    return [*(step.key for step in trajectory.steps), trajectory.final]
