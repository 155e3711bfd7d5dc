"""Relay: the smallest problem that imitation cannot solve and stitching can. No torch here.

One live node and some dead ones a layer. An action names the next node; only the live node leads on to the
next live one, beside dead ones, and dead leads to dead. The goal is the live node of the last layer. The log
has walks of chance from anywhere, but no success that began in an early layer: whoever starts at the
first live node must put the early part of one failed walk before the late part of another's success.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from goalward.types import Feedback, Group, Rollout, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """The graph.

    length: actions from the first layer to the last (L); actions: successors of a node (A);
    early: successes that start in a layer before this one are not recorded (h);
    dead: dead nodes a layer; seed: which token names which node, and which edges there are.
    """

    length: int = 5
    actions: int = 3
    early: int = 3
    dead: int = 3
    seed: int = 0

    @property
    def nodes(self) -> int:
        """How many nodes, and so tokens, there are."""
        return (self.length + 1) * (self.dead + 1)

    @property
    def token(self) -> NDArray[np.int64]:
        """[layers, 1 + dead]: the token of each node, the live one first."""
        shuffled = np.random.default_rng([self.seed, 0]).permutation(self.nodes)
        return shuffled.reshape(self.length + 1, self.dead + 1)

    @property
    def live(self) -> list[int]:
        """The tokens of the live nodes, from the first layer to the last."""
        return [int(token) for token in self.token[:, 0]]

    def successors(self) -> dict[int, list[int]]:
        """The tokens that may follow each token; the last layer's have none."""
        token, generator = self.token, np.random.default_rng([self.seed, 1])
        found: dict[int, list[int]] = {int(last): [] for last in token[-1]}
        for layer in range(self.length):
            after = token[layer + 1]
            dead = [generator.choice(after[1:], self.actions, replace=False) for _ in range(self.dead)]
            alive = generator.choice(after[1:], self.actions - 1, replace=False)
            following = [np.array([after[0], *alive]), *dead]
            for node, nodes in zip(token[layer], following, strict=True):
                found[int(node)] = sorted(nodes.tolist())
        return found

    def walks(self, count: int, seed: int) -> list[tuple[int, ...]]:
        """`count` recorded walks, each from its start to the last layer; without the early successes.

        Starts are uniform over the nodes that are not in the last layer, and so is every action.
        """
        generator = np.random.default_rng([self.seed, seed, 2])
        token, following = self.token, self.successors()
        recorded: list[tuple[int, ...]] = []
        while len(recorded) < count:
            layer = int(generator.integers(self.length))
            walk = [int(generator.choice(token[layer]))]
            while following[walk[-1]]:
                walk.append(int(generator.choice(following[walk[-1]])))
            if not (walk[-1] == token[-1, 0] and layer < self.early):
                recorded.append(tuple(walk))
        return recorded

    def reward(self, walk: Sequence[int]) -> float:
        """1 if every step was an edge and the last node is the goal, else 0."""
        following = self.successors()
        right = all(b in following[a] for a, b in pairwise(walk))
        return float(right and walk[-1] == self.live[-1])

    @property
    def ceiling(self) -> float:
        """What any weighted imitation, or pair loss without ties, can reach at most: A^-h.

        No recorded success shows which action to take in the first h layers.
        """
        return float(self.actions**-self.early)

    def chances(self) -> list[float]:
        """How often a recorded walk that stands at each live node goes on to the next live one, exactly.

        A little under 1 / A, because successes are missing. Expected counts of walks from the live
        nodes before it: all that come by, less those that go on to the goal and began too early.
        """
        a, found = float(self.actions), []
        for here in range(self.length):
            missing = [a ** -(self.length - here) * (start < self.early) for start in range(here + 1)]
            come = [a ** -(here - start) for start in range(here + 1)]
            stay = sum(c * (1 - m) for c, m in zip(come, missing, strict=True))
            found.append(sum(c * (1 / a - m) for c, m in zip(come, missing, strict=True)) / stay)
        return found

    def soft_values(self, temperature: float, chances: Sequence[float] | None = None) -> list[float]:
        """V of the live nodes, first to last: what a policy earns that pays `temperature` x KL to the walks' policy.

        V(live_k) = b log(p exp(V(live_k+1) / b) + 1 - p), V(goal) = 1; a dead node has 0. p is 1 / A, or
        what `chances` says: those of the recorded walks, say.
        """
        values, b = [1.0], temperature
        for p in reversed(chances or [1 / self.actions] * self.length):
            values.insert(0, float(b * np.logaddexp(np.log(p) + values[0] / b, np.log1p(-p))))
        return values

    def soft_optimum(self, temperature: float) -> float:
        """How often that policy, with p = 1 / A, succeeds from the first live node."""
        values = np.array(self.soft_values(temperature)) / temperature
        return float(np.exp((np.diff(values) - np.log(self.actions)).sum()))


def as_groups(walks: Sequence[tuple[int, ...]], relay: Relay, size: int) -> list[Group]:
    """Walks as judged attempts: the start is the task, the path the completion; at most `size` in a group."""
    by_start: dict[int, list[tuple[int, ...]]] = {}
    for walk in walks:
        by_start.setdefault(walk[0], []).append(walk)
    goal = relay.live[-1]  # every recorded step is an edge
    return [
        Group(
            task=Task(id=f"relay/{start}", messages=({"role": "user", "content": str(start)},)),
            rollouts=tuple(as_rollout(walk, relay.actions) for walk in chunk),
            feedback=tuple(Feedback(score=float(walk[-1] == goal)) for walk in chunk),
        )
        for start, own in by_start.items()
        for chunk in (own[i : i + size] for i in range(0, len(own), size))
    ]


def as_rollout(walk: Sequence[int], actions: int) -> Rollout:
    """One walk, with the log-probabilities of the policy that chose uniformly among `actions`."""
    steps = len(walk) - 1
    return Rollout(
        prompt=np.array(walk[:1], np.int32),
        completion=np.array(walk[1:], np.int32),
        sampled=np.ones(steps, np.bool_),
        logprobs=np.full(steps, -np.log(actions), np.float32),
        text=" ".join(map(str, walk[1:])),
        stop="eos",
    )
