"""`goalward bench NAME`: benchmarks of methods, each in minutes and with its controls."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

bench = typer.Typer(
    help="Benchmarks of methods, each with its controls.\n\nExample: goalward bench noisy-chain --seeds 1",
    no_args_is_help=True,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@bench.command("agreement-gsm8k")
def agreement_gsm8k(
    folder: Annotated[Path, typer.Argument(help="Holds the published solutions.jsonl.")],
    as_json: AsJson = False,
) -> None:
    """Recorded answers of four models: plain and reliability-weighted vote against the best model; no labels.

    Example: goalward bench agreement-gsm8k data/gsm8k_model_solutions
    """
    from goalward.benches import agreement_gsm8k as benchmark

    found = benchmark.agreement_gsm8k(folder)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
    else:
        Console().print(benchmark.table(found))


@bench.command("noisy-chain")
def noisy_chain(
    seeds: Annotated[int, typer.Option(min=1, help="Worlds to average over.")] = 3, as_json: AsJson = False
) -> None:
    """A table that computes in noisy steps: every way to learn without labels, with controls; a minute or two.

    Example: goalward bench noisy-chain --seeds 1
    """
    from goalward.benches import noisy_chain as benchmark

    with Console(stderr=True).status("") as status:
        found = benchmark.noisy_chain(seeds, status.update)
    if as_json:
        print(json.dumps([asdict(line) for line in found], indent=1))
    else:
        Console().print(benchmark.table(found))


@bench.command("proofs")
def proofs(
    model: Annotated[
        list[str] | None, typer.Option(help="A prover: a folder or a finished run; may be repeated.")
    ] = None,
    attempts: Annotated[int, typer.Option(min=1, help="Random walks at each theorem.")] = 16,
    most: Annotated[int, typer.Option(min=64, help="Expansions of the search by size.")] = 1000,
    hardest: Annotated[
        bool, typer.Option(help="Let models search what no control proves for as long; minutes for each.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """set.mm's 687 theorems: random tactics and search by size, beside models at equal expansions; Lean judges.

    Example: goalward bench proofs --model runs/proofs/expert_iteration
    """
    from goalward.benches import proofs as benchmark
    from goalward.stages import resolve_model

    with Console(stderr=True).status("") as status:
        found = benchmark.study(
            [resolve_model(name) for name in model or ()], attempts, most, hardest=hardest, say=status.update
        )
    if as_json:
        print(json.dumps(asdict(found), indent=1))
    else:
        Console().print(benchmark.table(found))


@bench.command("relay")
def relay(
    seeds: Annotated[int, typer.Option(min=1, help="Logs to learn from.")] = 3,
    sees: Annotated[
        str, typer.Option(help="What the policy sees: markov (the last node), history, or both.")
    ] = "both",
    method: Annotated[list[str] | None, typer.Option(help="Only these methods; may be repeated.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with one thread.")] = 2,
    as_json: AsJson = False,
) -> None:
    """One log that imitation cannot solve: imitation, preference, offline RL and stitching; minutes.

    Example: goalward bench relay --sees markov --method imitation --method soft-stitch
    """
    from goalward.benches import relay as benchmark

    modes = benchmark.modes(sees)
    methods = benchmark.chosen(method)
    with Console(stderr=True).status(f"{seeds} seeds, {', '.join(modes)}: {len(methods)} methods"):
        trials = benchmark.relay(range(1, seeds + 1), modes, methods, workers)
    if as_json:
        print(json.dumps([asdict(each) for each in trials], indent=1))
    else:
        Console().print(benchmark.table(trials), benchmark.footnote(trials), sep="\n")


@bench.command("stitch-gsm8k")
def stitch_gsm8k(
    folder: Annotated[Path, typer.Argument(help="Holds the published solutions.jsonl.")],
    picture: Annotated[
        Path | None, typer.Option(help="Draw a stitched solution with its sources into this PNG.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recorded solutions of four models: what stitching and grafting make of them, beside null controls.

    Example: goalward bench stitch-gsm8k data/gsm8k_model_solutions --picture stitched.png
    """
    from goalward.benches import stitch_gsm8k as benchmark

    problems = benchmark.read_problems(folder)
    with Console(stderr=True).status("stitching"):
        found = benchmark.study(problems)
    if picture:
        from goalward.benches.stitched_picture import draw

        draw(problems, picture)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        Console().print(*benchmark.tables(found), sep="\n")


@bench.command("test-time")
def test_time(
    model: Annotated[str, typer.Option(help="A prover: a folder or a finished run.")],
    budget: Annotated[int, typer.Option(min=1, help="Expansions that do not prove them.")] = 640,
    most: Annotated[int, typer.Option(min=1, help="How many theorems, the largest first.")] = 30,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of practice at each, at most.")] = 6,
    seed: Annotated[int, typer.Option(help="Of practice.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Rows for machines, written as they come; goes on where it stood.")
    ] = None,
) -> None:
    """Hard theorems of set.mm: practice on variants of each, beside search with as many expansions; Lean judges.

    Example: goalward bench test-time --model runs/proofs/expert_iteration --most 5
    """
    from goalward.benches import test_time as benchmark
    from goalward.stages import resolve_model

    with Console(stderr=True).status("") as status:
        trials = list(
            benchmark.study(
                resolve_model(model), budget, rounds, most=most, seed=seed, file=output, say=status.update
            )
        )
    Console().print(benchmark.table(trials, benchmark.lean_says(trials)))
