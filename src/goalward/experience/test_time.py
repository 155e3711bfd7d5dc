"""Test-time reinforcement learning: practise on variants of one theorem that resists, until it falls (AlphaProof's).

A round searches for proofs of some variants, learns from what it found there and in the statement's own search, and
searches for the statement's proof with what the policy has become.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from goalward.experience.practice import Practice, PracticeSettings
from goalward.experience.prover import PolicyGuide
from goalward.experience.search import Search, SearchSettings, search
from goalward.formal.formula import Formula
from goalward.formal.variants import variants
from goalward.learning.imitation import ExpertIteration
from goalward.learning.learner import Learner, LearnerSettings
from goalward.learning.optimizer import OptimizerSettings
from goalward.models.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialise:
    """How to practise for one theorem.

    attempt: the searches for its own proof, one before the first round and one after each; variants: how many, the
    nearest first; at_once: those that a round searches; minibatches: optimizer steps a round.
    """

    rounds: int = 8
    attempt: SearchSettings = field(default_factory=lambda: SearchSettings(budget=640, method="puct"))
    variants: int = 200
    at_once: int = 16
    practice: PracticeSettings = field(
        default_factory=lambda: PracticeSettings(
            search=SearchSettings(budget=32, method="puct", refute=True), lessons=1024, baffled=0.5
        )
    )
    minibatches: int = 8
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=1e-3, muon=2e-3, betas=(0.9, 0.98))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a round came to.

    found: the statement's own search; spent: goals expanded so far, variants and statement together;
    tried, proved: variants in this round.
    """

    found: Search
    spent: int
    tried: int = 0
    proved: int = 0


def practise_for(statement: Formula, policy: Policy, settings: Specialise, *, seed: int) -> Iterator[Round]:
    """Practise until `statement` is proved or rounds are over; `policy` changes on the way.

    The first Round is the search before any practice. Without variants there is still its own search to learn from:
    the goals in it that were proved. Raises UsageError where the statement has more than 12 variables.
    """
    guide = PolicyGuide(policy)
    [found] = search([statement], guide, settings.attempt)
    spent = found.expansions
    yield Round(found=found, spent=spent)
    if found.proof:
        return
    near = list(islice(variants(statement), settings.variants))
    practice = Practice(near, guide, policy.chat, settings.practice, seed=seed)
    learner = Learner(
        policy,
        LearnerSettings(minibatches=settings.minibatches),
        settings.optimizer,
        steps=settings.rounds,
        temperature=1.0,
        seed=seed,
    )
    algorithm = ExpertIteration()
    for turn in range(1, settings.rounds + 1):
        searches = list(practice.search(settings.at_once)) if near else []
        spent += sum(one.expansions for _, one in searches)
        groups = practice.study([*searches, (None, found)], version=turn)
        learner.update(algorithm.credit(groups), algorithm)
        [found] = search([statement], guide, settings.attempt)
        spent += found.expansions
        proved = sum(one.proved for _, one in searches)
        yield Round(found=found, spent=spent, tried=len(searches), proved=proved)
        if found.proof:
            return
