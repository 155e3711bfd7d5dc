"""The kernel and real Lean give the same verdicts: on proofs, on what is left of them when they are broken."""

from random import Random

import pytest
from random_proofs import mutant, random_formula, random_term, tactic_proofs

from goalward.formal.export import lean_statement, lean_term
from goalward.formal.formula import Formula, countermodel, parse
from goalward.formal.kernel import Both, First, Fun, ProofError, Second, Term, Var, check
from goalward.formal.lean import Job, Lean
from goalward.formal.lean_find import find_lean, library
from goalward.formal.proof import read_script, verify
from goalward.formal.refute import disprove, lean_disproof

PROOFS = 1000
Pair = tuple[Term, Formula]


@pytest.fixture(scope="module")
def lean() -> Lean:
    if library() is None:
        pytest.skip("the kernel is NOT compared with Lean: the `lean` extra is missing")
    return find_lean()


def proofs(chance: Random) -> list[Pair]:
    """Each of another statement: most are terms by every rule there is, some were found by tactics."""
    found: dict[Formula, Term] = {}
    for statement, proof in tactic_proofs(chance, 60):
        found[statement] = verify(statement, proof)
    while len(found) < PROOFS:
        term, statement = random_term(chance, fuel=3)
        if 3 < statement.size <= 24:
            found.setdefault(statement, term)
    return [(term, statement) for statement, term in found.items()]


def accepted(pair: Pair) -> bool:
    try:
        check(*pair)
    except ProofError:
        return False
    return True


def agree(lean: Lean, pairs: list[Pair]) -> list[bool]:
    verdicts = lean.check([Job(statement=lean_statement(s), body=lean_term(t, s)) for t, s in pairs])
    own = [accepted(pair) for pair in pairs]
    for pair, mine, theirs in zip(pairs, own, verdicts, strict=True):
        assert theirs.status == ("ok" if mine else "rejected"), (pair, mine, theirs)
    return own


def test_kernel_and_lean_agree_on_proofs_and_mutants(lean):
    chance = Random(20_261_125)
    whole = proofs(chance)
    assert all(agree(lean, whole))
    broken = [mutant(chance, *pair) for pair in whole]
    wrong = agree(lean, broken).count(False)
    assert wrong > 0.7 * PROOFS
    assert wrong < PROOFS  # some that were changed are proofs still


def test_lean_accepts_every_disproof_and_no_other(lean):
    chance = Random(4)
    found = []
    while len(found) < 100:
        statement = random_formula(chance, 3)
        values = countermodel(statement)
        if values:
            found.append(disprove(statement, values))
    other = [one._replace(values={k: not v for k, v in one.values.items()}) for one in found]
    for disproofs, status in [(found, "ok"), (other, "rejected")]:
        jobs = [Job(statement=s, body=b) for s, b in map(lean_disproof, disproofs)]
        assert [verdict.status for verdict in lean.check(jobs)] == [status] * 100


@pytest.mark.parametrize(
    "name", ["fun", "And", "Prop", "h0", "h", "n0", "λ", "É", "rain", "theorem", "sorry", "a_1"]
)
def test_any_name_of_a_variable_will_do(lean, name):
    swap = Fun(parse(f"{name} ∧ q"), Both(Second(Var(0)), First(Var(0))))
    assert agree(lean, [(swap, parse(f"{name} ∧ q → q ∧ {name}")), (swap, parse(f"{name} ∧ q → {name} ∧ q"))])


def test_variables_of_a_lemma_on_the_way(lean):
    statement = parse("p → p")
    script = "have z ∨ ¬z; by_contra; apply h1; right; intro; apply h1; left; assumption; intro; assumption"
    assert agree(lean, [(verify(statement, read_script(statement, script)), statement)]) == [True]
