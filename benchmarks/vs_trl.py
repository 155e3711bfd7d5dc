"""GRPO steps here and in TRL, in turn, on the CPU.

    python benchmarks/vs_trl.py [--settings short essay-4 ...] [--repeats 3] [--steps 4] [--json]

Before a setting is timed, a small batch of TRL's own rollouts is given to both: loss and every gradient must agree to
1e-4. Then each side runs in a process of its own, one after the other, so often; medians. The roofline is what the
matrix products alone would take at the rate that products of these sizes reach in this run, without attention; what is
trained counts each distinct token once.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from contestants import trl_arguments
from rich.console import Console
from rich.table import Table
from settings import SETTINGS, Setting, reward

SIDES = ("trl", "goalward")
COLUMNS = {
    "completions_per_second": "completions/s",
    "generated_tokens_per_second": "generated tokens/s",
    "trained_tokens_per_second": "trained tokens/s",
    "forwarded": "tokens in training's forward",
    "peak_gib": "peak GiB",
    "working_gib": "of it, for the steps",
    "roofline": "of the roofline",
}


def measure(name: str, folder: Path, repeats: int, steps: int) -> dict[str, Any]:
    """Both sides in turn, `steps` steps each time; medians, and the ratio of each pair."""
    setting = SETTINGS[name]
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(repeats):
        for side in SIDES:
            script = Path(__file__).with_name("contestants.py")
            command = [sys.executable, str(script), side, name, str(folder), "--steps", str(steps)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            runs[side].append(json.loads(done.stdout.splitlines()[-1]))
    rate = gemm_rate(setting)
    found: dict[str, Any] = {"setting": name, "gemm_gflops": rate / 1e9}
    for side in SIDES:
        found[side] = {key: float(np.median([run[key] for run in runs[side]])) for key in runs[side][0]}
        found[side]["roofline"] = least_seconds(setting, found[side]["tokens"], rate) / found[side]["seconds"]
    pairs = [
        b["completions_per_second"] / a["completions_per_second"]
        for a, b in zip(runs["trl"], runs["goalward"], strict=True)
    ]
    found["ratio"] = {"median": float(np.median(pairs)), "all": pairs}
    return found


def least_seconds(setting: Setting, tokens: float, rate: float) -> float:
    """What a step's matrix products take at `rate`: a token forward to write it, and forward and back to learn it."""
    groups = setting.completions // setting.group
    prompts = groups * (setting.prompt - setting.shared) + setting.shared
    body, head = setting.matmul_flops, setting.head_flops
    writing = (prompts + tokens) * body + tokens * head
    return (writing + 3 * ((prompts + tokens) * body + tokens * head)) / rate


def gemm_rate(setting: Setting) -> float:
    """Floating-point operations a second in products of the size of the model's MLP."""
    a, b = torch.randn(4096, setting.hidden), torch.randn(setting.hidden, setting.mlp)
    took = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(10):
            a @ b
        took.append((time.perf_counter() - start) / 10)
    return 2 * a.numel() * setting.mlp / min(took)


def check_equality(setting: Setting, folder: Path) -> float:
    """The largest difference in loss and gradients on some of TRL's rollouts, relative to the largest gradient."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from goalward.learning.algorithm import TokenBatch
    from goalward.learning.pack import pack
    from goalward.learning.policy_gradient import PolicyGradient
    from goalward.models.load import ModelConfig, load_policy
    from goalward.models.logprobs import score
    from goalward.types import Feedback, Group, Rollout, Task

    setting = replace(setting, completions=32, limit=64, forced=False)
    seen: dict[str, Any] = {}

    class Recorder(GRPOTrainer):
        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            loss = super()._compute_loss(model, inputs)
            gradients = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
            seen.update(inputs=inputs, loss=loss.item(), gradients=gradients)
            return loss

    Recorder(
        model=transformers.AutoModelForCausalLM.from_pretrained(folder),
        processing_class=transformers.PreTrainedTokenizerFast.from_pretrained(folder),
        reward_funcs=lambda completion_ids, **_: [reward(tokens) for tokens in completion_ids],
        args=trl_arguments(GRPOConfig, setting, folder, 1, setting.completions),
        train_dataset=Dataset.from_dict(
            {"prompt": [" ".join(f"t{t}" for t in prompt) for prompt in setting.prompts(0)]}
        ),
    ).train()
    inputs = seen["inputs"]
    rollouts: dict[bytes, list[Rollout]] = {}
    for prompt, completion, mask in zip(
        *(inputs[key].numpy() for key in ("prompt_ids", "completion_ids", "completion_mask")), strict=True
    ):
        tokens = completion[mask.astype(bool)].astype(np.int32)
        rollouts.setdefault(prompt.tobytes(), []).append(
            Rollout(
                prompt=prompt.astype(np.int32),
                completion=tokens,
                sampled=np.ones(tokens.size, np.bool_),
                logprobs=None,
                text="",
                stop="eos",
            )
        )
    groups = [
        Group(
            task=Task(id="", messages=()),
            rollouts=tuple(group),
            feedback=tuple(Feedback(score=reward(r.completion.tolist())) for r in group),
        )
        for group in rollouts.values()
    ]
    policy = load_policy(ModelConfig(name=str(folder), dtype="float32", device="cpu"))
    algorithm = PolicyGradient(max_tokens=setting.limit)
    micro = pack(algorithm.credit(groups), policy)
    logprobs, _ = score(policy, micro.layout, micro.at, micro.targets)
    now = logprobs.detach()
    batch = TokenBatch(
        logprobs=logprobs,
        old=now,
        behaviour=now,
        reference=None,
        advantage=micro.advantage,
        weight=micro.weight,
    )
    loss, _ = algorithm.loss(batch)
    gradients = torch.autograd.grad(loss, policy.parameters())
    largest = max(float(gradient.abs().max()) for gradient in seen["gradients"])
    gaps = [float((a - b).abs().max()) / largest for a, b in zip(gradients, seen["gradients"], strict=True)]
    return max(*gaps, abs(loss.item() - seen["loss"]))


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--settings", nargs="+", choices=SETTINGS, default=["short", "essay-4", "essay-8", "10m"]
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="of a run; the first is not counted")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    asked = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        gap = 0.0
        for name in asked.settings:
            SETTINGS[name].save(Path(folder) / name)
            with redirect_stdout(sys.stderr):  # trainers print
                gap = max(gap, check_equality(SETTINGS[name], Path(folder) / name))
            if gap > 1e-4:
                sys.exit(
                    f"{name}: loss or gradients differ from TRL's by {gap:.1e}; speeds cannot be compared"
                )
            results.append(measure(name, Path(folder) / name, asked.repeats, asked.steps))
    if asked.json:
        print(json.dumps({"largest_gap": gap, "settings": results}, indent=1))
        return
    console = Console()
    console.print(f"loss and gradients on the same rollouts agree to {gap:.0e}")
    for found in results:
        table = Table(title=f"{found['setting']} (matrix products: {found['gemm_gflops']:.0f} GFLOP/s)")
        for column in ("", *SIDES, "ratio"):
            table.add_column(column, justify="right")
        for key, title in COLUMNS.items():
            a, b = (found[side][key] for side in SIDES)
            table.add_row(title, f"{a:,.3g}", f"{b:,.3g}", f"{b / a:.2f}")
        console.print(table)
        console.print(f"completions/s, pair by pair: {', '.join(f'{r:.2f}' for r in found['ratio']['all'])}")


if __name__ == "__main__":
    main()
