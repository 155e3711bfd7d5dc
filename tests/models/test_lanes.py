import threading

import pytest
import torch

from goalward.models.lanes import lanes, side_by_side


@pytest.fixture
def two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def test_jobs_run_at_the_same_time_on_a_thread_each_and_keep_their_order(two_threads):
    meet = threading.Barrier(2, timeout=20)

    def job(name):
        meet.wait()  # times out unless both are running
        return name, torch.get_num_threads()

    assert side_by_side([lambda: job("a"), lambda: job("b")]) == [("a", 1), ("b", 1)]
    assert torch.get_num_threads() == 2


def test_a_single_job_gets_all_threads(two_threads):
    assert side_by_side([torch.get_num_threads]) == [2]
    assert side_by_side([]) == []


def test_what_a_job_raises_comes_through_and_the_threads_come_back(two_threads):
    with pytest.raises(ZeroDivisionError):
        side_by_side([lambda: 1 / 0, lambda: 1])
    assert torch.get_num_threads() == 2


def test_large_models_work_in_one_lane(tiny_policy, two_threads, monkeypatch):
    policy = tiny_policy()
    assert lanes(policy) == 2
    monkeypatch.setattr("goalward.models.lanes.SMALL", 1000)
    assert lanes(policy) == 1
