import pytest
import torch

from goalward.errors import UsageError
from goalward.experience.practice import PracticeSettings
from goalward.experience.search import SearchSettings
from goalward.experience.test_time import Specialise, practise_for
from goalward.experience.worked import with_proofs
from goalward.feedback.theorems import proof
from goalward.formal.formula import parse
from goalward.formal.proof import verify
from goalward.learning.optimizer import OptimizerSettings
from goalward.models.load import ModelConfig, load_policy
from goalward.tasks.theorems import Theorems
from goalward.types import Rollout, Task

CHAIN = parse("(p → q) → (q → r) → p → r")
SETTINGS = Specialise(
    rounds=6,
    attempt=SearchSettings(budget=12, method="puct"),
    variants=40,
    at_once=16,
    practice=PracticeSettings(search=SearchSettings(budget=64, method="puct", refute=True), lessons=256),
    minibatches=8,
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
    assert 1 < len(rounds) <= 7
    verify(CHAIN, rounds[-1].found.proof)
    for before, after in zip(rounds, rounds[1:], strict=False):
        assert after.tried == 16
        assert before.spent + after.found.expansions < after.spent <= before.spent + 12 + 16 * 64
        assert 0 <= after.proved <= 16


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


def test_worked_solutions_are_proofs_and_nothing_is_made_up():
    tasks = [
        *Theorems(train=30).tasks("train"),
        Task(id="no", messages=({"role": "user", "content": "⊢ p"},)),
    ]
    worked = with_proofs(tasks, SearchSettings(method="size", budget=64, refute=True))
    assert 10 < len(worked) < 31
    for task in worked:
        rollout = Rollout.__new__(Rollout)
        object.__setattr__(rollout, "text", task.demonstration)
        assert proof(task, rollout).score == 1.0
