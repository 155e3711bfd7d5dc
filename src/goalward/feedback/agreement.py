"""Feedback without labels: attempts at one question judge each other by the answers that they agree on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from goalward.errors import UsageError
from goalward.feedback.answers import final_answer
from goalward.feedback.grade import is_correct
from goalward.feedback.grader import Grader
from goalward.feedback.judge import judge_group
from goalward.schema import Place
from goalward.types import Feedback, Group, Rollout, Task

BAND = (0.3, 0.8)
"""Shares of the votes in which an election teaches: below it chance elects, above it there is little to learn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """Who says the same.

    choices: for each attempt the number of its answer's class, None where it has no vote;
    answers: one answer of each class, in the order in which they first came.
    """

    choices: tuple[int | None, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """Which class won, with which share of the votes cast; `winner` is None where nobody voted or on a tie."""

    winner: int | None
    share: float


def ballot(task: Task, attempts: Sequence[Rollout], equal: Grader) -> Ballot:
    """Sort attempts into classes of equal answers, by the very rule that a verifier would go by.

    Two attempts say the same where `equal`, given the one's answer as the reference, finds the other right. So
    "0.5" and "1/2" are one answer to `math` and two to `strict`. No vote has an attempt that was cut off, one
    without an answer, and one that `equal` does not find right even by its own answer. Classes are taken in
    order of first appearance. The task's own reference is not looked at.
    """
    choices: list[int | None] = [None] * len(attempts)
    answers: list[str] = []
    able = [index for index, attempt in enumerate(attempts) if attempt.stop != "length"]
    while able:
        first = able[0]
        answer, same = _like(task, [attempts[index] for index in able], equal)
        for index, equals in zip(able, same, strict=True):
            if equals:
                choices[index] = len(answers)
        if same[0]:
            answers.append(answer)
        able = [index for index in able if index != first and choices[index] is None]
    return Ballot(choices=tuple(choices), answers=tuple(answers))


def _like(task: Task, attempts: Sequence[Rollout], equal: Grader) -> tuple[str, list[bool]]:
    """The first attempt's answer, and which attempts give the same; none do where it gives none."""
    text = attempts[0].text
    # What stands in the tag or at the end; graders that read no answer out of a text compare the whole.
    for answer in dict.fromkeys((final_answer(text) or "", text.strip())):
        asked = replace(task, reference=answer)
        if answer and is_correct(judge_group(Group(task=asked, rollouts=(attempts[0],)), equal)[0]):
            return answer, [
                is_correct(f) for f in judge_group(Group(task=asked, rollouts=tuple(attempts)), equal)
            ]
    return "", [False] * len(attempts)


def elect(choices: Sequence[int | None]) -> Election:
    """The class with most votes, and its share of the votes that were cast."""
    votes = Counter(choice for choice in choices if choice is not None)
    if not votes:
        return Election(winner=None, share=0.0)
    (winner, most), *others = votes.most_common(2)
    tied = bool(others) and others[0][1] == most
    return Election(winner=None if tied else winner, share=most / votes.total())


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A group's ballot, by who speaks.

    own: the choices of the attempts that are learned from; voting: of those that elect, the group's `voters` where
    there are any, else the attempts; heard: the classes that `contrast` attempts gave to the changed question.
    """

    answers: tuple[str, ...]
    own: tuple[int | None, ...]
    voting: tuple[int | None, ...]
    heard: frozenset[int]


def poll(group: Group, equal: Grader) -> Poll:
    """Everybody's choices, sorted together so that a class has one number for all."""
    found = ballot(group.task, (*group.rollouts, *group.voters, *group.contrast), equal)
    first, last = len(group.rollouts), len(group.rollouts) + len(group.voters)
    own, voters, contrast = found.choices[:first], found.choices[first:last], found.choices[last:]
    heard = frozenset(choice for choice in contrast if choice is not None)
    return Poll(answers=found.answers, own=own, voting=voters if group.voters else own, heard=heard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A Grader without labels: 1 for the answer that most attempts give, 0 for another.

    Where the group has `voters` (a frozen or slowly moving copy's attempts, or attempts at a paraphrase) they
    elect, as in Co-rewarding (arXiv:2508.00410); else the attempts themselves, as in TTRL (arXiv:2504.16084).

    equal: the grader by whose rule answers are the same; it compares with a reference.
    soft: score the share of the votes that an attempt's own answer has (EMPO, arXiv:2504.05812).
    band: no verdict for a question whose winner has a smaller or larger share; [0, 1] for none.
    strike: an answer that `contrast` attempts give to the changed question too was not found by reading the
    question: it cannot be elected and scores 0.

    There is no verdict for an attempt without a vote, and for all attempts where the vote is tied. On a vote
    the policy sharpens to its own majority: an error that most attempts share is rewarded, and one view
    alone cannot tell.
    """

    equal: Grader
    soft: bool = False
    band: tuple[float, float] = BAND
    strike: bool = True

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each rollout; voters and contrast get none."""
        found = poll(group, self.equal)
        struck = found.heard if self.strike else frozenset()
        votes = Counter(choice for choice in found.voting if choice is not None and choice not in struck)
        election = elect(list(votes.elements()))
        if election.winner is None:
            return [_none("the vote is tied" if votes else "nobody votes")] * len(found.own)
        low, high = self.band
        if not low <= election.share <= high:
            return [_none(f"{election.share:.0%} of the votes agree, outside the band")] * len(found.own)
        note = f"{election.share:.0%} vote for {found.answers[election.winner]}"
        return [
            _none("no answer, or cut off")
            if choice is None
            else Feedback(
                score=votes[choice] / votes.total() if self.soft else float(choice == election.winner),
                note=note,
            )
            for choice in found.own
        ]


def _none(why: str) -> Feedback:
    return Feedback(score=None, note=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteSettings:
    """The keys of a `vote` table; see `Vote`. `equal` is a grader's name, file or table."""

    equal: Any = "numeric"
    soft: bool = False
    band: tuple[float, float] = BAND
    strike: bool = True
    name: str = ""

    def with_equal(self, equal: Grader, place: Place) -> Vote:
        """The grader. Raises UsageError for a band that holds no share."""
        low, high = self.band
        if not 0 <= low < high <= 1:
            raise UsageError(
                f"{place.at('band')}: two shares from 0 to 1, the lower first, found {list(self.band)}"
            )
        return Vote(equal=equal, soft=self.soft, band=(low, high), strike=self.strike)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A control without labels: how sure the policy was, as the mean log-probability of the tokens it chose.

    It is minus a one-sample estimate of the entropy, so that learning from it is entropy minimisation
    (arXiv:2505.15134). It rewards what is likely, right or wrong.
    """

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each rollout; none for recorded text."""
        return [
            _none("recorded text has no probabilities")
            if rollout.logprobs is None or not rollout.sampled.any()
            else Feedback(score=float(rollout.logprobs[rollout.sampled].mean()))
            for rollout in group.rollouts
        ]
