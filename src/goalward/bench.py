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
