"""A log is read row by row, and what is wrong with it is said with the line."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from goalward.errors import UsageError
from goalward.experience.log import Log, RecordedLog, effective_sample_size
from goalward.runs.run import Run
from goalward.types import Feedback, Group, Rollout, Task

PLAIN = [
    {"prompt": "say a", "response": "a", "reward": 1},
    {"prompt": "say a", "response": "b", "reward": 0.0},
    {"prompt": "say b", "response": "b", "reward": None},
]


def own(tokenizer: Any, **changes: object) -> dict[str, Any]:
    text = "ab"
    row = {
        "task": "t1",
        "messages": [{"role": "user", "content": "say ab"}],
        "prompt": [1, 2, 3],
        "completion": [*tokenizer(text)["input_ids"], 258],
        "logprobs": [-0.5] * (len(text) + 1),
        "sampled": None,
        "text": text,
        "stop": "eos",
        "score": 1.0,
    }
    return row | changes


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(rows: list[Any], name: str = "log.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
        return path

    return write


def experience(path: Path, policy: Any) -> Log:
    return Log(RecordedLog(path), policy.chat, vocabulary=policy.vocabulary, context=policy.context, seed=0)


def test_plain_rows_become_groups_by_prompt(write, tiny_policy):
    policy = tiny_policy()
    log = experience(write(PLAIN), policy)
    assert len(log) == 2
    first, second = sorted(log.collect(2, version=0), key=lambda group: -len(group.rollouts))
    assert [f.score for f in first.feedback] == [1.0, 0.0]
    assert [f.score for f in second.feedback] == [None]
    assert first.rollouts[0].completion.tolist() == policy.chat.completion("a").tolist()
    assert first.rollouts[0].prompt.tolist() == policy.chat.prompt(first.task.messages).tolist()
    assert first.rollouts[0].logprobs is None


def test_parquet_rows_are_the_same(write, tmp_path: Path, tiny_policy):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(PLAIN), tmp_path / "log.parquet")
    policy = tiny_policy()
    ours, theirs = experience(write(PLAIN), policy), experience(tmp_path / "log.parquet", policy)
    for mine, other in zip(ours.collect(2, version=0), theirs.collect(2, version=0), strict=True):
        assert [r.completion.tolist() for r in mine.rollouts] == [
            r.completion.tolist() for r in other.rollouts
        ]
        assert mine.feedback == other.feedback


def test_what_a_run_wrote_is_read_back_exactly(tmp_path: Path, tiny_policy, make_tokenizer):
    tokens = np.asarray([*make_tokenizer()("ab")["input_ids"], 258], np.int32)
    group = Group(
        task=Task(id="t1", messages=({"role": "user", "content": "say ab"},), reference="ab"),
        rollouts=(
            Rollout(
                prompt=np.array([5, 6], np.int32),
                completion=tokens,
                sampled=np.array([True, False, True]),
                logprobs=np.array([-0.5, np.nan, -1.25], np.float32),
                text="ab",
                stop="eos",
                version=7,
            ),
        ),
        feedback=(Feedback(score=0.5, parts={"answer": 0.5}, note="half"),),
    )
    with Run.open(tmp_path / "run", "seed = 1\n") as run:
        run.record(0, {}, [group])
    [read] = experience(tmp_path / "run", tiny_policy()).collect(1, version=3)
    assert (read.task, read.feedback) == (group.task, group.feedback)
    [before], [after] = group.rollouts, read.rollouts
    for name in ("prompt", "completion", "sampled"):
        assert getattr(before, name).tolist() == getattr(after, name).tolist()
    np.testing.assert_array_equal(before.logprobs, after.logprobs)
    assert (after.text, after.stop, after.version) == ("ab", "eos", 7)


def test_a_log_set_back_to_a_cursor_gives_the_same_again(write, tiny_policy):
    rows = [{"prompt": f"say {n}", "response": "a", "reward": 0} for n in range(9)]
    log = experience(write(rows), tiny_policy())
    first = [group.task.id for group in log.collect(6, version=0)]
    log.cursor = 3
    assert [group.task.id for group in log.collect(3, version=9)] == first[3:]


def test_the_report_by_hand(write):
    found = RecordedLog(write([*PLAIN, {"prompt": "say a", "response": "a", "reward": 1}])).report()
    tokens = found.pop("tokens")
    assert tokens == 0  # one character each: nobody knows how many tokens, and four make one on average
    assert found == {
        "rows": 4,
        "tasks": 2,
        "distinct": 3,
        "scored": 3,
        "best": 1.0,
        "mean": pytest.approx(2 / 3),
        "worst": 0.0,
        "deviation": pytest.approx(np.std([1, 0, 1])),
        "solved": 1,
        "spread": 1,
    }
    assert "best" not in RecordedLog(write(PLAIN[2:])).report()


def test_effective_sample_size_by_hand():
    assert effective_sample_size([0.3, 0.3, 0.3]) == pytest.approx(3)
    # weights 1 and 3: 16 / 10
    assert effective_sample_size([0.0, np.log(3)]) == pytest.approx(1.6)
    assert effective_sample_size([0.0, 5000.0]) == pytest.approx(1)
    assert effective_sample_size([]) == 0


GOOD = PLAIN[0]
NO_REWARD = {"prompt": "a", "response": "b"}
MESSAGES = [{"role": "user", "content": "hm"}]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "not valid JSON (the file seems to be cut off here)"),
        ('{"prompt": "a", "resp', "not valid JSON (the file seems to be cut off here)"),
        ("[" * 100_000 + "\n", "not valid JSON"),
        ("[1]\n", "expected a JSON object, found list"),
        (NO_REWARD, "there is no column 'reward'"),
        (NO_REWARD | {"rewards": 1}, "did you mean 'rewards'?"),
        (GOOD | {"reward": "high"}, "'reward' should be a number or null, found 'high'"),
        (GOOD | {"reward": True}, "'reward' should be a number or null, found True"),
        (
            '{"prompt": "a", "response": "b", "reward": NaN}\n',
            "'reward' should be a finite number, found nan",
        ),
        (f'{{"prompt": "a", "response": "b", "reward": 1{"0" * 400}}}\n', "should be a finite number"),
        (GOOD | {"response": ["x"]}, "'response' should be text, found list"),
        (GOOD | {"response": "x" * 2_000_000}, "'response' has 2,000,000 characters; at most 1,048,576"),
        (GOOD | {"prompt": 3}, "'prompt' should be text or a list of messages, found int"),
        (GOOD | {"prompt": []}, "'prompt' should be text or a list of messages"),
        (GOOD | {"reference": 3}, "'reference' should be text, found 3"),
        ({"completion": [0] * 10_000_000}, "there is no column 'task'"),
    ],
    ids=str,
)
def test_a_bad_row_is_named_with_its_line(write, row, message):
    path = write([GOOD, "\n", row])
    with pytest.raises(UsageError) as caught:
        RecordedLog(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert str(caught.value).count("\n") <= 1
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"completion": [1] * 10_000_000}, "'completion' has 10,000,000 tokens; at most 131,072"),
        ({"completion": [1, -2]}, "'completion' should hold token ids, found -2"),
        ({"completion": [1, 2.5]}, "'completion' should hold token ids, found 2.5"),
        ({"completion": [1, 2**40]}, "'completion' should hold token ids"),
        ({"completion": [1, True]}, "'completion' should hold token ids, found True"),
        ({"completion": []}, "'completion' has no tokens"),
        ({"prompt": "text"}, "'prompt' should be a list of token ids, found 'text'"),
        ({"logprobs": [-1.0]}, "'logprobs' should be null or 3 numbers"),
        ({"logprobs": [0.7, -1, -1]}, "'logprobs' are logarithms of probabilities"),
        ({"sampled": [1, 1, 1]}, "'sampled' should be null or 3 times true or false"),
        ({"stop": "later"}, "'stop' should be one of eos, stop, length, recorded, found 'later'"),
        ({"score": "1"}, "'score' should be a number or null, found '1'"),
        ({"parts": [1]}, "'parts' should be a table of numbers"),
        ({"parts": {"a": "b"}}, "'parts.a' should be a number or null, found 'b'"),
        ({"text": None}, "'text' should be text, found None"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "a message in 'messages' should have a role"),
    ],
    ids=str,
)
def test_a_bad_row_of_a_run_is_named_with_its_line(write, make_tokenizer, changes, message):
    tokenizer = make_tokenizer()
    path = write([own(tokenizer), own(tokenizer, **changes)])
    with pytest.raises(UsageError) as caught:
        RecordedLog(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}, line 2: ")


def test_a_row_that_the_model_cannot_read(write, make_tokenizer, tiny_policy):
    policy, tokenizer = tiny_policy(), make_tokenizer()
    with pytest.raises(UsageError, match="has token 999, and the model knows 272"):
        experience(write([own(tokenizer, completion=[999, 1, 1])]), policy)
    with pytest.raises(UsageError, match="has 404 tokens, prompt included; the model takes 256"):
        experience(write([own(tokenizer, completion=[5] * 401, logprobs=None)]), policy)
    with pytest.raises(UsageError, match="another tokenizer's"):
        experience(write([own(tokenizer, completion=[5, 6, 258])]), policy)
    experience(write([own(tokenizer)]), policy)


def test_what_is_no_log(tmp_path: Path, write):
    with pytest.raises(UsageError, match="there is no such log"):
        RecordedLog(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="there are no rows in it"):
        RecordedLog(write(["\n", "\n"]))
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(UsageError, match=r"torn\.parquet: cannot be read"):
        RecordedLog(tmp_path / "torn.parquet")


def test_an_endless_line_is_not_read_whole(write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("goalward.experience.log._LONGEST_LINE", 2**20)
    path = write([GOOD, GOOD | {"response": "x" * 2**21}])
    with pytest.raises(UsageError, match="line 2: over 1 MiB in one row"):
        RecordedLog(path)


def test_a_log_is_not_held_in_memory(write):
    rows = [{"prompt": f"say {n}", "response": "x" * 4000, "reward": 0} for n in range(2000)]
    path = write(rows)
    tracemalloc.start()
    try:
        log = RecordedLog(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 8e6
    assert most < 2e6
    assert log.row(1234).task.messages[0]["content"] == "say 1234"
