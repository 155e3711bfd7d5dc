"""Theorems of set.mm that a long search does not prove: practice on variants of each, beside a longer search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table

from goalward.benches.proofs import ask_lean
from goalward.experience.prover import PolicyGuide
from goalward.experience.search import SearchSettings, search
from goalward.experience.test_time import Specialise, practise_for
from goalward.formal.export import lean_statement, lean_term
from goalward.formal.formula import Formula, atoms
from goalward.formal.lean import Job
from goalward.formal.metamath import Theorem, shipped
from goalward.formal.proof import Proof, verify
from goalward.formal.variants import MOST_ATOMS
from goalward.models.load import ModelConfig, load_policy

AT_ONCE = 16
"""Long searches side by side: each keeps some hundred thousand goals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One theorem. spent: goals expanded by practice, all variants and rounds; searched: by search alone until its proof, or its budget."""

    label: str
    statement: str
    rounds: int
    spent: int
    practised: bool
    searched: int
    found: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """trials: the theorems in order of size; open: how many there are in all that `budget` does not prove; lean: what it said."""

    budget: int
    control: int
    open: int
    trials: list[Trial]
    lean: str


def study(
    model: str, *, budget: int, most: int, rounds: int, seed: int = 0, say: Callable[[str], None] = print
) -> Study:
    """Practise for the smallest `most` theorems that `budget` expansions do not prove.

    The control has as many expansions for each theorem as practice had for any.
    """
    say(f"search with {budget} expansions")
    theorems = _open(model, budget)
    chosen = theorems[:most]
    proofs: list[tuple[Formula, Proof]] = []
    outcomes: list[tuple[int, int, bool]] = []
    settings = Specialise(rounds=rounds, attempt=SearchSettings(budget=budget, method="puct"))
    for number, theorem in enumerate(chosen):
        say(f"practice {number + 1} of {len(chosen)}: {theorem.label}")
        policy = load_policy(ModelConfig(name=model))  # each starts from the same
        turns = list(practise_for(theorem.statement, policy, settings, seed=seed))
        last = turns[-1]
        outcomes.append((len(turns) - 1, last.spent, last.found.proof is not None))
        if last.found.proof:
            proofs.append((theorem.statement, last.found.proof))
    control = max((spent for _, spent, _ in outcomes), default=budget)
    say(f"search with {control:,} expansions")
    longer = _search(model, [theorem.statement for theorem in chosen], control)
    proofs += [(t.statement, proof) for t, (_, proof) in zip(chosen, longer, strict=True) if proof]
    terms = [(statement, verify(statement, proof)) for statement, proof in proofs]
    return Study(
        budget=budget,
        control=control,
        open=len(theorems),
        trials=[
            Trial(
                label=theorem.label,
                statement=str(theorem.statement),
                rounds=turns,
                spent=spent,
                practised=won,
                searched=searched,
                found=proof is not None,
            )
            for theorem, (turns, spent, won), (searched, proof) in zip(chosen, outcomes, longer, strict=True)
        ],
        lean=ask_lean([Job(statement=lean_statement(s), body=lean_term(t, s)) for s, t in terms]),
    )


def _open(model: str, budget: int) -> list[Theorem]:
    """Those that a search does not prove, the smallest first; those of which no variants are made are left out."""
    theorems = [one for one in shipped() if len(atoms(one.statement)) <= MOST_ATOMS]
    guide = PolicyGuide(load_policy(ModelConfig(name=model)))
    settings = SearchSettings(budget=budget, method="puct")
    found = search([one.statement for one in theorems], guide, settings)
    left = [theorem for theorem, one in zip(theorems, found, strict=True) if one.proof is None]
    return sorted(left, key=lambda one: (one.statement.size, one.label))


def _search(model: str, statements: Sequence[Formula], budget: int) -> list[tuple[int, Proof | None]]:
    guide = PolicyGuide(load_policy(ModelConfig(name=model)))
    settings = SearchSettings(budget=budget, method="puct")
    return [
        (one.expansions, one.proof)
        for start in range(0, len(statements), AT_ONCE)
        for one in search(statements[start : start + AT_ONCE], guide, settings)
    ]


def table(found: Study) -> Table:
    """A line for each theorem."""
    practised = sum(trial.practised for trial in found.trials)
    searched = sum(trial.found for trial in found.trials)
    alone = sum(trial.practised and not trial.found for trial in found.trials)
    drawn = Table(
        title=f"{len(found.trials)} of {found.open} theorems that {found.budget} expansions do not prove",
        caption=f"Practice proves {practised}, search with {found.control:,} expansions {searched}; practice alone {alone}. "
        f"The kernel accepted every proof; Lean: {found.lean}",
    )
    for column in ("theorem", "statement", "rounds", "practice: expansions", "search: expansions"):
        drawn.add_column(
            column, justify="left" if column in ("theorem", "statement") else "right", overflow="fold"
        )
    for trial in found.trials:
        drawn.add_row(
            trial.label,
            trial.statement,
            str(trial.rounds),
            f"{'proved' if trial.practised else 'open'}, {trial.spent:,}",
            f"{'proved' if trial.found else 'open'}, {trial.searched:,}",
        )
    return drawn
