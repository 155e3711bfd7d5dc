"""Run a recipe in child processes that are killed at random instants, until one is left to finish.

Torch is imported once and the children are forked, so that twenty of them take seconds. A child is
killed some rows of metrics after its start, and then some milliseconds: the kills fall on all
parts of a step, and all along the run, however fast the machine is.
Prints as JSON the last child's status and the number of rows at each kill.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from matplotlib import figure  # noqa: F401  # what every start would import, as the next two
from rich.console import Console
from transformers.models.qwen2 import modeling_qwen2  # noqa: F401

from goalward.recipe import load_recipe
from goalward.stages import run_recipe


def main() -> None:
    torch.set_num_threads(1)
    recipe, kills, run, *overrides = sys.argv[1:]
    chance = random.Random(7)
    rows: list[int] = []
    while True:
        child = os.fork()
        if child == 0:
            run_recipe(load_recipe(Path(recipe), [f"run={run}", *overrides]), Console(quiet=True))
            os._exit(0)
        if len(rows) < int(kills):
            wait(child, Path(run), changes=chance.choice((0, 0, 1, 2, 4)))
            time.sleep(chance.uniform(0, 0.06))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        rows.append(sum(path.read_bytes().count(b"\n") for path in Path(run).glob("*/metrics.jsonl")))
    print(json.dumps({"status": status, "rows": rows}))


def wait(child: int, run: Path, changes: int) -> None:
    """Until the metrics have changed so often, or the child has ended."""
    sizes = size(run)
    while changes and os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        time.sleep(0.001)
        if (now := size(run)) != sizes:
            sizes, changes = now, changes - 1


def size(run: Path) -> int:
    return sum(path.stat().st_size for path in run.glob("*/metrics.jsonl"))


if __name__ == "__main__":
    main()
