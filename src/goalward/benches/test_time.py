"""Theorems of set.mm that a long search does not prove: practice on variants of each, beside a longer search."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from goalward.benches.proofs import verdict
from goalward.experience.prover import PolicyGuide
from goalward.experience.search import SearchSettings, search
from goalward.experience.test_time import Specialise, practise_for
from goalward.formal.export import lean_statement, lean_term
from goalward.formal.formula import atoms
from goalward.formal.lean import Job
from goalward.formal.metamath import Theorem, shipped
from goalward.formal.proof import read_script, verify
from goalward.formal.variants import MOST_ATOMS
from goalward.models.load import ModelConfig, load_policy
from goalward.runs.files import read_jsonl


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One theorem, and the scripts of the proofs that were found, empty where there is none.

    spent: goals that practice expanded, in all its rounds, variants included; the control, search alone, had as many,
    and needed `searched`.
    """

    label: str
    size: int
    rounds: int
    spent: int
    practised: str
    searched: int
    found: str


def study(
    model: str,
    budget: int,
    rounds: int,
    *,
    most: int,
    seed: int,
    file: Path | None,
    say: Callable[[str], None],
) -> Iterator[Trial]:
    """For the largest `most` theorems that `budget` expansions do not prove: practice, and search at equal expansions.

    file: JSON rows of trials, read where there are some, and continued. Every proof goes through the kernel.
    """
    done = {}
    if file and file.exists():
        done = {row["label"]: Trial(**row) for _, row in read_jsonl(file)}
    say(f"search with {budget} expansions")
    chosen = left_open(model, budget)[:most]
    for number, theorem in enumerate(chosen, start=1):
        say(f"{theorem.label}, {number} of {len(chosen)}")
        if theorem.label not in done:
            trial = compare(model, theorem, budget, rounds, seed)
            if file:
                with file.open("a", encoding="utf-8") as rows:
                    rows.write(json.dumps(asdict(trial), ensure_ascii=False) + "\n")
            done[theorem.label] = trial
        yield done[theorem.label]


def left_open(model: str, budget: int) -> list[Theorem]:
    """What a search does not prove, the largest first; without the theorems of which no variants are made."""
    theorems = [one for one in shipped() if len(atoms(one.statement)) <= MOST_ATOMS]
    guide = PolicyGuide(load_policy(ModelConfig(name=model)))
    found = search([one.statement for one in theorems], guide, SearchSettings(budget=budget, method="puct"))
    left = [theorem for theorem, one in zip(theorems, found, strict=True) if one.proof is None]
    return sorted(left, key=lambda one: (-one.statement.size, one.label))


def compare(model: str, theorem: Theorem, budget: int, rounds: int, seed: int) -> Trial:
    """Practise for one theorem, then search with as many expansions; both start from the same model."""
    settings = Specialise(rounds=rounds, attempt=SearchSettings(budget=budget, method="puct"))
    policy = load_policy(ModelConfig(name=model))
    *before, last = practise_for(theorem.statement, policy, settings, seed=seed)
    guide = PolicyGuide(load_policy(ModelConfig(name=model)))
    [control] = search([theorem.statement], guide, SearchSettings(budget=last.spent, method="puct"))
    for proof in (last.found.proof, control.proof):
        if proof:
            verify(theorem.statement, proof)
    return Trial(
        label=theorem.label,
        size=theorem.statement.size,
        rounds=len(before),
        spent=last.spent,
        practised="; ".join(last.found.proof.lines) if last.found.proof else "",
        searched=control.expansions,
        found="; ".join(control.proof.lines) if control.proof else "",
    )


def lean_says(trials: Sequence[Trial]) -> str:
    """Lean on every proof."""
    statements = {one.label: one.statement for one in shipped()}
    jobs = []
    for trial in trials:
        statement = statements[trial.label]
        for script in filter(None, (trial.practised, trial.found)):
            term = verify(statement, read_script(statement, script))
            jobs.append(Job(statement=lean_statement(statement), body=lean_term(term, statement)))
    return verdict(jobs)


def table(trials: Sequence[Trial], lean: str) -> Table:
    """A line for each theorem."""
    statements = {one.label: str(one.statement) for one in shipped()}
    practised = sum(bool(trial.practised) for trial in trials)
    searched = sum(bool(trial.found) for trial in trials)
    alone = sum(bool(trial.practised) and not trial.found for trial in trials)
    drawn = Table(
        caption=f"Of {len(trials)} theorems practice proves {practised}, search with as many expansions {searched}; "
        f"practice alone {alone}. The kernel accepted every proof; Lean: {lean}",
    )
    for column in ("theorem", "statement", "practice", "rounds", "expansions", "search alone"):
        drawn.add_column(
            column, justify="right" if column in ("rounds", "expansions") else "left", overflow="fold"
        )
    for trial in trials:
        drawn.add_row(
            trial.label,
            statements[trial.label],
            "proved" if trial.practised else "open",
            str(trial.rounds),
            f"{trial.spent:,}",
            f"proved with {trial.searched:,}" if trial.found else "open",
        )
    return drawn
