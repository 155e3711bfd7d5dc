"""A vote among sources that are not equally good: who is to be trusted follows from who agrees with whom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goalward.feedback.agreement import ballot
from goalward.feedback.grader import Grader
from goalward.types import Feedback, Group

Choices = Sequence[Sequence[int | None]]
"""[questions][sources]: the class of each source's answer, numbered from 0 within a question; None: no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """What the answers say about the sources and about each other.

    sources: [sources], how often each is right; posterior: for each question the probability that each class
    of answers is the right one, [classes]; what is missing to 1 says that no source is right.
    """

    sources: NDArray[np.float64]
    posterior: tuple[NDArray[np.float64], ...]


def dawid_skene(choices: Choices, *, wrong: int = 20, rounds: int = 100) -> Reliability:
    """Expectation-maximisation for sources that each are right with a probability of their own.

    A source that is wrong gives one of `wrong` other answers, all alike likely; so two that agree are mostly
    both right, and a question may have no right answer among those given. A source that gives no answer is not
    right. Reliabilities begin at a half, and are smoothed by one answer either way.

    Dawid and Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", 1979, with one
    parameter a source. Raises ValueError where questions have different numbers of sources, or there are none.
    """
    width = {len(row) for row in choices}
    if len(width) != 1 or not min(width):
        raise ValueError("expected the same sources, at least one, for at least one question")
    (count,) = width
    reliable = np.full(count, 0.5)
    posterior: list[NDArray[np.float64]] = []
    for _ in range(rounds):
        posterior = [_posterior(row, reliable, wrong) for row in choices]
        right, asked = np.ones(count), np.full(count, 2.0)
        for row, belief in zip(choices, posterior, strict=True):
            for source, choice in enumerate(row):
                asked[source] += 1
                right[source] += 0.0 if choice is None else belief[choice]
        now = right / asked
        if np.abs(now - reliable).max() < 1e-6:
            break
        reliable = now
    return Reliability(sources=reliable, posterior=tuple(posterior))


def _posterior(row: Sequence[int | None], reliable: NDArray[np.float64], wrong: int) -> NDArray[np.float64]:
    """[classes]: how likely each class is the right answer; all alike likely before the sources speak."""
    classes = max((choice for choice in row if choice is not None), default=-1) + 1
    # The last entry stands for every right answer that nobody gave.
    evidence = np.append(np.full(classes, 1 / wrong), max(1 - classes / wrong, 1e-9))
    for source, choice in enumerate(row):
        if choice is not None:
            said = np.full(classes + 1, (1 - reliable[source]) / wrong)
            said[choice] = reliable[source]
            evidence *= said
    return np.asarray((evidence / evidence.sum())[:classes])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityVote:
    """A BatchGrader without labels for attempts by different sources, the same in every group and in the same order.

    An attempt's score is how likely its answer is the right one, by `dawid_skene` over all groups that are judged
    together. No verdict for one without an answer.
    """

    equal: Grader

    def grade(self, group: Group) -> list[Feedback]:
        """As `grade_all`, for a single question: sources then count alike."""
        return self.grade_all([group])[0]

    def grade_all(self, groups: Sequence[Group]) -> list[list[Feedback]]:
        """One feedback for each rollout of each group."""
        ballots = [ballot(group.task, group.rollouts, self.equal) for group in groups]
        found = dawid_skene([each.choices for each in ballots])
        return [
            [
                Feedback(score=None, note="no answer, or cut off")
                if choice is None
                else Feedback(score=float(belief[choice]))
                for choice in each.choices
            ]
            for each, belief in zip(ballots, found.posterior, strict=True)
        ]
