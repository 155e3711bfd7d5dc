"""How fast a GPU writes and learns: models of Qwen2.5's shapes with random weights, in bf16.

    python benchmarks/h100.py [--shapes 1.5b 0.5b] [--sequences 64 128 256 512 1024] [--repeats 3] [--json]
    python benchmarks/h100.py --shapes tiny --device cpu      does it run? Its figures mean nothing

Prompts of 210 tokens, of which all share 155, and completions of forced lengths with a mean of 172, as the essay's run on
GSM8K. The share of peak is that of the trained tokens' matrix products (three passes, the head on completions only,
without attention; what sequences share counted once) in the rate of a large product measured in this run. The epoch is
7,473 prompts x 4 attempts in strictly on-policy steps of 128 completions with a KL to a reference (beta = .005):
timed steps, multiplied; grading and evaluation are not in it.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from contestants import force
from rich.console import Console
from rich.table import Table
from settings import ESSAY, SETTINGS, Setting, reward

from goalward.engines.engine import Request, Sampling
from goalward.engines.native import NativeEngine
from goalward.learning.learner import Learner, LearnerSettings
from goalward.learning.optimizer import OptimizerSettings
from goalward.learning.policy_gradient import PolicyGradient
from goalward.models.policy import Policy
from goalward.types import Feedback, Group, Rollout, Task

QWEN = replace(ESSAY, vocabulary=151_936, completions=128)
SHAPES = {
    "1.5b": replace(QWEN, hidden=1536, layers=28, heads=12, kv_heads=2, mlp=8960),
    "0.5b": replace(QWEN, hidden=896, layers=24, heads=14, kv_heads=2, mlp=4864),
    "tiny": replace(SETTINGS["short"], completions=16, prompt=24, limit=8, group=4),
}
EPOCH = 7473 * 4
"""Completions."""

MICRO_BATCH_TOKENS = 16_384


class Bench:
    """A model of one shape, and what acts and learns with it."""

    def __init__(self, setting: Setting, device: torch.device) -> None:
        self.setting = setting
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.policy = Policy(setting.model(str(device)).to(dtype), setting.tokenizer(), "random")
        self.policy.keep_reference()
        self.algorithm = PolicyGradient(max_tokens=setting.limit, beta=0.005)
        self.learner = Learner(
            self.policy,
            LearnerSettings(micro_batch_tokens=MICRO_BATCH_TOKENS),
            OptimizerSettings(learning_rate=1e-6),
            steps=1000,
            temperature=1.0,
            seed=0,
        )
        self.engines: dict[int, Any] = {}

    def write(self, sequences: int, step: int) -> list[tuple[Rollout, ...]]:
        """Completions for the prompts of a step with so many sequences."""
        setting = replace(self.setting, completions=sequences)
        if sequences not in self.engines:  # `force` is for one number of sequences
            self.engines.clear()
            self.engines[sequences] = NativeEngine(self.policy)
            force(self.engines[sequences], setting)
        self.engines[sequences].step = step
        requests = [
            Request(
                prompt=np.array(prompt, np.int32),
                streams=tuple(range(i * setting.group, (i + 1) * setting.group)),
            )
            for i, prompt in enumerate(setting.prompts(step))
        ]
        found: list[tuple[Rollout, ...]] = self.engines[sequences].generate(
            requests, Sampling(max_tokens=setting.limit), seed=step
        )
        return found

    def learn(self, rollouts: Sequence[tuple[Rollout, ...]]) -> None:
        """An optimizer step."""
        groups = [
            Group(
                task=Task(id="", messages=()),
                rollouts=group,
                feedback=tuple(Feedback(score=reward(r.completion.tolist())) for r in group),
            )
            for group in rollouts
        ]
        self.learner.update(self.algorithm.credit(groups), self.algorithm)


def measure(name: str, device: torch.device, sequences: Sequence[int], repeats: int) -> dict[str, Any]:
    """All figures of one shape."""
    setting = SHAPES[name]
    bench = Bench(setting, device)
    peak = matmul_rate(device, 8192 if device.type == "cuda" else 512)
    steps = [timed_step(bench, step) for step in range(repeats + 1)][1:]
    found: dict[str, Any] = {
        "shape": name,
        "parameters": setting.parameters,
        "matmul_tflops": peak / 1e12,
        "write_seconds": float(np.median([s["write"] for s in steps])),
        "learn_seconds": float(np.median([s["learn"] for s in steps])),
        "trained_tokens_per_second": float(np.median([s["tokens"] / s["learn"] for s in steps])),
        "share_of_peak": float(np.median([s["flops"] / s["learn"] for s in steps])) / peak,
    }
    seconds = np.median([s["write"] + s["learn"] for s in steps])
    found["epoch_minutes"] = float(seconds) * EPOCH / setting.completions / 60
    found["peak_gib"] = peak_gib(device)
    found["tokens_per_second"] = {}
    for count in sequences:
        speeds = []
        for step in range(repeats + 1):
            start = time.perf_counter()
            rollouts = bench.write(count, step)
            speeds.append(sum(r.completion.size for g in rollouts for r in g) / (time.perf_counter() - start))
        found["tokens_per_second"][str(count)] = float(np.median(speeds[1:]))
    return found


def timed_step(bench: Bench, step: int) -> dict[str, float]:
    """Seconds of writing and of learning, tokens learned, and what their matrix products take."""
    setting = bench.setting
    start = time.perf_counter()
    rollouts = bench.write(setting.completions, step)
    written = time.perf_counter()
    bench.learn(rollouts)
    end = time.perf_counter()
    tokens = sum(r.completion.size for group in rollouts for r in group)
    prompts = len(rollouts) * (setting.prompt - setting.shared) + setting.shared
    # Forward and back is three passes, and the reference's one more.
    flops = 4 * ((tokens + prompts) * setting.matmul_flops + tokens * setting.head_flops)
    return {"write": written - start, "learn": end - written, "tokens": tokens, "flops": flops}


def matmul_rate(device: torch.device, size: int) -> float:
    """Floating-point operations a second of a large product, in the dtype that the model has there."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    took = []
    for _ in range(10):
        wait(device)
        start = time.perf_counter()
        for _ in range(5):
            a @ b
        wait(device)
        took.append((time.perf_counter() - start) / 5)
    return 2 * size**3 / float(np.median(took))


def wait(device: torch.device) -> None:
    """For what a GPU was asked for; the engine and the learner wait by themselves."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_gib(device: torch.device) -> float:
    """The most memory so far: the GPU's, or the process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["1.5b", "0.5b"])
    parser.add_argument("--sequences", nargs="+", type=int, default=[64, 128, 256, 512, 1024])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA GPU here; to see whether this runs at all: --shapes tiny --device cpu")
    results = [measure(name, device, asked.sequences, asked.repeats) for name in asked.shapes]
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    if asked.json:
        print(json.dumps({"device": what, "torch": torch.__version__, "results": results}, indent=1))
        return
    table = Table(title=f"{what}, PyTorch {torch.__version__}")
    for column in ("", *asked.shapes):
        table.add_column(column, justify="right")
    rows = {
        "large products, TFLOP/s": lambda r: f"{r['matmul_tflops']:,.3g}",
        **{
            f"written tokens/s, {count} sequences": lambda r, count=count: (
                f"{r['tokens_per_second'][str(count)]:,.0f}"
            )
            for count in asked.sequences
        },
        "trained tokens/s": lambda r: f"{r['trained_tokens_per_second']:,.0f}",
        "training's share of peak": lambda r: f"{r['share_of_peak']:.0%}",
        "a step: writing, learning, s": lambda r: f"{r['write_seconds']:.2f}, {r['learn_seconds']:.2f}",
        "peak memory, GiB": lambda r: f"{r['peak_gib']:.1f}",
        "the essay's epoch, minutes": lambda r: f"{r['epoch_minutes']:.1f}",
    }
    for title, cell in rows.items():
        table.add_row(title, *map(cell, results))
    Console().print(table)


if __name__ == "__main__":
    main()
