"""Disproofs: a countermodel becomes a proof, whatever the formula, and nothing true is refuted."""

from random import Random

import pytest
from random_proofs import random_formula

from goalward.formal.formula import FALSE, TRUE, atoms, countermodel, negation, parse, substitute
from goalward.formal.kernel import App, First, Fun, ProofError, Trivial, Var, check
from goalward.formal.refute import Disproof, disprove, lean_disproof


def test_by_hand():
    found = disprove(parse("p ∨ q → p"), {"q": True, "p": False, "r": True})
    assert found.values == {"p": False, "q": True}
    assert lean_disproof(found) == (
        "Not (∀ (p q : Prop), Or p q → p)",
        "fun (h : ∀ (p q : Prop), Or p q → p) => (fun (h0 : Not (Or False True)) => "
        "(fun (h1 : False) => h1) (h0 (@Or.inr False _ True.intro))) (h False True)",
    )
    closed = Fun(parse("⊥ ∧ ⊤"), App(Fun(FALSE, Var(1)), First(Var(0))))
    assert disprove(parse("p ∧ q"), {"p": False, "q": True}) == Disproof(
        parse("p ∧ q"), {"p": False, "q": True}, closed
    )


def test_what_has_no_variables():
    statement = parse("⊤ → ⊥ ∨ ¬⊤")
    found = disprove(statement, {})
    check(found.term, negation(statement))
    assert lean_disproof(found)[0] == "Not (True → Or False (Not True))"
    assert lean_disproof(found)[1].startswith("fun (h : True → Or False (Not True)) => (fun (h0 : ")
    assert lean_disproof(found)[1].endswith(") (h)")


def test_what_is_true_is_not_refuted():
    with pytest.raises(ProofError, match="p ∨ q → p is true with these values"):
        disprove(parse("p ∨ q → p"), {"p": True, "q": True})
    with pytest.raises(ProofError, match="no value is given for q, r"):
        disprove(parse("p ∨ q → r"), {"p": True})
    with pytest.raises(ProofError, match="true"):
        disprove(TRUE, {})


def test_every_countermodel_becomes_a_proof():
    chance = Random(2)
    refuted = 0
    for _ in range(1500):
        statement = random_formula(chance, chance.randint(1, 5), "pqrs")
        values = countermodel(statement)
        if values is None:
            continue
        refuted += 1
        closed = substitute(statement, {k: TRUE if v else FALSE for k, v in values.items()})
        found = disprove(statement, values)
        check(found.term, negation(closed))
        assert tuple(found.values) == atoms(statement)
        with pytest.raises(ProofError):
            check(found.term, closed)
        with pytest.raises(ProofError):
            check(Trivial(), negation(closed))
    assert refuted > 500
