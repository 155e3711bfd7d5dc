"""`goalward prove`: one statement's proof, or what refutes it, with the verdicts of the kernel and of real Lean."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from goalward.evaluation.search_picture import check_format, write_search
from goalward.experience.prover import PolicyGuide
from goalward.experience.search import SearchSettings, search
from goalward.experience.test_time import Round, Specialise, practise_for
from goalward.formal.export import lean_statement, lean_term
from goalward.formal.formula import Formula, atoms, countermodel, parse
from goalward.formal.lean import Job
from goalward.formal.lean_find import ask_lean
from goalward.formal.proof import verify
from goalward.formal.refute import disprove, lean_disproof
from goalward.formal.script import lean_script
from goalward.models.load import ModelConfig, load_policy
from goalward.models.policy import Policy

MOST_VARIABLES = 16
"""In a statement that is looked through for values that refute it; their number doubles with each variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a statement. verdict: "proved", "refuted" or "open"; script: Lean tactics for people.

    claim, term: what Lean was asked, empty where nothing was found; kernel: whether the kernel accepted it;
    lean: its verdict, or why it was not asked; values: those that refute the statement; rounds: of practice.
    """

    statement: str
    verdict: str
    expansions: int
    rounds: int = 0
    script: str = ""
    claim: str = ""
    term: str = ""
    kernel: bool = False
    lean: str = ""
    values: dict[str, bool] | None = None

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        return asdict(self)


def prove(
    statement: str,
    model: str,
    settings: SearchSettings,
    *,
    rounds: int = 0,
    tree: Path | None = None,
    say: Callable[[str], None] = print,
) -> Answer:
    """Search for a proof of `statement`, guided by `model`.

    rounds: of practice on variants of it, at most, where the search finds none; tree: the file that shows the
    (last) search. Raises UsageError where it is no statement of propositional logic, there is no such model, or no
    such kind of file.
    """
    wanted = parse(statement)
    if tree is not None:
        check_format(tree)
    values = countermodel(wanted) if len(atoms(wanted)) <= MOST_VARIABLES else None
    if values is not None:
        claim, body = lean_disproof(disprove(wanted, values))
        if tree is not None:
            say(f"{tree}: not written; where values refute the statement, nothing is searched")
        return Answer(
            statement=str(wanted),
            verdict="refuted",
            expansions=0,
            claim=claim,
            term=body,
            kernel=True,
            lean=lean_says(claim, body),
            values=values,
        )
    policy = load_policy(ModelConfig(name=model))
    if rounds:
        last, turns = _practise(wanted, policy, Specialise(rounds=rounds, attempt=settings), say)
        found, spent = last.found, last.spent
    else:
        [found] = search([wanted], PolicyGuide(policy), settings)
        spent, turns = found.expansions, 0
    if tree is not None:
        say(write_search(found, tree))
    answer = Answer(statement=str(wanted), verdict="open", expansions=spent, rounds=turns)
    if found.proof is None:
        return answer
    term = verify(wanted, found.proof)
    claim, body = lean_statement(wanted), lean_term(term, wanted)
    return replace(
        answer,
        verdict="proved",
        script=lean_script(wanted, found.proof),
        claim=claim,
        term=body,
        kernel=True,
        lean=lean_says(claim, body),
    )


def _practise(
    statement: Formula, policy: Policy, settings: Specialise, say: Callable[[str], None]
) -> tuple[Round, int]:
    """The last round, and how many there were."""
    turns = 0
    for turns, each in enumerate(practise_for(statement, policy, settings, seed=0)):
        result = "proved" if each.found.proof else "open"
        done = (
            f"round {turns}: {each.proved} of {each.tried} variants proved, "
            if turns
            else "before practice: "
        )
        say(f"{done}the statement {result}; {each.spent:,} goals expanded so far")
    return each, turns


def lean_says(claim: str, body: str) -> str:
    """Lean's verdict in a line; where there is no Lean, how to come by one."""
    found = ask_lean([Job(statement=claim, body=body)])
    if isinstance(found, str):
        return found
    [verdict] = found
    axioms = f", axioms: {', '.join(verdict.axioms) or 'none'}" if verdict.status == "ok" else ""
    return f"{verdict.status}{axioms} ({verdict.oracle})"


def text(answer: Answer) -> str:
    """What people read."""
    if answer.verdict == "open":
        return f"{answer.statement}\nno proof found in {answer.expansions} goals; try --budget {4 * max(answer.expansions, 16)}"
    if answer.verdict == "refuted":
        given = ", ".join(f"{name} = {value}" for name, value in (answer.values or {}).items())
        head = f"{answer.statement}\nis false: {given}"
    else:
        head = answer.script
    return (
        f"{head}\n\nLean term of {answer.claim}:\n{answer.term}\n\n"
        f"kernel: {'accepted' if answer.kernel else 'rejected'}; Lean: {answer.lean}; goals expanded: {answer.expansions}"
    )
