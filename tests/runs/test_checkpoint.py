import errno
import os
import resource
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from goalward.errors import GoalwardError
from goalward.runs import checkpoint


def writer(value):
    def write(folder):
        (folder / "nested").mkdir()
        (folder / "nested" / "config.json").write_text("{}")
        save_file({"w": torch.full((100,), float(value))}, folder / "model.safetensors")

    return write


def save(directory, step, **kwargs):
    return checkpoint.save(directory, step, writer(step), {"step": step, "m": torch.arange(3)}, **kwargs)


def names(directory):
    return sorted(path.name for path in (directory / "checkpoints").iterdir())


def test_what_is_saved_is_loaded(tmp_path):
    assert checkpoint.latest(tmp_path) is None
    path = save(tmp_path, 7)
    assert path == tmp_path / "checkpoints" / "step-7" == checkpoint.latest(tmp_path)
    assert checkpoint.step_of(path) == 7
    state = checkpoint.load_state(path)
    assert state["step"] == 7
    assert torch.equal(state["m"], torch.arange(3))
    assert load_file(path / "model.safetensors")["w"][0] == 7.0


def test_the_newest_are_kept_by_number_not_by_name(tmp_path):
    for step in (8, 9, 10, 11):
        save(tmp_path, step)
    assert names(tmp_path) == ["step-10", "step-11"]
    assert checkpoint.latest(tmp_path).name == "step-11"
    save(tmp_path, 12, keep=1)
    assert names(tmp_path) == ["step-12"]


def test_a_step_is_saved_once(tmp_path):
    save(tmp_path, 1)
    checkpoint.save(tmp_path, 1, lambda folder: pytest.fail("written again"), {})
    assert names(tmp_path) == ["step-1"]


def test_leftovers_are_ignored_by_readers_and_swept_by_the_next_save(tmp_path):
    save(tmp_path, 1)
    left = tmp_path / "checkpoints" / ".unfinished-step-2"
    left.mkdir()
    (left / "model.safetensors").write_text("half")
    assert checkpoint.latest(tmp_path).name == "step-1"
    assert left.exists()  # it may be another process's, at work
    save(tmp_path, 2)
    assert names(tmp_path) == ["step-1", "step-2"]


@pytest.mark.parametrize("where", ["write", "fsync"])
def test_a_full_disk_leaves_the_older_checkpoint(tmp_path, monkeypatch, where):
    save(tmp_path, 1, keep=1)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if where == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        GoalwardError, match="step-2: the checkpoint cannot be written: No space left on device"
    ):
        checkpoint.save(tmp_path, 2, full if where == "write" else writer(2), {}, keep=1)
    assert names(tmp_path) == ["step-1"]
    assert checkpoint.load_state(checkpoint.latest(tmp_path))["step"] == 1


@pytest.mark.parametrize(("model", "state"), [(100_000, 1), (1, 100_000)])
def test_safetensors_and_torch_out_of_room(tmp_path, model, state):
    """Really out of room: no file may grow over 20 kB, which fails inside the libraries' own writing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(
            GoalwardError, match=r"step-2: the checkpoint cannot be written: .*File too large"
        ):
            checkpoint.save(
                tmp_path,
                2,
                lambda folder: save_file({"w": torch.zeros(model)}, folder / "model.safetensors"),
                {"m": torch.zeros(state)},
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


def test_what_the_writer_does_wrong_is_not_called_a_full_disk(tmp_path):
    with pytest.raises(ZeroDivisionError):
        checkpoint.save(tmp_path, 2, lambda folder: 1 / 0, {})
    assert checkpoint.latest(tmp_path) is None


def test_a_damaged_state_is_named(tmp_path):
    path = save(tmp_path, 1)
    whole = (path / "trainer.pt").read_bytes()
    for content in (whole[:100], b"", b"garbage" * 50):
        (path / "trainer.pt").write_bytes(content)
        with pytest.raises(GoalwardError, match=r"trainer\.pt: cannot be read"):
            checkpoint.load_state(path)
    (path / "trainer.pt").unlink()
    with pytest.raises(GoalwardError, match="No such file"):
        checkpoint.load_state(path)


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
from goalward.runs import checkpoint

torch.set_num_threads(1)  # a forked child has none of its parent's threads, and would wait for them
run, kills = Path(sys.argv[1]), int(sys.argv[2])
generator, newest = random.Random(0), 0

def save(step):
    checkpoint.save(
        run,
        step,
        lambda folder: save_file({"w": torch.full((50_000,), float(step))}, folder / "model.safetensors"),
        {"step": step, "m": torch.full((50_000,), float(step))},
    )

def save_forever(step):
    while True:
        save(step)
        step += 1

def reached():
    path = checkpoint.latest(run)
    return -1 if path is None else checkpoint.step_of(path)

for _ in range(kills):
    child = os.fork()
    if child == 0:
        save_forever(newest + 1)
    # Some saves later, however slow the machine is now, and then some milliseconds.
    goal, limit = newest + generator.choice((0, 0, 1, 2)), time.monotonic() + 30
    while reached() < goal and time.monotonic() < limit:
        time.sleep(0.001)
    time.sleep(generator.uniform(0.0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for path in (run / "checkpoints").glob("step-*"):
        step = checkpoint.step_of(path)
        state = checkpoint.load_state(path)
        assert state["step"] == step and (state["m"] == step).all()
        assert (load_file(path / "model.safetensors")["w"] == step).all()
    path = checkpoint.latest(run)
    if path is not None:
        assert checkpoint.step_of(path) >= newest, (path, newest)
        newest = checkpoint.step_of(path)
print(newest)
"""


def test_killed_at_any_instant_the_latest_checkpoint_is_whole(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", KILLS, str(tmp_path), "30"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 10
    save(tmp_path, 10_000)
    assert not [name for name in names(tmp_path) if not name.startswith("step-")]
