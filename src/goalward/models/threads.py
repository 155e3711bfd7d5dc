"""How many of the CPU's cores to use: those that nobody else is using."""

import os
import time
from pathlib import Path

import torch

_STAT = Path("/proc/stat")
_LOOK = 0.1
"""Seconds over which the cores are watched."""


def use_free_cores() -> str:
    """Set torch's threads to the number of cores that are free now, and say so in a line.

    A thread more than there are free cores costs far more than one less: the others wait for it at the end of every
    operation. OMP_NUM_THREADS, where it is set, has been obeyed by torch already and stays.
    """
    mine = _mine()
    if "OMP_NUM_THREADS" in os.environ:
        return f"CPU: {torch.get_num_threads()} threads, as OMP_NUM_THREADS says"
    free = [core for core, busy in _busy(mine).items() if busy < 0.5]
    torch.set_num_threads(max(len(free), 1))
    if len(free) == len(mine):
        return f"CPU: {len(mine)} threads, one for each core"
    return f"CPU: {max(len(free), 1)} of {len(mine)} cores are free, so as many threads; OMP_NUM_THREADS sets another number"


def _mine() -> set[int]:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _busy(cores: set[int]) -> dict[int, float]:
    """The share of a moment in which each core worked; 0 where the system does not tell."""
    if not _STAT.exists():
        return dict.fromkeys(cores, 0.0)
    before = times(_STAT.read_text())
    time.sleep(_LOOK)
    after = times(_STAT.read_text())
    shares = {}
    for core in cores & before.keys():
        idle, whole = (new - old for new, old in zip(after[core], before[core], strict=True))
        shares[core] = 1 - idle / whole if whole else 0.0
    return dict.fromkeys(cores, 0.0) | shares


def times(stat: str) -> dict[int, tuple[int, int]]:
    """From the text of /proc/stat, each core's time idle (waiting for disks, too) and its time in all, in ticks."""
    found = {}
    for line in stat.splitlines():
        name, *numbers = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(number) for number in numbers[:8]]  # what follows is part of the first
            found[int(name[3:])] = (ticks[3] + ticks[4], sum(ticks))
    return found
