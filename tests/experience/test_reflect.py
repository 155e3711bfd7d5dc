"""Improved attempts read earlier ones: which, how many, in which words, and from where."""

from contextlib import nullcontext
from dataclasses import replace

from goalward.engines.engine import Sampling
from goalward.engines.native import NativeEngine
from goalward.experience.attempts import Attempts
from goalward.experience.changed import Changed, forget_labels
from goalward.experience.reflect import Reflecting, Reflector, ReflectSettings, reflection
from goalward.experience.voters import Asking, Voters
from goalward.feedback.grade import recorded
from goalward.types import Feedback, Group, Task

TASK = Task(
    id="t",
    messages=({"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}),
    reference="4",
)


def test_the_prompt_shows_what_was_said_before_and_asks_again():
    system, user = reflection(TASK, ["so 2 + 2 = 5", "<answer>4</answer>"], "answers")
    assert system == TASK.messages[0]
    assert user["content"] == "Earlier answers: 5, 4\nThey may be wrong. Think again.\n2 + 2?"
    _, user = reflection(TASK, ["so 5", "so 4"], "solutions")
    assert user["content"].startswith("Earlier answer 1: so 5\nEarlier answer 2: so 4\n")
    assert user["content"].endswith("\n2 + 2?")


def reflector(policy, **settings) -> Reflector:
    return Reflector(
        NativeEngine(policy), policy.chat.prompt, ReflectSettings(**settings), Sampling(max_tokens=4), seed=3
    )


GROUP = Group(task=TASK, rollouts=tuple(recorded(f"one {letter}") for letter in "abcdef"))


def prompts(policy, attempts):
    return [policy.chat.text(rollout.prompt) for rollout in attempts]


def test_each_attempt_reads_its_own_few(tiny_policy):
    policy = tiny_policy()
    [improved] = reflector(policy, given=2).improve([GROUP], [5], size=4, version=1)
    read = [
        tuple(letter for letter in "abcdef" if f"one {letter}" in text) for text in prompts(policy, improved)
    ]
    assert {len(each) for each in read} == {2} and len(set(read)) > 1
    assert {rollout.version for rollout in improved} == {1}
    # By itself and beside others, a group gets the same.
    _, again = reflector(policy, given=2).improve([GROUP, GROUP], [4, 5], size=4, version=1)
    assert [r.completion.tolist() for r in again] == [r.completion.tolist() for r in improved]


def test_rounds_read_what_the_round_before_wrote(tiny_policy):
    policy = tiny_policy()
    [once] = reflector(policy, given=9).improve([GROUP], [0], size=3, version=0)
    [twice] = reflector(policy, given=9, rounds=2).improve([GROUP], [0], size=3, version=0)
    assert "one a" in prompts(policy, once)[0]
    assert "one a" not in prompts(policy, twice)[0] and once[0].text.strip() in prompts(policy, twice)[0]


def test_an_experience_is_changed_in_order_and_keeps_its_place(tiny_policy):
    policy = tiny_policy()
    engine, sampling = NativeEngine(policy), Sampling(max_tokens=4)
    inner = Attempts([TASK], engine, policy.chat, group_size=3, sampling=sampling, seed=0)
    voters = Voters(
        engine,
        policy.chat,
        size=2,
        sampling=sampling,
        seed=0,
        acting=lambda: nullcontext(policy),
        rewrite=str.upper,
    )
    changed = Changed(
        inner,
        [
            forget_labels,
            Reflecting(reflector=reflector(policy), size=5),
            Asking(contrast=voters),
        ],
    )
    first, second = changed.collect(2, version=0)
    assert (changed.cursor, len(changed)) == (2, 1)
    assert first.task.reference is None
    assert [len(x) for x in (first.rollouts, first.voters, first.contrast)] == [5, 3, 2]
    assert "2 + 2?" in policy.chat.text(first.voters[0].prompt)
    assert "Earlier answer 3" in policy.chat.text(first.rollouts[0].prompt)
    assert first.contrast[0].completion.tolist() != second.contrast[0].completion.tolist()
    changed.cursor = 1
    [again] = changed.collect(1, version=0)
    assert again.rollouts[0].completion.tolist() == second.rollouts[0].completion.tolist()


def test_labels_and_recorded_feedback_are_forgotten():
    known = replace(GROUP, task=replace(TASK, info={"answer": 4}), feedback=(Feedback(score=1.0),) * 6)
    [blind] = forget_labels([known], [0], 0)
    assert (blind.task.reference, dict(blind.task.info), blind.feedback) == (None, {}, ())
    assert blind.rollouts == known.rollouts


def test_in_hindsight_each_attempt_has_read_others_and_stays_as_it_is(tiny_policy):
    policy = tiny_policy()
    change = Reflecting(reflector=reflector(policy, given=2, hindsight=True), size=99)
    [after] = change([GROUP], [7], 0)
    made, read = after.rollouts[:6], after.rollouts[6:]
    assert made == after.voters == GROUP.rollouts
    assert [r.text for r in read] == [r.text for r in made]
    for own, text in zip("abcdef", prompts(policy, read), strict=True):
        assert f"one {own}" not in text and text.count("Earlier answer ") == 2
