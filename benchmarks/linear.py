"""Does cost grow linearly? GRPO steps of 64, 256 and 1,024 completions, in turn, on the CPU.

    python benchmarks/linear.py [--setting short] [--completions 64 256 1024] [--repeats 3] [--steps 4] [--json]

Each count runs in a process of its own, so often; medians. Tokens a second should stay alike, and memory should follow
the budget of tokens, not the batch.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from settings import SETTINGS

COLUMNS = {
    "generated_tokens_per_second": "generated tokens/s",
    "trained_tokens_per_second": "trained tokens/s",
    "completions_per_second": "completions/s",
    "peak_gib": "peak GiB",
    "working_gib": "of it, for the steps",
}


def run(name: str, folder: Path, completions: int, steps: int) -> dict[str, float]:
    """What our side of `contestants.py` tells."""
    script = Path(__file__).with_name("contestants.py")
    size = ["--completions", str(completions), "--steps", str(steps)]
    done = subprocess.run(
        [sys.executable, str(script), "goalward", name, str(folder), *size],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--setting", choices=SETTINGS, default="short")
    parser.add_argument("--completions", nargs="+", type=int, default=[64, 256, 1024])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="of a run; the first is not counted")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    asked = parser.parse_args()
    runs: dict[int, list[dict[str, float]]] = {count: [] for count in asked.completions}
    with tempfile.TemporaryDirectory() as folder:
        SETTINGS[asked.setting].save(Path(folder))
        for _ in range(asked.repeats):
            for count, found in runs.items():
                found.append(run(asked.setting, Path(folder), count, asked.steps))
    medians: dict[int, dict[str, Any]] = {
        count: {key: float(np.median([each[key] for each in found])) for key in COLUMNS}
        for count, found in runs.items()
    }
    if asked.json:
        print(json.dumps({"setting": asked.setting, "completions": medians}, indent=1))
        return
    table = Table(title=f"{asked.setting}: completions a step")
    for column in ("", *map(str, medians), "least of most"):
        table.add_column(column, justify="right")
    for key, title in COLUMNS.items():
        values = [found[key] for found in medians.values()]
        table.add_row(title, *(f"{value:,.3g}" for value in values), f"{min(values) / max(values):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
