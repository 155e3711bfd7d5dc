"""New attempts from pieces of a log's, token by token."""

import json
from pathlib import Path

import numpy as np
import pytest

from goalward.experience.log import Log, RecordedLog
from goalward.experience.stitched import StitchedLog, computed_values, token_ends

FAILED = "1+1=2. So 2+3=6. It is 6"
RIGHT = "two twos: 4-2=2. So 2*5=10. It is 10"


@pytest.fixture
def log(tmp_path: Path, tiny_policy):
    policy = tiny_policy()

    def make(*rows: tuple[str, float | None]) -> Log:
        path = tmp_path / "log.jsonl"
        path.write_text(
            "".join(json.dumps({"prompt": "q", "response": r, "reward": s}) + "\n" for r, s in rows)
        )
        return Log(
            RecordedLog(path), policy.chat, vocabulary=policy.vocabulary, context=policy.context, seed=0
        )

    return make, policy.chat


def stitched(log: Log, chat, temperature: float = 0.1, **changes) -> StitchedLog:
    given = {"attempts": 40, "seed": 0} | changes
    return StitchedLog(log, chat, computed_values, temperature=temperature, **given)


def test_computed_values_are_a_key_behind_every_result():
    assert computed_values(FAILED) == [(5, frozenset({2.0})), (15, frozenset({2.0, 6.0}))]
    assert computed_values("x=1,200.5, y = -3") == [(9, {1200.5}), (17, {1200.5, -3.0})]
    assert computed_values("no sums here") == []


def test_a_failed_beginning_gets_a_right_end(log):
    make, chat = log
    [group] = stitched(make((FAILED, 0.0), (RIGHT, 1.0)), chat).collect(1, version=0)
    texts = {rollout.text for rollout in group.rollouts}
    assert "1+1=2. So 2*5=10. It is 10" in texts
    for rollout, feedback in zip(group.rollouts, group.feedback, strict=True):
        assert feedback.score == float(rollout.text.endswith("It is 10"))
        assert rollout.completion[-1] == chat.end_id  # the end is part of the last piece
        assert rollout.prompt.tolist() == chat.prompt(group.task.messages).tolist()
        assert rollout.logprobs is None
        assert rollout.sampled.all()
    new = next(r for r in group.rollouts if r.text == "1+1=2. So 2*5=10. It is 10")
    assert new.sources == (("0", 0), ("1", 1), ("1", 2))
    # At this temperature hardly an attempt ends wrong; with much, as many as in the log.
    assert np.mean([feedback.score for feedback in group.feedback]) > 0.9
    [plain] = stitched(make((FAILED, 0.0), (RIGHT, 1.0)), chat, 1e6, attempts=200).collect(1, version=0)
    assert np.mean([feedback.score for feedback in plain.feedback]) == pytest.approx(0.5, abs=0.12)


def test_attempts_hang_on_the_draw_alone(log):
    make, chat = log
    source = make((FAILED, 0.0), (RIGHT, 1.0))
    first = stitched(source, chat)
    first.collect(2, version=0)
    again = stitched(source, chat)
    again.cursor = 1
    third, fourth = first.collect(1, version=0), None
    again.collect(1, version=5)
    fourth = again.collect(1, version=5)
    assert [r.text for r in third[0].rollouts] == [r.text for r in fourth[0].rollouts]


def test_what_nobody_judged_is_not_stitched(log):
    make, chat = log
    [group] = stitched(make((FAILED, None)), chat).collect(1, version=0)
    assert group.rollouts == ()


def test_text_is_cut_between_tokens_only(log):
    _, chat = log
    tokens = np.asarray(chat.completion("a=1é=2"))
    ends = token_ends(tokens, chat)
    assert len(ends) == tokens.size
    assert ends[:3] == [1, 2, 3]
    assert ends[-2:] == [6, 6]
