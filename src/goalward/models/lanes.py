"""Work side by side on a CPU's cores.

A small model's tensors are too small to be cut among threads: most of its operations then run on one core while
the others wait. So each core takes a share of the micro-batches instead, a lane, and runs every operation on its own.
Which share is fixed by the number of threads, so a run can be repeated bit by bit.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import nn

from goalward.models.policy import Policy

SMALL = 2**25
"""Parameters up to which lanes are faster; a larger model's operations fill all cores, and its gradients memory."""

T = TypeVar("T")


def lanes(policy: Policy) -> int:
    """How many lanes to work in: one for each of torch's threads, or a single one with all of them."""
    return torch.get_num_threads() if small(policy.inner) else 1


def small(model: nn.Module) -> bool:
    """Whether a CPU computes the model, and it is so small that lanes are faster."""
    parameters = list(model.parameters())
    return parameters[0].device.type == "cpu" and sum(p.numel() for p in parameters) <= SMALL


def side_by_side(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run the jobs at the same time, each on one thread; a single one gets all threads. Their results, in order.

    Gradient modes are a thread's own: a job sets its own.
    """
    if len(jobs) < 2:
        return [job() for job in jobs]
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(_alone, jobs))
    finally:
        torch.set_num_threads(threads)


def _alone(job: Callable[[], T]) -> T:
    torch.set_num_threads(1)
    return job()
