import numpy as np
import pytest

from goalward.engines.engine import Sampling
from goalward.engines.native import NativeEngine
from goalward.errors import UsageError
from goalward.experience.attempts import Attempts
from goalward.experience.demonstrations import Demonstrations
from goalward.experience.experience import Order
from goalward.experience.summary import summarise
from goalward.types import Feedback, Group, Rollout, Task


def task(number, demonstration=None):
    return Task(
        id=str(number),
        messages=({"role": "user", "content": f"say {number}"},),
        reference="a",
        demonstration=demonstration,
    )


def test_each_epoch_has_every_task_once_in_another_order():
    order = Order(count=7, seed=3)
    first, second = order.take(0, 7), order.take(7, 7)
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second
    # Steps may straddle epochs, and where one begins does not matter.
    assert order.take(5, 4) == [*first[5:], *second[:2]]
    assert Order(count=7, seed=4).take(0, 7) != first


def attempts(policy, **changes):
    settings = {"group_size": 3, "sampling": Sampling(max_tokens=6), "seed": 0} | changes
    return Attempts([task(n) for n in range(4)], NativeEngine(policy), policy.chat, **settings)


def texts(groups):
    return [[rollout.completion.tolist() for rollout in group.rollouts] for group in groups]


def test_attempts_hang_on_the_draw_and_not_on_how_many_are_made_at_once(tiny_policy):
    policy = tiny_policy()
    at_once = attempts(policy).collect(6, version=5)
    slowly = attempts(policy)
    one_by_one = [group for _ in range(6) for group in slowly.collect(1, version=5)]
    assert texts(at_once) == texts(one_by_one)
    assert [g.task.id for g in at_once] == [g.task.id for g in one_by_one]
    assert {len(group.rollouts) for group in at_once} == {3}
    assert {rollout.version for group in at_once for rollout in group.rollouts} == {5}
    resumed = attempts(policy)
    resumed.cursor = 4
    assert texts(resumed.collect(2, version=5)) == texts(at_once)[4:]


def test_a_task_that_comes_again_gets_other_attempts(tiny_policy):
    groups = attempts(tiny_policy()).collect(8, version=0)
    same = [group for group in groups if group.task.id == groups[0].task.id]
    assert len(same) == 2
    assert texts(same[:1]) != texts(same[1:])


def test_demonstrations_are_tokenised_as_they_would_be_said(tiny_policy):
    policy = tiny_policy()
    tasks = [task(n, demonstration=f"it is {n}") for n in range(3)]
    source = Demonstrations(tasks, policy.chat, seed=0)
    (group,) = source.collect(1, version=2)
    (rollout,) = group.rollouts
    assert rollout.text == group.task.demonstration
    assert rollout.logprobs is None
    assert rollout.stop == "recorded"
    assert rollout.sampled.all()
    assert policy.tokenizer.decode(rollout.completion) == f"{rollout.text}<|im_end|>"
    assert rollout.prompt.tolist() == policy.chat.prompt(group.task.messages).tolist()
    assert (source.cursor, len(source)) == (1, 3)
    with pytest.raises(UsageError, match="task 7 has no demonstration"):
        Demonstrations([*tasks, task(7)], policy.chat, seed=0)


def judged(*scores, stop="eos", part=None):
    rollouts = tuple(
        Rollout(
            prompt=np.zeros(2, np.int32),
            completion=np.zeros(length, np.int32),
            sampled=np.ones(length, np.bool_),
            logprobs=np.zeros(length, np.float32),
            text="",
            stop=stop,
        )
        for length, _ in enumerate(scores, start=1)
    )
    feedback = tuple(
        Feedback(score=None, error="broken") if s is None else Feedback(score=s, parts={"answer": s / 2})
        for s in scores
    )
    return Group(task=task(0), rollouts=rollouts, feedback=feedback)


def test_summary_by_hand():
    found = summarise([judged(2.0, 0.0, None), judged(2.0, 2.0, stop="length")])
    assert found == pytest.approx(
        {
            "tokens": 9,
            "completion_length": 1.8,
            "truncated_share": 0.4,
            "grader_errors": 1,
            "no_spread_share": 0.5,
            "reward": 1.5,
            "reward_std": np.std([2, 0, 2, 2]),
            "reward/answer": 0.75,
        }
    )


def test_summary_without_any_verdict_has_no_reward():
    found = summarise([judged(None, None)])
    assert "reward" not in found
    assert found["grader_errors"] == 2
