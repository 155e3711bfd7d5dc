"""`goalward bench NAME`: benchmarks of methods, each in minutes and with its controls."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

bench = typer.Typer(help="Benchmarks of methods, each with its controls.", no_args_is_help=True)
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
