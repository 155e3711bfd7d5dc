"""Run a recipe in child processes that are killed at random instants, until one is left to finish.

Torch is imported once and the children are forked, so that twenty of them take seconds.
Prints what it saw as JSON: kills, the number of metrics rows at each kill, and the seconds taken.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from transformers.models.qwen2 import modeling_qwen2  # noqa: F401  # what every start would import

from goalward.recipe import load_recipe
from goalward.stages import run_recipe


def main() -> None:
    torch.set_num_threads(1)
    recipe, kills, longest, run, *overrides = sys.argv[1:]
    chance = random.Random(7)
    rows: list[int] = []
    began = time.monotonic()
    while True:
        child = os.fork()
        if child == 0:
            run_recipe(load_recipe(Path(recipe), [f"run={run}", *overrides]), Console(quiet=True))
            os._exit(0)
        if len(rows) < int(kills):
            time.sleep(chance.uniform(0, float(longest)))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        rows.append(sum(path.read_bytes().count(b"\n") for path in Path(run).rglob("metrics.jsonl")))
    print(json.dumps({"status": status, "rows": rows, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main()
