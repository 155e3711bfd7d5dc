import numpy as np
import pytest
import torch

from goalward.experience.experience import Remembering
from goalward.experience.practice import Practice, PracticeSettings
from goalward.experience.prover import PolicyGuide, Prover, goal_messages, value_text
from goalward.experience.search import SearchSettings, find_proofs
from goalward.feedback.build import build_grader
from goalward.formal.formula import parse
from goalward.formal.proof import verify
from goalward.formal.tactics import Goal, moves
from goalward.learning.imitation import ExpertIteration
from goalward.learning.learner import Learner, LearnerSettings
from goalward.learning.optimizer import OptimizerSettings
from goalward.models.load import ModelConfig, load_policy
from goalward.models.prover import PATH
from goalward.types import Group, Task

GOALS = [Goal((parse("p → q"), parse("p")), parse("q")), Goal((), parse("p ∧ q → q ∧ p"))]


@pytest.fixture
def policy():
    torch.manual_seed(0)
    return load_policy(ModelConfig(name="new:prover", device="cpu"))


def said(policy, goal, text):
    """Log-probability of a text without its end, by the model's own forward pass."""
    prompt = policy.chat.prompt(goal_messages(goal)).astype(np.int64)
    completion = policy.chat.completion(text).astype(np.int64)[:-1]
    tokens = torch.from_numpy(np.concatenate([prompt, completion]))[None]
    with torch.no_grad():
        logprobs = policy.model(input_ids=tokens).logits[0].log_softmax(-1)
    at = torch.arange(len(completion)) + len(prompt) - 1
    return float(logprobs[at, tokens[0, at + 1]].sum())


def test_the_guide_says_what_the_model_says(policy):
    tactics = [[text for text, _ in moves(goal)] for goal in GOALS]
    found = PolicyGuide(policy)(GOALS, tactics)
    for goal, texts, appraisal in zip(GOALS, tactics, found, strict=True):
        plain = torch.tensor([said(policy, goal, text) for text in texts]).softmax(-1)
        assert appraisal.prior == pytest.approx(plain.tolist(), abs=1e-5)
        value = torch.tensor([said(policy, goal, value_text(steps)) for steps in range(64)]).softmax(-1)
        assert appraisal.steps == pytest.approx(float(value @ torch.arange(64.0)), abs=1e-3)


def test_goals_and_tactics_are_a_token_a_symbol(policy):
    assert policy.chat.completion("apply h12").size == 3
    assert policy.chat.prompt(goal_messages(GOALS[0])).size == len(
        ["h1", ":", "p", "→", "q", "h2", ":", "p", "⊢", "q", "▸"]
    )


def test_practice_learns_to_prove_and_resumes_as_it_was(policy):
    statements = [parse(text) for text in ("p ∧ q → q", "p → p ∨ q", "p → q → p", "p ∧ q → q ∧ p")]
    settings = PracticeSettings(lessons=64, first=64)
    practice = Practice(statements, PolicyGuide(policy), policy.chat, settings, seed=0)
    assert isinstance(practice, Remembering)
    learner = Learner(
        policy,
        LearnerSettings(minibatches=8),
        OptimizerSettings(learning_rate=3e-3, muon=7e-3),
        steps=6,
        temperature=1.0,
        seed=0,
    )
    losses = []
    for step in range(6):
        groups = practice.collect(4, version=step)
        losses.append(learner.update(ExpertIteration().credit(groups), ExpertIteration())["loss"])
    assert losses[-1] < losses[0] / 3
    assert practice.noticed["proved"] == 1.0
    again = Practice(statements, PolicyGuide(policy), policy.chat, settings, seed=0)
    again.restore(practice.memory())
    again.cursor = practice.cursor
    texts = [[r.text for g in one.collect(4, version=9) for r in g.rollouts] for one in (practice, again)]
    assert texts[0] == texts[1]


def test_the_value_is_learned_from_its_own_token_alone(policy):
    practice = Practice(
        [parse("p → p")],
        PolicyGuide(policy),
        policy.chat,
        PracticeSettings(),
        seed=0,
    )
    groups = practice.collect(1, version=0)
    examples = ExpertIteration(value=0.5).credit(groups)
    value, tactic = examples[0], examples[1]
    share = 1 / len(groups)
    assert value.rollout.text.startswith("value ")
    assert value.weight.tolist() == pytest.approx([0, 0.5 * share, 0])
    assert tactic.weight.tolist() == pytest.approx([share] * tactic.rollout.completion.size)


def test_the_prover_answers_with_scripts_that_the_grader_accepts(policy):
    tasks = [Task(id=t, messages=({"role": "user", "content": f"⊢ {t}"},)) for t in ("p → p", "p → q")]
    prover = Prover(policy, SearchSettings(budget=64, method="puct"), samples=2, temperature=1.0, seed=0)
    answers = prover(tasks)
    grader = build_grader("proof")
    scores = [
        [f.score for f in grader.grade(Group(task=task, rollouts=greedy + more))]
        for task, (greedy, more) in zip(tasks, answers, strict=True)
    ]
    assert scores[0][0] == 1.0
    assert scores[1] == [0.0, 0.0, 0.0]
    assert answers[1][0][0].stop == "length"


def test_the_shipped_prover_is_small_and_knows_its_trade():
    trained = load_policy(ModelConfig(name="prover", device="cpu"))
    assert sum(file.stat().st_size for file in PATH.iterdir()) <= 8_000_000
    assert 1_000_000 <= trained.model.num_parameters() <= 3_000_000
    statements = [
        parse(text)
        for text in (
            "((p → q) → p) → p",
            "(p → q) ∧ (q → r) → p → r",
            "¬(p ∨ q) ↔ ¬p ∧ ¬q",
            "p ∧ (q ∨ r) → p ∧ q ∨ p ∧ r",
        )
    ]
    settings = SearchSettings(budget=64, method="puct")
    found = find_proofs(statements, PolicyGuide(trained), settings)
    for statement, one in zip(statements, found, strict=True):
        assert one.proof is not None
        verify(statement, one.proof)
    torch.manual_seed(0)
    drawn = load_policy(ModelConfig(name="new:prover", device="cpu"))
    assert len([one for one in find_proofs(statements, PolicyGuide(drawn), settings) if one.proof]) < 4
