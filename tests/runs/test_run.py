import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from goalward.errors import GoalwardError, UsageError
from goalward.runs.run import Run, read_metrics, read_result, rollout_rows
from goalward.types import Feedback, Group, Rollout, Task

RECIPE = 'name = "quick"\nseed = 0\n[optimizer]\nlr = 1e-5\nbetas = [0.9, 0.99]\n'


def group(scores=(1.0, None), chosen=(True, True)):
    def attempt():
        return Rollout(
            prompt=np.array([5, 6], dtype=np.int32),
            completion=np.array([7, 8], dtype=np.int32),
            sampled=np.array(chosen),
            logprobs=np.array([-0.1234567, -np.inf], dtype=np.float32),
            text="sieben\u2028\n",
            stop="eos",
            version=3,
        )

    return Group(
        task=Task(id="t", messages=({"role": "user", "content": "?"},), reference="7"),
        rollouts=tuple(attempt() for _ in scores),
        feedback=tuple(
            Feedback(score=score, parts={"answer": math.nan}, error=None if score else "broke")
            for score in scores
        ),
    )


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_a_step_is_recorded_and_read(tmp_path):
    with Run.open(tmp_path / "a" / "quick", RECIPE) as run:
        run.record(
            0, {"reward": np.float32(0.5), "kl": math.nan, "loss": math.inf, "step": 0.0}, [group(), group()]
        )
        [row] = run.metrics()
        assert row.pop("kl") != row.get("kl")
        assert math.isnan(row.pop("loss"))
        assert row == {"step": 0, "reward": 0.5}
        assert '"kl": null' in run.metrics_path.read_text()
        rows = lines(run.rollouts_path)
    assert [(row["group"], row["index"]) for row in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert rows[1] == {
        "step": 0,
        "task": "t",
        "group": 0,
        "index": 1,
        "messages": [{"role": "user", "content": "?"}],
        "reference": "7",
        "prompt": [5, 6],
        "completion": [7, 8],
        "sampled": None,
        "logprobs": [-0.12346, None],
        "text": "sieben\u2028\n",
        "stop": "eos",
        "version": 3,
        "score": None,
        "parts": {"answer": None},
        "note": "",
        "error": "broke",
        "sources": [],
    }


def test_recorded_tokens_and_unjudged_groups_are_told_apart():
    [row] = rollout_rows(4, [group(scores=(1.0,), chosen=(False, True))])
    assert row["sampled"] == [False, True]
    unjudged = Group(task=group().task, rollouts=group().rollouts)
    assert [row["score"] for row in rollout_rows(4, [unjudged])] == [None, None]


def test_the_same_recipe_resumes_and_another_is_refused(tmp_path):
    with Run.open(tmp_path, RECIPE) as run:
        run.record(0, {"reward": 1.0}, [])
    with Run.open(tmp_path, "# the same\n" + RECIPE) as run:
        assert len(run.metrics()) == 1
    other = RECIPE.replace("1e-5", "2e-5").replace("seed = 0", "seed = 1\nnew = 'x'").replace("0.99", "0.95")
    with pytest.raises(UsageError) as refused:
        Run.open(tmp_path, other + "more = 1\n")
    message = str(refused.value)
    assert "seed: 0 there, 1 now; optimizer.lr: 1e-05 there, 2e-05 now" in message
    assert "and 2 more" in message
    assert "`run=`" in message
    assert (tmp_path / "recipe.toml").read_text() == RECIPE
    with Run.open(tmp_path, RECIPE):  # the refusal let go of the lock
        pass


@pytest.mark.parametrize("torn", [b'{"step": 2, "rew', b'{"step": 2, "reward": 1.0}', b"x" * 200_000])
def test_a_torn_last_line_is_dropped(tmp_path, torn):
    with Run.open(tmp_path, RECIPE) as run:
        for step in range(2):
            run.record(step, {"reward": 1.0}, [group()])
        whole = run.metrics_path.read_bytes(), run.rollouts_path.read_bytes()
    for path in (run.metrics_path, run.rollouts_path):
        with path.open("ab") as file:
            file.write(torn)
    with Run.open(tmp_path, RECIPE) as run:
        assert (run.metrics_path.read_bytes(), run.rollouts_path.read_bytes()) == whole
        run.record(2, {"reward": 1.0}, [])
        assert [row["step"] for row in run.metrics()] == [0, 1, 2]


def test_a_file_with_only_a_torn_line_is_emptied(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step"')
    with Run.open(tmp_path, RECIPE) as run:
        assert run.metrics() == []


def test_rewinding_forgets_a_step_and_all_after_it(tmp_path):
    with Run.open(tmp_path, RECIPE) as run:
        run.rewind(0)
        for step in range(5):
            run.record(step, {"reward": float(step)}, [group()])
        before = run.rollouts_path.read_bytes()
        run.rewind(9)
        assert run.rollouts_path.read_bytes() == before
        run.rewind(3)
        assert [row["step"] for row in run.metrics()] == [0, 1, 2]
        assert [row["step"] for row in lines(run.rollouts_path)] == [0, 0, 1, 1, 2, 2]
        for step in range(3, 5):
            run.record(step, {"reward": float(step)}, [group()])
        assert run.rollouts_path.read_bytes() == before
        run.rewind(0)
        assert run.metrics() == lines(run.rollouts_path) == []


def test_a_malformed_line_in_the_middle_is_named(tmp_path):
    with Run.open(tmp_path, RECIPE) as run:
        for step in range(3):
            run.record(step, {}, [])
        run.metrics_path.write_bytes(run.metrics_path.read_bytes().replace(b'{"step": 1}', b'{"step"= 1}'))
        with pytest.raises(UsageError, match=r"metrics\.jsonl, line 2"):
            run.metrics()


def test_a_finished_run_says_so(tmp_path):
    with Run.open(tmp_path, RECIPE) as run:
        assert run.result() is None
        run.finish({"model": "checkpoints/step-3"})
        assert run.result() == read_result(tmp_path) == {"model": "checkpoints/step-3"}
    assert read_metrics(tmp_path / "metrics.jsonl") == []


HOLD = """
import sys
from pathlib import Path
from goalward.runs.run import Run
run = Run.open(Path(sys.argv[1]), sys.argv[2])
print("open", flush=True)
step = 0
while True:
    run.record(step, {"reward": 1.0}, [])
    step += 1
"""


def test_one_process_writes_at_a_time_and_a_killed_one_lets_go(tmp_path):
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path, RECIPE], stdout=subprocess.PIPE
        ) as other:
            try:
                assert other.stdout is not None
                assert other.stdout.readline() == b"open\n"
                with pytest.raises(
                    UsageError, match=rf"another process \(pid {other.pid}\) is writing this run"
                ):
                    Run.open(tmp_path, RECIPE)
            finally:
                other.send_signal(signal.SIGKILL)
        with Run.open(tmp_path, RECIPE) as run:
            steps = [row["step"] for row in run.metrics()]
            assert steps == list(range(len(steps)))
            run.rewind(0)


def test_a_full_disk_is_one_plain_line_and_loses_nothing_written(tmp_path, monkeypatch):
    with Run.open(tmp_path, RECIPE) as run:
        run.record(0, {"reward": 1.0}, [group()])
        before = run.rollouts_path.read_bytes()

        def full(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(
                GoalwardError, match=r"rollouts\.jsonl: cannot be written: No space left on device"
            ):
                run.record(1, {"reward": 1.0}, [group()])
        assert run.rollouts_path.read_bytes() == before
        run.record(1, {"reward": 1.0}, [group()])
        assert [row["step"] for row in lines(run.rollouts_path)] == [0, 0, 1, 1]


def test_a_directory_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GoalwardError, match="cannot be written: Not a directory"):
        Run.open(tmp_path / "file" / "run", RECIPE)
