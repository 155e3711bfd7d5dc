from goalward.experience.demonstrations import Demonstrations
from goalward.experience.worked import with_proofs
from goalward.feedback.build import build_grader
from goalward.models.load import ModelConfig, load_policy
from goalward.tasks.theorems import Theorems
from goalward.types import Task


def test_worked_solutions_prove_and_what_has_none_is_left_out():
    false = Task(id="false", messages=({"role": "user", "content": "⊢ p → q"},))
    worked = with_proofs([*Theorems(train=30).tasks("train"), false], 64)
    assert 10 < len(worked) < 31
    assert false.id not in {task.id for task in worked}
    policy = load_policy(ModelConfig(name="new:prover", device="cpu"))
    groups = Demonstrations(worked, policy.chat, seed=0).collect(len(worked), version=0)
    grader = build_grader("proof")
    for group in groups:
        [judged] = grader.grade(group)
        assert judged.score == 1.0
        [rollout] = group.rollouts
        assert policy.chat.prompt(group.task.messages).tolist() == rollout.prompt.tolist()
