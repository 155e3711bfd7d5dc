"""Writing completions here and with transformers' `generate`, in turn, on the CPU.

    python benchmarks/generate.py [--setting short] [--sequences 64 256 1024] [--repeats 3] [--json]

Same weights, prompts, sequences, temperature, dtype and threads. transformers runs in each way that could be its
fastest: a growing or a static cache, all rows in one batch or 256 at a time; the ratio is against the fastest of them.
Tokens count up to the end token. After a run that is not counted, all ways run in turn, so often; medians.

The roofline is the least time for the tokens that were written: in each step the larger of two times, of the matrix
products and attention's at the rate measured in this run, and of reading the weights and everybody's keys and values
(a prompt's once for all who continue it) at the bandwidth measured in this run. Caches can beat that bandwidth.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from contestants import force, forced_generate
from rich.console import Console
from rich.table import Table
from settings import EOS, PAD, SETTINGS, Setting
from vs_trl import gemm_rate

from goalward.engines.engine import Request, Sampling
from goalward.engines.native import NativeEngine
from goalward.models.load import ModelConfig, load_policy

SIDE_BY_SIDE = 256
FLOAT = 4
"""Bytes."""

Lengths = list[int]
Writer = Callable[[int], Lengths]
"""Seed to the length of each completion."""


def goalward(setting: Setting, folder: Path) -> Writer:
    """Our engine."""
    engine = NativeEngine(load_policy(ModelConfig(name=str(folder), dtype="float32", device="cpu")))
    engine.step = 0  # type: ignore[attr-defined]
    if setting.forced:
        force(engine, setting)
    requests = [
        Request(prompt=np.array(prompt, np.int32), streams=tuple(range(setting.group)))
        for prompt in setting.prompts(0)
    ]

    def write(seed: int) -> Lengths:
        groups = engine.generate(requests, Sampling(max_tokens=setting.limit), seed=seed)
        return [rollout.completion.size for group in groups for rollout in group]

    return write


def generate(setting: Setting, folder: Path, *, static: bool, at_once: int) -> Writer:
    """transformers, `at_once` rows a batch; they are equally long, so nothing is padded."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    rows = torch.tensor([prompt for prompt in setting.prompts(0) for _ in range(setting.group)])
    kind: dict[str, str] = {"cache_implementation": "static"} if static else {}

    def write(seed: int) -> Lengths:
        torch.manual_seed(seed)
        lengths: Lengths = []
        for start in range(0, len(rows), at_once):
            ask = forced_generate(model.generate, setting, start) if setting.forced else model.generate
            prompts = rows[start : start + at_once]
            tokens = ask(
                prompts,
                attention_mask=torch.ones_like(prompts),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=setting.limit,
                eos_token_id=EOS,
                pad_token_id=PAD,
                **kind,
            )[:, setting.prompt :]
            ends = tokens == EOS
            first = torch.where(ends.any(1), ends.int().argmax(1) + 1, tokens.shape[1])
            lengths += first.tolist()
        return lengths

    return write


def writers(setting: Setting, folder: Path) -> dict[str, Writer]:
    """All that compete, ours last."""
    whole = setting.completions
    found = {
        "growing cache": generate(setting, folder, static=False, at_once=whole),
        "static cache": generate(setting, folder, static=True, at_once=whole),
    }
    if whole > SIDE_BY_SIDE:
        found[f"growing cache, {SIDE_BY_SIDE} at a time"] = generate(
            setting, folder, static=False, at_once=SIDE_BY_SIDE
        )
    return found | {"goalward": goalward(setting, folder)}


def measure(setting: Setting, folder: Path, repeats: int) -> dict[str, Any]:
    """Tokens a second of each, in medians over interleaved runs, and ours against the fastest other."""
    competing = writers(setting, folder)
    speeds: dict[str, list[float]] = {name: [] for name in competing}
    shares = []
    for repeat in range(repeats + 1):
        rate, bandwidth = gemm_rate(setting), memory_bandwidth()
        for name, write in competing.items():
            start = time.perf_counter()
            with torch.inference_mode():
                lengths = write(repeat)
            seconds = time.perf_counter() - start
            if repeat:
                speeds[name].append(sum(lengths) / seconds)
            if repeat and name == "goalward":
                shares.append(least_seconds(setting, lengths, rate, bandwidth) / seconds)
    medians = {name: float(np.median(found)) for name, found in speeds.items()}
    rivals = {name: speed for name, speed in medians.items() if name != "goalward"}
    return {
        "sequences": setting.completions,
        "tokens_per_second": medians,
        "fastest": max(rivals, key=rivals.__getitem__),
        "ratio": medians["goalward"] / max(rivals.values()),
        "ratio_one_batch": medians["goalward"] / max(rivals["growing cache"], rivals["static cache"]),
        "roofline": float(np.median(shares)),
        "gemm_gflops": rate / 1e9,
        "bandwidth_gbs": bandwidth / 1e9,
    }


def least_seconds(setting: Setting, lengths: Sequence[int], rate: float, bandwidth: float) -> float:
    """See the head of this file; rate in operations a second, bandwidth in bytes a second."""
    width = setting.kv_heads * (setting.hidden // setting.heads)
    a_token = 2 * setting.layers * width * FLOAT  # its keys and values
    seen = 4 * setting.layers * setting.hidden  # operations to attend to one token
    weights = setting.parameters * FLOAT
    groups = setting.completions // setting.group
    prompts = groups * (setting.prompt - setting.shared) + setting.shared
    ends = np.array(lengths)
    seconds = prompts * setting.matmul_flops / rate
    for step in range(max(lengths)):
        rows = int((ends > step).sum())
        work = rows * (setting.matmul_flops + setting.head_flops + seen * (setting.prompt + step))
        moved = weights + a_token * (prompts + rows * (step + 1))
        seconds += max(work / rate, moved / bandwidth)
    return seconds


def memory_bandwidth() -> float:
    """Bytes a second that summing a tensor much larger than the caches reads."""
    x = torch.ones(2**26)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        x.sum()
        took.append(time.perf_counter() - start)
    return x.numel() * FLOAT / min(took)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--setting", choices=SETTINGS, default="short")
    parser.add_argument("--sequences", nargs="+", type=int, default=[64, 256, 1024])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    asked = parser.parse_args()
    setting = SETTINGS[asked.setting]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        setting.save(Path(folder))
        results = [
            measure(replace(setting, completions=count), Path(folder), asked.repeats)
            for count in asked.sequences
        ]
    if asked.json:
        print(
            json.dumps(
                {"setting": asked.setting, "threads": torch.get_num_threads(), "results": results}, indent=1
            )
        )
        return
    table = Table(title=f"{asked.setting}: tokens/s, {torch.get_num_threads()} threads")
    for column in (
        "sequences",
        "transformers' fastest",
        "tokens/s",
        "goalward",
        "ratio",
        "against one batch",
        "of the roofline",
    ):
        table.add_column(column, justify="right")
    for found in results:
        speeds = found["tokens_per_second"]
        table.add_row(
            str(found["sequences"]),
            found["fastest"],
            f"{speeds[found['fastest']]:,.0f}",
            f"{speeds['goalward']:,.0f}",
            f"{found['ratio']:.2f}",
            f"{found['ratio_one_batch']:.2f}",
            f"{found['roofline']:.0%}",
        )
    Console().print(table)
    print(
        f"matrix products {results[-1]['gemm_gflops']:.0f} GFLOP/s, memory {results[-1]['bandwidth_gbs']:.1f} GB/s"
    )


if __name__ == "__main__":
    main()
