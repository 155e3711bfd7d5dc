"""One side of the benchmark against TRL, in a process of its own: some GRPO steps, timed.

    python benchmarks/contestants.py {goalward,trl} SETTING FOLDER [--steps 4] [--micro N] [--completions N]

FOLDER holds the model (`settings.Setting.save`). Prints JSON: seconds of each step after the first and of their
parts, tokens, peak memory. Same weights, prompts, order, group size, forced lengths, temperature, loss, rate, optimizer
and dtype on both sides; the reward costs nothing. Samples differ, as the random streams do.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from settings import EOS, SETTINGS, Setting, reward

RATE = 1e-5


def goalward(setting: Setting, folder: Path, steps: int, micro: int) -> dict[str, Any]:
    """Steps as the loop makes them: sample, judge, credit, update."""
    from goalward.engines.engine import Request, Sampling
    from goalward.engines.native import NativeEngine
    from goalward.learning import learner as learning
    from goalward.learning.optimizer import OptimizerSettings
    from goalward.learning.policy_gradient import PolicyGradient
    from goalward.models.load import ModelConfig, load_policy
    from goalward.types import Feedback, Group, Task

    policy = load_policy(ModelConfig(name=str(folder), dtype="float32", device="cpu"))
    engine, algorithm = NativeEngine(policy), PolicyGradient(max_tokens=setting.limit)
    settings = learning.LearnerSettings(micro_batch_tokens=micro or 8192)
    learner = learning.Learner(
        policy, settings, OptimizerSettings(learning_rate=RATE), steps=1000, temperature=1.0, seed=0
    )
    forwarded = 0
    pack = learning.pack

    def counting(*arguments: Any) -> Any:
        nonlocal forwarded
        found = pack(*arguments)
        forwarded += found.layout.tokens.numel()
        return found

    learning.pack = counting
    if setting.forced:
        force(engine, setting)
    told = []
    before = resident()
    for step in range(steps):
        forwarded = 0
        start = time.perf_counter()
        requests = [
            Request(
                prompt=np.array(p, np.int32), streams=tuple(range(i * setting.group, (i + 1) * setting.group))
            )
            for i, p in enumerate(setting.prompts(step))
        ]
        engine.step = step
        rollouts = engine.generate(requests, Sampling(max_tokens=setting.limit), seed=step)
        generated = time.perf_counter()
        groups = [
            Group(
                task=Task(id="", messages=()),
                rollouts=group,
                feedback=tuple(Feedback(score=reward(r.completion.tolist())) for r in group),
            )
            for group in rollouts
        ]
        learner.update(algorithm.credit(groups), algorithm)
        end = time.perf_counter()
        tokens = sum(r.completion.size for group in rollouts for r in group)
        told.append(row(end - start, generated - start, tokens, forwarded))
    return summary(setting, told, before)


def force(engine: Any, setting: Setting) -> None:
    """Have completions end at the setting's lengths and nowhere else."""
    engine.policy.eos_ids = ()
    jobs = engine._jobs

    def forced(index: int, *arguments: Any) -> Any:
        lengths = setting.lengths(engine.step)[index * setting.group :]
        return [
            replace(job, limit=length) for job, length in zip(jobs(index, *arguments), lengths, strict=False)
        ]

    engine._jobs = forced


def trl(setting: Setting, folder: Path, steps: int, micro: int) -> dict[str, Any]:
    """TRL's trainer at the settings that are fastest on a CPU."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    told: list[dict[str, float]] = []
    moment = {"generate": 0.0, "start": 0.0, "forwarded": 0, "tokens": 0}

    class Timed(GRPOTrainer):
        def _generate_single_turn(self, *arguments: Any, **names: Any) -> Any:
            start = time.perf_counter()
            found = super()._generate_single_turn(*arguments, **names)
            moment["generate"] += time.perf_counter() - start
            return found

        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            moment["forwarded"] += inputs["prompt_ids"].numel() + inputs["completion_ids"].numel()
            moment["tokens"] += int(inputs["completion_mask"].sum())
            return super()._compute_loss(model, inputs)

    class Clock(transformers.TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            moment.update(generate=0.0, forwarded=0, tokens=0, start=time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            took = time.perf_counter() - moment["start"]
            told.append(row(took, moment["generate"], int(moment["tokens"]), int(moment["forwarded"])))

    rows = micro or 64
    prompts = [" ".join(f"t{t}" for t in p) for step in range(steps) for p in setting.prompts(step)]
    trainer = Timed(
        model=transformers.AutoModelForCausalLM.from_pretrained(folder),
        processing_class=transformers.PreTrainedTokenizerFast.from_pretrained(folder),
        reward_funcs=lambda completion_ids, **_: [reward(tokens) for tokens in completion_ids],
        args=trl_arguments(GRPOConfig, setting, folder, steps, rows),
        train_dataset=Dataset.from_dict({"prompt": prompts}),
        callbacks=[Clock()],
    )
    if setting.forced:
        trainer.model.generate = forced_generate(trainer.model.generate, setting)
    before = resident()
    trainer.train()
    return summary(setting, told, before)


def trl_arguments(config: Any, setting: Setting, folder: Path, steps: int, rows: int) -> Any:
    """GRPO as in its paper, on the CPU in fp32; nothing is logged or saved."""
    return config(
        output_dir=str(folder / "trl"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        beta=0.0,
        max_steps=steps,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        adam_beta2=0.99,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=setting.completions // rows,
        num_generations=setting.group,
        max_completion_length=setting.limit,
        loss_type="grpo",
        shuffle_dataset=False,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )


def forced_generate(generate: Callable[..., Any], setting: Setting, first: int = 0) -> Callable[..., Any]:
    """`generate` whose rows, completions `first` and on of a step, end at the setting's lengths and nowhere else."""
    step = -1

    def forced(*arguments: Any, **names: Any) -> Any:
        nonlocal step
        step += 1
        every = torch.tensor(setting.lengths(step))

        def processor(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            lengths, scores = every[first : first + len(scores)], scores.clone()
            scores[:, EOS] = -torch.inf
            ends = lengths <= ids.shape[1] - setting.prompt + 1
            scores[ends] = -torch.inf
            scores[ends, EOS] = 0.0
            return scores

        return generate(*arguments, **names, logits_processor=[processor])

    return forced


def row(seconds: float, generate: float, tokens: int, forwarded: int) -> dict[str, float]:
    """What one step told."""
    return {"seconds": seconds, "generate": generate, "tokens": tokens, "forwarded": forwarded}


def summary(setting: Setting, told: list[dict[str, float]], before: float) -> dict[str, Any]:
    """Medians over the steps but the first."""
    kept = told[1:]

    def median(f: Callable[[dict[str, float]], float]) -> float:
        return float(np.median([f(r) for r in kept]))

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "completions_per_second": median(lambda r: setting.completions / r["seconds"]),
        "generated_tokens_per_second": median(lambda r: r["tokens"] / r["generate"]),
        "trained_tokens_per_second": median(lambda r: r["tokens"] / (r["seconds"] - r["generate"])),
        "seconds": median(lambda r: r["seconds"]),
        "tokens": median(lambda r: r["tokens"]),
        "forwarded": median(lambda r: r["forwarded"]),
        "peak_gib": peak,
        "working_gib": peak - before,
        "threads": torch.get_num_threads(),
    }


def resident() -> float:
    """What this process holds now, in GiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**30


def main() -> None:
    """Run one side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("side", choices=("goalward", "trl"))
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--completions", type=int, default=0, help="a step, where not the setting's")
    parser.add_argument(
        "--micro", type=int, default=0, help="tokens (goalward) or rows (trl) of a micro-batch"
    )
    asked = parser.parse_args()
    side = {"goalward": goalward, "trl": trl}[asked.side]
    setting = SETTINGS[asked.setting]
    setting = replace(setting, completions=asked.completions or setting.completions)
    with redirect_stdout(None):  # trainers print
        found = side(setting, asked.folder, asked.steps, asked.micro)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
