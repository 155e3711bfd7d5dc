from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from goalward.errors import UsageError
from goalward.experience.practice import PracticeSettings
from goalward.experience.search import SearchSettings
from goalward.experience.test_time import Specialise, practise_for
from goalward.formal.formula import parse
from goalward.formal.proof import verify
from goalward.learning.optimizer import OptimizerSettings
from goalward.models.load import ModelConfig, load_policy

CHAIN = parse("(p → q) → (q → r) → p → r")
SETTINGS = Specialise(
    rounds=5,
    attempt=SearchSettings(budget=12, method="puct"),
    variants=16,
    at_once=6,
    practice=PracticeSettings(search=SearchSettings(budget=32, method="puct", refute=True), lessons=96),
    minibatches=6,
    optimizer=OptimizerSettings(learning_rate=3e-3, muon=7e-3),
)


@pytest.fixture
def policy():
    torch.manual_seed(0)
    return load_policy(ModelConfig(name="new:prover", device="cpu"))


def test_practice_on_variants_proves_what_search_did_not(policy):
    rounds = list(practise_for(CHAIN, policy, SETTINGS, seed=0))
    assert rounds[0].found.proof is None
    assert rounds[0].spent == 12
    assert rounds[-1].found.proof is not None
    assert 1 < len(rounds) <= 6
    verify(CHAIN, rounds[-1].found.proof)
    for before, after in pairwise(rounds):
        assert after.tried == 6
        assert before.spent + after.found.expansions < after.spent <= before.spent + 12 + 6 * 32
        assert 0 <= after.proved <= 6


def test_what_is_proved_at_once_is_not_practised(policy):
    before = [parameter.clone() for parameter in policy.parameters()]
    [only] = practise_for(parse("p → p"), policy, SETTINGS, seed=0)
    assert only.found.proof
    assert only.spent == only.found.expansions
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))


def test_a_theorem_without_variants_ends_after_its_search(policy):
    wide = " → ".join("pqrstuvwxyzab") + " → p"
    with pytest.raises(UsageError, match="12 variables"):
        list(practise_for(parse(wide), policy, SETTINGS, seed=0))


def test_it_can_practise_on_the_statement_alone(policy):
    alone = replace(SETTINGS, variants=0, rounds=2)
    rounds = list(practise_for(CHAIN, policy, alone, seed=0))
    assert len(rounds) > 1
    assert all(each.tried == 0 for each in rounds)
    assert rounds[1].spent == 12 + rounds[1].found.expansions
