"""Answers a second through `numeric` and `math`, and what one answer that never ends costs.

    python benchmarks/graders.py [--json] [answers.jsonl]

Rows hold `response` and `reference`; without a file, answers like those to GSM8K are made up. Groups of 8 share a
reference, as in training. Times are wall-clock, after a first round that starts the worker processes.
"""

import argparse
import json
import os
import random
import time
from pathlib import Path

from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.feedback.judge import error_share, judge
from goalward.runs.files import read_jsonl
from goalward.types import Group, Task

GROUP = 8
HOPELESS = "<answer>9^{9^{9^{9^9}}} + x!</answer>"


def made_up(count: int) -> list[tuple[str, str]]:
    """`count` pairs of (answer of some 500 characters, reference)."""
    chance = random.Random(0)
    rows = []
    for _ in range(count):
        steps = [(chance.randint(2, 99), chance.randint(2, 99)) for _ in range(8)]
        lines = [f"There are {a} boxes of {b}, and {a} * {b} = {a * b} pieces in them all." for a, b in steps]
        right = sum(a * b for a, b in steps)
        given = right if chance.random() < 0.5 else right + chance.randint(1, 9)
        rows.append((f"<reasoning>{' '.join(lines)}</reasoning>\n<answer>{given}</answer>", str(right)))
    return rows


def groups(rows: list[tuple[str, str]], size: int) -> list[Group]:
    """Groups of `size` attempts at the references of `rows`, each attempt a text of its own."""
    return [
        Group(
            task=Task(id=str(i), messages=(), reference=reference),
            rollouts=tuple(recorded(f"{attempt}. {text}") for attempt in range(size)),
        )
        for i, (text, reference) in enumerate(rows)
    ]


def seconds(grader: str, batch: list[Group]) -> float:
    """Wall-clock seconds for judging `batch`, without an error."""
    built = build_grader(grader)
    judge(batch[:32], built)
    start = time.perf_counter()
    judged = judge(batch, built)
    taken = time.perf_counter() - start
    assert error_share(judged) < 0.01, next(f.error for g in judged for f in g.feedback if f.error)
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="JSONL rows to take the answers from")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    arguments = parser.parse_args()
    rows = made_up(1000)
    if arguments.file:
        rows = [(row["response"], row["reference"]) for _, row in read_jsonl(arguments.file)]
    batch = groups(rows, GROUP)
    count = sum(len(group.rollouts) for group in batch)
    found: dict[str, float] = {"cores": len(os.sched_getaffinity(0)), "answers": count}
    for grader in ("numeric", "math"):
        found[f"{grader}_answers_per_second"] = round(count / seconds(grader, batch))
    hopeless = groups([(HOPELESS, "18")], 1)
    found["math_seconds_with_one_hopeless"] = round(seconds("math", batch + hopeless), 2)
    found["math_seconds_without"] = round(seconds("math", batch), 2)
    print(json.dumps(found) if arguments.json else "\n".join(f"{k}: {v:,}" for k, v in found.items()))


if __name__ == "__main__":
    main()
