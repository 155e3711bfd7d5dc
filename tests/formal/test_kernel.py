"""The kernel: each rule accepts what it should, and nothing else; what it accepts is true."""

from random import Random

import pytest
from random_proofs import mutant, random_term

from goalward.formal.formula import FALSE, TRUE, atom, is_tautology, parse
from goalward.formal.kernel import (
    Absurd,
    App,
    Back,
    Both,
    Either,
    Equivalent,
    ExcludedMiddle,
    First,
    Forth,
    Fun,
    Left,
    ProofError,
    Right,
    Second,
    Trivial,
    Var,
    check,
    infer,
)

P, Q, R = map(atom, "pqr")
PQ, P_OR_Q, P_IFF_Q, P_TO_Q = map(parse, ["p ∧ q", "p ∨ q", "p ↔ q", "p → q"])

RULES = [  # assumptions, a term, what it proves from them
    (["p", "q"], Var(0), "p"),
    (["p", "q"], Var(1), "q"),
    (["p"], Fun(Q, Var(0)), "q → p"),
    (["p"], Fun(Q, Var(1)), "q → q"),
    (["p → q", "p"], App(Var(0), Var(1)), "q"),
    (["¬p", "p"], App(Var(0), Var(1)), "⊥"),
    ([], Trivial(), "⊤"),
    (["⊥"], Absurd(Q, Var(0)), "q"),
    (["p", "q"], Both(Var(0), Var(1)), "p ∧ q"),
    (["p ∧ q"], First(Var(0)), "p"),
    (["p ∧ q"], Second(Var(0)), "q"),
    (["p"], Left(Var(0), Q), "p ∨ q"),
    (["p"], Right(Q, Var(0)), "q ∨ p"),
    (["p ∨ q", "p → r", "q → r"], Either(Var(0), Var(1), Var(2)), "r"),
    (["p → q", "q → p"], Equivalent(Var(0), Var(1)), "p ↔ q"),
    (["p ↔ q"], Forth(Var(0)), "p → q"),
    (["p ↔ q"], Back(Var(0)), "q → p"),
    ([], ExcludedMiddle(PQ), "p ∧ q ∨ ¬(p ∧ q)"),
]

BROKEN = [  # assumptions, a term that proves nothing from them, what is wrong
    (["p"], Var(1), "no assumption 1"),
    (["p"], Var(-1), "no assumption -1"),
    ([], Fun(P, Var(1)), "no assumption 1"),
    (["p", "q"], Both(Fun(P, Var(2)), Var(2)), "no assumption 2"),  # the binder's scope has ended
    (["p → q", "q"], App(Var(0), Var(1)), "proves q where p is due"),
    (["p ∧ q", "p"], App(Var(0), Var(1)), "proves p ∧ q where some a → b"),
    (["p"], Absurd(Q, Var(0)), "proves p where ⊥ is due"),
    (["p ∨ q"], First(Var(0)), "some a ∧ b"),
    (["p → q"], Second(Var(0)), "some a ∧ b"),
    (["p ∧ q", "p → r", "q → r"], Either(Var(0), Var(1), Var(2)), "some a ∨ b"),
    (["p ∨ q", "q → r", "q → r"], Either(Var(0), Var(1), Var(2)), "case of q stands where p is due"),
    (["p ∨ q", "p → r", "p → r"], Either(Var(0), Var(1), Var(2)), "where q → r is due"),
    (["p ∨ q", "p → r", "q → p"], Either(Var(0), Var(1), Var(2)), "where q → r is due"),
    (["p ∨ q", "p", "q → p"], Either(Var(0), Var(1), Var(2)), "some a → b"),
    (["p ∨ q", "q → r", "p → r"], Either(Var(0), Var(1), Var(2)), "case of q"),
    (["p → q", "p → q"], Equivalent(Var(0), Var(1)), "where q → p is due"),
    (["p → q", "q"], Equivalent(Var(0), Var(1)), "where q → p is due"),
    (["p ∧ q", "q → p"], Equivalent(Var(0), Var(1)), "some a → b"),
    (["p → q"], Forth(Var(0)), "some a ↔ b"),
    (["p ∧ q"], Back(Var(0)), "some a ↔ b"),
    (["p"], Both(Var(0), Var(3)), "no assumption 3"),
    (["p"], ("p",), "no proof term"),
]


@pytest.mark.parametrize(("assumed", "term", "proved"), RULES)
def test_each_rule(assumed, term, proved):
    assert infer(term, list(map(parse, assumed))) is parse(proved)


@pytest.mark.parametrize(("assumed", "term", "wrong"), BROKEN)
def test_each_way_to_break_one(assumed, term, wrong):
    with pytest.raises(ProofError, match=wrong):
        infer(term, list(map(parse, assumed)))


def test_a_whole_proof_by_hand():
    swap = Fun(PQ, Both(Second(Var(0)), First(Var(0))))
    check(swap, parse("p ∧ q → q ∧ p"))
    for other in ["p ∧ q → p ∧ q", "q ∧ p → p ∧ q", "q ∧ p", "a ∧ b → b ∧ a", "⊤"]:
        with pytest.raises(ProofError, match="the term proves p ∧ q → q ∧ p, not"):
            check(swap, parse(other))


def test_peirce_needs_excluded_middle():
    whole = parse("((p → q) → p) → p")
    no = Absurd(Q, App(Var(1), Var(2)))
    body = Either(ExcludedMiddle(P), Fun(P, Var(1)), Fun(parse("¬p"), App(Var(0), Fun(P, no))))
    check(Fun(parse("(p → q) → p"), body), whole)


def test_assumptions_of_the_caller_are_left_alone():
    context = [P]
    infer(Fun(Q, Fun(R, Var(0))), context)
    assert context == [P]


def test_too_deep_is_no_proof_and_no_crash():
    term, statement = Trivial(), TRUE
    for _ in range(20_000):
        term = Left(term, FALSE)
    with pytest.raises(ProofError, match="too deep"):
        check(term, statement)


def test_nothing_is_proved_that_is_not_true():
    chance = Random(7)
    kept = wrong = 0
    for _ in range(2000):
        term, statement = random_term(chance)
        check(term, statement)
        assert is_tautology(statement)
        broken, claimed = mutant(chance, term, statement)
        try:
            check(broken, claimed)
        except ProofError:
            wrong += 1
        else:
            kept += 1
            assert is_tautology(claimed)
    assert wrong > 1000
    assert kept > 100
