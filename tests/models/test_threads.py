import pytest
import torch

from goalward.models import threads

STAT = """cpu  30 0 30 140 0 0 0 0 0 0
cpu0 10 0 10 {idle} {wait} 0 0 0 0 0
cpu1 20 0 20 {busy} 0 0 0 0 0 0
intr 5
"""


@pytest.fixture
def stat(tmp_path, monkeypatch):
    path = tmp_path / "stat"
    path.write_text(STAT.format(idle=70, wait=10, busy=60))
    monkeypatch.setattr(threads, "_STAT", path)
    monkeypatch.setattr(threads, "_mine", lambda: {0, 1})
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield path
    torch.set_num_threads(1)


def test_times_by_hand(stat):
    assert threads.times(stat.read_text()) == {0: (80, 100), 1: (60, 100)}


def test_cores_that_others_use_are_left_to_them(stat, monkeypatch):
    # While we look, core 0 waits for nothing but a disk; core 1 works.
    later = STAT.format(idle=76, wait=14, busy=61).replace("cpu1 20", "cpu1 29")
    monkeypatch.setattr(threads.time, "sleep", lambda _: stat.write_text(later))
    assert "1 of 2 cores" in threads.use_free_cores()
    assert torch.get_num_threads() == 1


def test_all_cores_where_all_are_free(stat, monkeypatch):
    later = STAT.format(idle=79, wait=11, busy=70)
    monkeypatch.setattr(threads.time, "sleep", lambda _: stat.write_text(later))
    assert threads.use_free_cores() == "CPU: 2 threads, one for each core"
    assert torch.get_num_threads() == 2


def test_what_a_person_asked_for_stays(stat, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "as OMP_NUM_THREADS says" in threads.use_free_cores()
    assert torch.get_num_threads() == 1


def test_where_the_system_does_not_tell(stat):
    stat.unlink()
    threads.use_free_cores()
    assert torch.get_num_threads() == 2
