"""Learning without labels where everything is known: a table of probabilities that computes in noisy steps.

A question is a digit and three operations; an attempt writes the digit after each. The policy is a table: for each
(digit, operation) a distribution over the next digit, or over giving up. It knows each operation in two notations,
a table each. What it gets wrong, and how, is set by the regime; what an attempt learns from is the method. Accuracy
is computed exactly, over all questions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from goalward.evaluation.statistics import Interval, bootstrap
from goalward.feedback.agreement import Vote
from goalward.feedback.build import build_grader
from goalward.feedback.grader import Grader
from goalward.feedback.graders import Random
from goalward.feedback.guards import Guards, signals
from goalward.feedback.judge import judge
from goalward.learning.credit import group_mean
from goalward.types import Group, Message, Rollout, Task

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Regime = Literal["independent", "systematic", "missing"]

REGIMES: tuple[Regime, ...] = ("independent", "systematic", "missing")
DIGITS, OPERATIONS, STEPS = 10, 8, 3
STOP = DIGITS
PROMPTS, ATTEMPTS, UPDATES, RATE = 24, 16, 80, 10.0
GIVEN, ROUNDS = 4, 2
"""Of reflection: how many earlier attempts an improved one reads, and how often the population is improved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Accuracies over all questions: of one attempt, of the majority of very many where it is known, of any of 16."""

    single: float
    majority: float | None
    any_of_16: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A method in a regime: what it came to over seeds, what it believed it came to, and what stopped it."""

    regime: Regime
    method: str
    single: Interval
    majority: float | None
    any_of_16: float
    pseudo_reward: float | None
    alarm: str


def right_table(random: np.random.Generator) -> Ints:
    """[operations, digits] -> digit: each operation is a permutation."""
    return np.stack([random.permutation(DIGITS) for _ in range(OPERATIONS)])


def first_logits(regime: Regime, right: Ints, random: np.random.Generator) -> Floats:
    """[2 notations, operations, digits, digits + stop] of the policy that is to improve.

    independent: a step is right with .85, else any other digit. systematic: besides, in 8 % of the rows of each
    notation, drawn apart, one wrong digit has .55 and the right one .35. missing: besides, a step gives up with .26,
    so that 60 % of the attempts have no answer.
    """
    quit_share = 0.26 if regime == "missing" else 1e-4
    shares = np.full((2, OPERATIONS, DIGITS, DIGITS + 1), 0.15 / (DIGITS - 1))
    for view, operation, digit in np.ndindex(2, OPERATIONS, DIGITS):
        row, answer = shares[view, operation, digit], right[operation, digit]
        row[answer] = 0.85
        if regime == "systematic" and random.random() < 0.08:
            row[:] = 0.10 / (DIGITS - 2)
            row[answer], row[(answer + random.integers(1, DIGITS)) % DIGITS] = 0.35, 0.55
    shares[..., :DIGITS] *= (1 - quit_share) / shares[..., :DIGITS].sum(-1, keepdims=True)
    shares[..., STOP] = quit_share
    return np.asarray(np.log(shares))


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    mass = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(mass / mass.sum(-1, keepdims=True))


def outcome(logits: Floats, right: Ints) -> Outcome:
    """What the policy is worth in the first notation, over all digits and all chains of operations."""
    moves = softmax(logits[0])
    step = np.zeros((OPERATIONS, DIGITS + 1, DIGITS + 1))  # giving up stays given up
    step[:, :DIGITS], step[:, STOP, STOP] = moves, 1.0
    reached = np.eye(DIGITS + 1)[None, :DIGITS]  # [chains, first digit, now]
    truth = np.arange(DIGITS)[None]
    for _ in range(STEPS):
        reached = np.concatenate([reached @ step[operation] for operation in range(OPERATIONS)])
        truth = np.concatenate([right[operation][truth] for operation in range(OPERATIONS)])
    chance = np.take_along_axis(reached, truth[..., None], -1)[..., 0]
    return Outcome(
        single=float(chance.mean()),
        majority=float((reached[..., :DIGITS].argmax(-1) == truth).mean()),
        any_of_16=float((1 - (1 - chance) ** 16).mean()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """values: [n, steps + 1] the digits written, from the question's on; operations: [n, steps]; STOP stays STOP."""

    values: Ints
    operations: Ints

    def rollouts(self, missing: str) -> list[tuple[Rollout, ...]]:
        """As the house's graders take them, by question; `missing` is the text of an attempt that gave up."""
        texts = [missing if value == STOP else str(value) for value in self.values[:, -1].tolist()]
        size = len(texts) // PROMPTS
        return [tuple(map(_rollout, texts[p * size : (p + 1) * size])) for p in range(PROMPTS)]


def attempt(moves: Floats, starts: Ints, operations: Ints, random: np.random.Generator) -> Attempts:
    """One attempt at each question: starts [n], operations [n, steps]; moves: one notation's probabilities."""
    values = np.empty((len(starts), STEPS + 1), np.int64)
    values[:, 0] = starts
    for step in range(STEPS):
        values[:, step + 1] = _next(moves, values[:, step], operations[:, step], random)
    return Attempts(values=values, operations=operations)


def reflect(moves: Floats, earlier: Attempts, random: np.random.Generator) -> Attempts:
    """Improved attempts, as many as there are: each reads GIVEN of its question's earlier ones.

    Step by step it does what most of those did that stood at the same digit; where none did, it goes on by itself.
    So it can join the right first step of one with the right last step of another.
    """
    count = len(earlier.values) // PROMPTS
    own = earlier.values.reshape(PROMPTS, count, STEPS + 1)
    improved = np.empty_like(own)
    improved[:, :, 0] = own[:, :, 0]
    given = np.stack(
        [own[p, random.permutation(count)[:GIVEN]] for p in range(PROMPTS) for _ in range(count)]
    ).reshape(PROMPTS, count, GIVEN, STEPS + 1)
    operations = earlier.operations.reshape(PROMPTS, count, STEPS)
    for step in range(STEPS):
        now = improved[:, :, step]
        alone = _next(moves, now.ravel(), operations[:, :, step].ravel(), random).reshape(now.shape)
        votes = np.zeros((*now.shape, DIGITS + 1))
        np.put_along_axis(votes, alone[..., None], 0.5, -1)
        for place in range(GIVEN):
            same = given[:, :, place, step] == now
            np.add.at(votes, (*np.nonzero(same), given[:, :, place, step + 1][same]), 1.0)
        votes[..., STOP] *= 0.01
        improved[:, :, step + 1] = votes.argmax(-1)
    return Attempts(values=improved.reshape(-1, STEPS + 1), operations=earlier.operations)


def _next(moves: Floats, now: Ints, operation: Ints, random: np.random.Generator) -> Ints:
    going = now != STOP
    share = moves[operation, np.where(going, now, 0)].cumsum(-1)
    drawn = (random.random((len(now), 1)) * share[:, -1:] < share).argmax(-1)
    return np.where(going, drawn, STOP)


def _rollout(text: str) -> Rollout:
    none = np.zeros(0, np.int32)
    return Rollout(
        prompt=none, completion=none, sampled=none.astype(bool), logprobs=None, text=text, stop="eos"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What an attempt learns from.

    grader: judges, or None for self-certainty, which is computed from the table;
    voters: who elects: nobody else, the improved attempts, or attempts in the other notation (which then learns from
    these in turn); watched: the other notation only watches; guarded: alarms stop the run;
    missing: the text of an attempt that gave up, "" for no answer; gold: the grader is shown the right answer.
    """

    name: str
    grader: Grader | None
    voters: Literal["", "reflection", "notation"] = ""
    watched: bool = False
    guarded: bool = False
    missing: str = ""
    gold: bool = False


def methods(regime: Regime) -> Iterator[Method]:
    """Those that tell something in a regime, the references and controls last."""
    same = build_grader("exact")
    vote, guarded = Vote(equal=same, band=(0, 1)), Vote(equal=same)
    yield Method(name="vote", grader=vote)
    yield Method(name="soft vote", grader=Vote(equal=same, band=(0, 1), soft=True))
    yield Method(name="vote in the band, guards", grader=guarded, guarded=True)
    if regime == "missing":
        yield Method(name="vote that counts no answer as one", grader=vote, missing="none")
        yield Method(name="the same, guards", grader=vote, missing="none", guarded=True)
    if regime == "systematic":
        yield Method(name="vote, other notation watches, guards", grader=vote, watched=True, guarded=True)
        yield Method(name="the other notation votes", grader=vote, voters="notation")
    yield Method(name="reflection votes", grader=vote, voters="reflection")
    yield Method(name="self-certainty", grader=None)
    yield Method(name="random", grader=Random())
    yield Method(name="gold", grader=same, gold=True)


def learn(logits: Floats, right: Ints, method: Method, seed: int) -> tuple[Floats, float, str]:
    """Practise with GRPO's credit for UPDATES steps; the new table, the last pseudo-reward, and what stopped it."""
    random = np.random.default_rng([seed, 1])
    logits, same, guards = logits.copy(), build_grader("exact"), Guards()
    history: list[Mapping[str, float]] = []
    for _ in range(UPDATES):
        starts = random.integers(0, DIGITS, PROMPTS).repeat(ATTEMPTS)
        operations = random.integers(0, OPERATIONS, (PROMPTS, STEPS)).repeat(ATTEMPTS, 0)
        moves = softmax(logits)
        own, other = (attempt(moves[view], starts, operations, random) for view in range(2))
        voters: Attempts | None = other if method.voters == "notation" else None
        if method.voters == "reflection":
            voters = own
            for _ in range(ROUNDS):
                voters = reflect(moves[0], voters, random)
        groups = _groups(method, right, own, voters)
        scores = _certainty(moves[0], own) if method.grader is None else _scores(groups, method.grader)
        logits[0] += RATE * _gradient(moves[0], own, scores)
        if method.voters == "notation" and method.grader is not None:
            scores = _scores(_groups(method, right, other, own), method.grader)
            logits[1] += RATE * _gradient(moves[1], other, scores)
        seen = _groups(method, right, own, other) if method.watched else groups
        history.append(signals(seen, same) | {"completion_length": float(STEPS)})
        if method.guarded and (alarm := guards.alarm(history)):
            return logits, _pseudo(history), f"step {len(history)}: {alarm.partition(':')[0]}"
    return logits, _pseudo(history), ""


def _pseudo(history: Sequence[Mapping[str, float]]) -> float:
    return float(np.mean([row.get("pseudo_reward", 0.0) for row in history[-5:]]))


def _groups(method: Method, right: Ints, own: Attempts, voters: Attempts | None) -> list[Group]:
    rollouts = own.rollouts(method.missing)
    others = voters.rollouts(method.missing) if voters else [()] * PROMPTS
    size = len(own.values) // PROMPTS
    groups = []
    for prompt, (attempts, votes) in enumerate(zip(rollouts, others, strict=True)):
        start, chain = own.values[prompt * size, 0], own.operations[prompt * size]
        truth = start
        for operation in chain:
            truth = right[operation, truth]
        task = Task(
            id=f"{start} {chain}",
            messages=(Message(role="user", content=f"{start} {chain}"),),
            reference=str(truth) if method.gold else None,
        )
        groups.append(Group(task=task, rollouts=attempts, voters=votes))
    return groups


def _scores(groups: Sequence[Group], grader: Grader) -> Floats:
    """[questions, attempts], NaN where there is no verdict."""
    judged = judge(groups, grader)
    return np.array([[np.nan if f.score is None else f.score for f in group.feedback] for group in judged])


def _certainty(moves: Floats, own: Attempts) -> Floats:
    """Intuitor's self-certainty: the mean over steps of KL(uniform || policy), [questions, attempts]."""
    spread = -np.log(moves * moves.shape[-1]).mean(-1)
    values, going = own.values[:, :-1], own.values[:, :-1] != STOP
    steps = np.where(going, spread[own.operations, np.where(going, values, 0)], 0.0)
    return np.asarray((steps.sum(-1) / going.sum(-1)).reshape(PROMPTS, -1))


def _gradient(moves: Floats, own: Attempts, scores: Floats) -> Floats:
    """Of the mean over attempts of advantage times log-probability, in the table's logits."""
    advantage = np.concatenate([group_mean(row, scale=True) for row in scores])
    gradient = np.zeros_like(moves)
    for step in range(STEPS):
        now, then = own.values[:, step], own.values[:, step + 1]
        going = now != STOP
        row = own.operations[going, step], now[going]
        np.add.at(gradient, (*row, then[going]), advantage[going])
        np.add.at(gradient, row, -advantage[going, None] * moves[row])
    return gradient / len(advantage)


def noisy_chain(seeds: int, tell: Callable[[str], None] = lambda _: None) -> list[Line]:
    """Every method in every regime; `tell` hears what is being done."""
    lines: list[Line] = []
    for regime in REGIMES:
        worlds = []
        for seed in range(seeds):
            random = np.random.default_rng([seed, 0])
            right = right_table(random)
            worlds.append((right, first_logits(regime, right, random)))
        lines.append(_line(regime, "start", [outcome(logits, right) for right, logits in worlds]))
        improved = [outcome_of_reflection(logits, right, seed) for seed, (right, logits) in enumerate(worlds)]
        lines.append(_line(regime, "start, reflecting on 4 of 16, twice", improved))
        for method in methods(regime):
            tell(f"{regime}: {method.name}")
            ends = [learn(logits, right, method, seed) for seed, (right, logits) in enumerate(worlds)]
            found = [outcome(end[0], right) for end, (right, _) in zip(ends, worlds, strict=True)]
            lines.append(
                _line(
                    regime,
                    method.name,
                    found,
                    [end[1] for end in ends],
                    next((e[2] for e in ends if e[2]), ""),
                )
            )
    return lines


def outcome_of_reflection(logits: Floats, right: Ints, seed: int) -> Outcome:
    """What improved attempts of the first policy are worth, over 40 batches of questions."""
    random = np.random.default_rng([seed, 2])
    moves = softmax(logits[0])
    share = []
    for _ in range(40):
        starts = random.integers(0, DIGITS, PROMPTS).repeat(ATTEMPTS)
        operations = random.integers(0, OPERATIONS, (PROMPTS, STEPS)).repeat(ATTEMPTS, 0)
        attempts = attempt(moves, starts, operations, random)
        for _ in range(ROUNDS):
            attempts = reflect(moves, attempts, random)
        truth = starts
        for step in range(STEPS):
            truth = right[operations[:, step], truth]
        share.append((attempts.values[:, -1] == truth).reshape(PROMPTS, ATTEMPTS))
    hits = np.concatenate(share)
    return Outcome(single=float(hits.mean()), majority=None, any_of_16=float(hits.any(-1).mean()))


def _line(
    regime: Regime, method: str, found: Sequence[Outcome], pseudo: Sequence[float] = (), alarm: str = ""
) -> Line:
    return Line(
        regime=regime,
        method=method,
        single=bootstrap([each.single for each in found]),
        majority=_mean([each.majority for each in found if each.majority is not None]),
        any_of_16=float(np.mean([each.any_of_16 for each in found])),
        pseudo_reward=_mean(pseudo),
        alarm=alarm,
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def table(lines: Sequence[Line]) -> Table:
    """For a terminal."""
    shown = Table(title="noisy chain: exact accuracy, mean over seeds", title_justify="left")
    for column in (
        "regime",
        "method",
        "pass@1",
        "maj",
        "pass@16",
        "pseudo-reward",
        "stopped by (first seed)",
    ):
        shown.add_column(column, justify="left" if column in ("regime", "method") else "right")
    for line in lines:
        values = (line.majority, line.any_of_16, line.pseudo_reward)
        shown.add_row(
            line.regime if line.method == "start" else "",
            line.method,
            f"{line.single.mean:.3f} [{line.single.low:.2f}, {line.single.high:.2f}]",
            *("–" if value is None else f"{value:.3f}" for value in values),
            line.alarm,
            end_section=line.method == "gold",
        )
    return shown
