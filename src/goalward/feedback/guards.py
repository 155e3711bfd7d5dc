"""What to watch where no label tells the truth: the signals of a run without feedback, and when to stop it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean

from goalward.feedback.agreement import elect, poll
from goalward.feedback.checks import variety
from goalward.feedback.grader import Grader
from goalward.types import Group

_RUN = 4
"""Words in a run, where repetition is looked for."""


def signals(groups: Sequence[Group], equal: Grader) -> dict[str, float]:
    """What a step's attempts say about each other; nothing here knows a label.

    agreement: the elected answer's mean share of the votes; pseudo_reward: its mean share of the attempts'
    own answers; self_agreement: the mean share of their own most frequent answer, whoever elects;
    elected: the share of questions that elect one; cross_view: the share of questions where the attempts and the group's `voters` elect the same, if there are;
    unmoved: the mean share of answers that were also given to the changed question, where there is `contrast`;
    no_answer: the share of attempts without a vote; variety: of the texts' runs of words, 1 without repetition;
    distinct_answers: different elected answers, and answer_entropy: their entropy in nats, both as shares of the
    most that so many questions could have.
    """
    names = ("agreement", "pseudo_reward", "self_agreement", "cross_view", "unmoved")
    measured: dict[str, list[float]] = {name: [] for name in names}
    elected: list[str] = []
    missing: list[bool] = []
    for group in groups:
        found = poll(group, equal)
        missing += [choice is None for choice in found.own]
        election, mine = elect(found.voting), elect(found.own)
        cast = [choice for choice in found.own if choice is not None]
        if group.contrast and cast:
            measured["unmoved"].append(fmean(choice in found.heard for choice in cast))
        if mine.winner is not None:
            measured["self_agreement"].append(mine.share)
        if election.winner is None:
            continue
        elected.append(found.answers[election.winner])
        measured["agreement"].append(election.share)
        if cast:
            measured["pseudo_reward"].append(cast.count(election.winner) / len(cast))
        if group.voters and mine.winner is not None:
            measured["cross_view"].append(mine.winner == election.winner)
    return {
        "elected": len(elected) / len(groups),
        "no_answer": fmean(missing),
        "variety": fmean(variety(rollout.text, _RUN) for group in groups for rollout in group.rollouts),
        **{name: fmean(values) for name, values in measured.items() if values},
        **_spread(elected),
    }


def _spread(answers: Sequence[str]) -> dict[str, float]:
    if len(answers) < 2:
        return {}
    counts = Counter(answers)
    entropy = -sum(n / len(answers) * log(n / len(answers)) for n in counts.values())
    return {"distinct_answers": len(counts) / len(answers), "answer_entropy": entropy / log(len(answers))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """When a run that learns without labels stops: the recipe's `[guards]` table, on by default.

    The mean over the last `window` steps is held against that over the first `window`.

    answer_entropy, distinct_answers: different questions get the same answer: it fell below this share.
    least_entropy: they do so from the beginning: answer_entropy is below this.
    no_answer: more attempts have no vote, by this share of all. variety: texts repeat themselves, by this share.
    length: completions are this many times as long, or as short.
    kl: the budget of the KL to the first policy, in nats a token; 0 for none, and then no reference is kept.
    unmoved: more answers stay as they are when the question changes, by this share of all.
    rise, lag: the attempts' agreement with themselves has risen by `rise` or more, and their cross-view agreement by
    less than `lag` times as much: what they agree on is not what another view of the question says.
    """

    stop: bool = True
    window: int = 5
    answer_entropy: float = 0.7
    distinct_answers: float = 0.5
    least_entropy: float = 0.1
    no_answer: float = 0.15
    variety: float = 0.2
    length: float = 3.0
    kl: float = 0.5
    unmoved: float = 0.15
    rise: float = 0.1
    lag: float = 0.3

    def alarm(self, rows: Sequence[Mapping[str, float]]) -> str | None:
        """Why a run with these metrics, a row a step, should stop: one plain line; None where all is well.

        It reads the signals, `completion_length` and `drift`, and no accuracy.
        """
        if not self.stop or len(rows) < self.window:
            return None
        first, last = _means(rows[: self.window]), _means(rows[-self.window :])
        return next(self._alarms(first, last), None)

    def _alarms(self, first: Mapping[str, float], last: Mapping[str, float]) -> Iterator[str]:
        """Every alarm, as `alarm` gives the first."""

        def both(name: str) -> Iterator[tuple[float, float]]:
            if name in first and name in last:
                yield first[name], last[name]

        for name, share in (
            ("answer_entropy", self.answer_entropy),
            ("distinct_answers", self.distinct_answers),
        ):
            for before, now in both(name):
                if now < share * before:
                    yield f"{name} fell from {before:.2f} to {now:.2f}: different questions get the same answer"
        if last.get("answer_entropy", 1.0) < self.least_entropy:
            yield f"answer_entropy is {last['answer_entropy']:.2f}: almost all questions get the same answer"
        for before, now in both("no_answer"):
            if now > before + self.no_answer:
                yield f"no_answer rose from {before:.2f} to {now:.2f}: attempts stop giving answers that can be read"
        for before, now in both("unmoved"):
            if now > before + self.unmoved:
                yield f"unmoved rose from {before:.2f} to {now:.2f}: answers stay as they are when the question changes"
        for before, now in both("variety"):
            if now < before - self.variety:
                yield f"variety fell from {before:.2f} to {now:.2f}: texts repeat themselves"
        for before, now in both("completion_length"):
            if not before / self.length <= now <= before * self.length:
                yield f"completion_length went from {before:.0f} to {now:.0f} tokens"
        if self.kl and last.get("drift", 0) > self.kl:
            yield f"drift, the KL to the first policy, is {last['drift']:.2f} nats a token: its budget is {self.kl}"
        for (reward, reward_now), (cross, cross_now) in zip(
            both("self_agreement"), both("cross_view"), strict=False
        ):
            rise, follows = reward_now - reward, cross_now - cross
            if rise >= self.rise and follows < self.lag * rise:
                yield (
                    f"self_agreement rose from {reward:.2f} to {reward_now:.2f} and cross_view only went from "
                    f"{cross:.2f} to {cross_now:.2f}: another view of the questions does not agree"
                )


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = {name for row in rows for name in row}
    return {name: fmean(row[name] for row in rows if name in row) for name in names}
