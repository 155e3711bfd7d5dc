"""Tactics: what each makes of a goal, by hand; and every proof that they find is one."""

from random import Random

import pytest
from random_proofs import random_formula, wander

from goalward.formal.formula import FALSE, is_tautology, parse
from goalward.formal.kernel import ProofError, check
from goalward.formal.proof import read_script, statement_goal, verify
from goalward.formal.tactics import MOST_HYPOTHESES, Goal, TacticError, moves, run


def goal(*texts: str) -> Goal:
    """The last is what is to be shown."""
    *known, target = map(parse, texts)
    return Goal(tuple(known), target)


STEPS = [  # a goal, a tactic, the goals that are left
    (["p", "q", "q"], "assumption", []),
    (["p", "q", "q"], "exact h2", []),
    (["p → q"], "intro", [["p", "q"]]),
    (["¬p"], "intro", [["p", "⊥"]]),
    (["p", "p → q"], "intro", [["p", "q"]]),  # known already
    (["⊤ → q"], "intro", [["q"]]),  # says nothing
    (["p ∧ q"], "constructor", [["p"], ["q"]]),
    (["r", "p ↔ q"], "constructor", [["r", "p → q"], ["r", "q → p"]]),
    (["⊤"], "constructor", []),
    (["p ∨ q"], "left", [["p"]]),
    (["p ∨ q"], "right", [["q"]]),
    (["p", "q"], "exfalso", [["p", "⊥"]]),
    (["p", "q"], "by_contra", [["p", "¬q", "⊥"]]),
    (["¬q", "q"], "by_contra", [["¬q", "⊥"]]),
    (["p → q → r", "r"], "apply h1", [["p → q → r", "p"], ["p → q → r", "q"]]),
    (["p → q → r", "q → r"], "apply h1", [["p → q → r", "p"]]),
    (["p", "p"], "apply h1", []),
    (["¬p", "⊥"], "apply h1", [["¬p", "p"]]),
    (["r", "p ∧ q", "q", "r"], "cases h2", [["r", "p", "q", "r"]]),
    (["p ∧ p", "r"], "cases h1", [["p", "r"]]),
    (["p ∧ (⊤ ∧ q)", "r"], "cases h1", [["p", "⊤ ∧ q", "r"]]),
    (["⊤ ∧ q", "r"], "cases h1", [["q", "r"]]),
    (["p ↔ q", "r"], "cases h1", [["p → q", "q → p", "r"]]),
    (["p ∨ q", "s", "r"], "cases h1", [["p", "s", "r"], ["q", "s", "r"]]),
    (["s", "p ∨ s", "r"], "cases h2", [["s", "p", "r"], ["s", "r"]]),
    (["⊥", "r"], "cases h1", []),
    (["⊤ ∨ q", "r"], "cases h1", [["r"], ["q", "r"]]),
    (["p → q", "r"], "specialize h1", [["p → q", "p"], ["q", "r"]]),
    (["r"], "have p ∨ ¬p", [["p ∨ ¬p"], ["p ∨ ¬p", "r"]]),
    (["r"], "have : p", [["p"], ["p", "r"]]),
    (["p", "r"], "have p", [["p", "p"], ["p", "r"]]),
    (["p", "r"], "  have   q ", [["p", "q"], ["p", "q", "r"]]),
]

REFUSED = [
    (["p", "q"], "assumption"),
    (["p", "q"], "exact h1"),
    (["p", "q"], "exact h2"),
    (["p", "q"], "exact"),
    (["p ∧ q"], "intro"),
    (["p → q"], "intro h1"),
    (["p ∨ q"], "constructor"),
    (["p"], "constructor"),
    (["⊥"], "constructor"),
    (["p ∧ q"], "left"),
    (["p ∧ q"], "right"),
    (["⊥"], "exfalso"),
    (["⊥"], "by_contra"),
    (["p → q", "r"], "apply h1"),
    (["p → q", "r"], "cases h1"),
    (["⊤", "r"], "cases h1"),
    (["p", "r"], "cases h1"),
    (["p ∧ q", "r"], "specialize h1"),
    (["p", "r"], "apply h0"),
    (["p", "r"], "apply h01"),
    (["p", "r"], "apply p"),
    (["r"], "have"),
    (["r"], "have p ∧"),
    (["r"], "sorry"),
    (["r"], ""),
    (["r"], "Intro"),
]


@pytest.mark.parametrize(("before", "tactic", "after"), STEPS)
def test_what_a_tactic_leaves(before, tactic, after):
    assert run(goal(*before), tactic).goals == tuple(goal(*one) for one in after)


@pytest.mark.parametrize(("before", "tactic"), REFUSED)
def test_what_does_not_apply_is_refused_in_words(before, tactic):
    with pytest.raises(TacticError, match=f"^{tactic!r}: "):
        run(goal(*before), tactic)


def test_a_goal_reads_as_it_is_written():
    assert str(goal("p → q", "p", "q")) == "h1:p → q h2:p ⊢ q"
    assert goal("p → q", "p", "q").size == 5


def test_moves_are_what_applies_and_does_something():
    found = [text for text, _ in moves(goal("p ∨ q", "¬p", "p ∨ q"))]
    assert found == ["assumption", "left", "right", "exfalso", "by_contra", "cases h1", "specialize h2"]
    assert [text for text, _ in moves(goal("p", "q", "q"))] == ["assumption", "exfalso", "by_contra"]
    assert list(moves(goal("⊥"))) == []
    for text, move in moves(goal("p ∧ q", "p → r ∨ q", "p → q", "r ∨ q")):
        assert run(goal("p ∧ q", "p → r ∨ q", "p → q", "r ∨ q"), text).goals == move.goals


def test_a_goal_never_grows_past_what_can_be_written():
    many = tuple(parse(f"p{place}") for place in range(MOST_HYPOTHESES))
    full = Goal(many, parse("q → q"))
    with pytest.raises(TacticError, match="does not apply"):
        run(full, "intro")
    assert "intro" not in [text for text, _ in moves(full)]
    assert run(Goal(many[1:], parse("q → q")), "intro").goals[0].hypotheses == (*many[1:], parse("q"))


def proves(statement: str, script: str) -> None:
    proof = read_script(parse(statement), script)
    verify(parse(statement), proof)


BY_HAND = [
    ("p ∧ q → q ∧ p", "intro; cases h1; constructor; exact h2; exact h1"),
    ("(p → q) → (q → r) → p → r", "intro; intro; intro; apply h2; apply h1; exact h3"),
    ("p ∨ ¬p", "by_contra; apply h1; right; intro; apply h1; left; assumption"),
    ("((p → q) → p) → p", "intro; by_contra; apply h2; apply h1; intro; exfalso; apply h2; assumption"),
    (
        "¬(p ∧ q) ↔ ¬p ∨ ¬q",
        """
        constructor
        intro
        have p ∨ ¬p
        by_contra; apply h2; right; intro; apply h2; left; exact h3
        cases h2
        right; intro; apply h1; constructor; exact h2; exact h3
        left; exact h2
        intro; intro; cases h2; cases h1
        apply h1; exact h2
        apply h1; exact h3""",
    ),
    ("(p ↔ q) → (q ↔ p)", "intro; cases h1; constructor; assumption; assumption"),
    ("(p ∨ q) ∧ ¬p → q", "intro; cases h1; cases h1; specialize h2; exact h1; cases h2; exact h1"),
    ("⊥ → p", "intro; cases h1"),
    ("⊤ ∧ (p → p)", "constructor; constructor; intro; assumption"),
    # a hypothesis's proof, h2's, is made outside of the binders that it is used under
    ("p ∧ q → (r → p → q ∧ p)", "intro; cases h1; intro; intro; constructor; exact h2; exact h1"),
    ("p → (p → p) ∧ (q → p)", "intro; constructor; intro; exact h1; intro; exact h1"),
    ("(p ∧ q) ∧ r → ¬r ∨ (s → q)", "intro; cases h1; cases h1; right; intro; exact h2"),
    (
        "(p → q) → p → (s → q) ∧ q",
        "intro; intro; specialize h1; exact h2; constructor; intro; exact h1; exact h1",
    ),
    ("p → p → p", "intro; intro; exact h1"),
    ("p ∨ p → p", "intro; cases h1; exact h1; exact h1"),
    ("(p ∧ p) ∧ (p ∧ ⊤) → p", "intro; cases h1; cases h1; cases h2; exact h1"),
]


@pytest.mark.parametrize(("statement", "script"), BY_HAND)
def test_proofs_by_hand(statement, script):
    proves(statement, script)


def test_every_proof_that_tactics_find_is_one_and_nothing_false_is_proved():
    chance = Random(11)
    found = 0
    for _ in range(3000):
        statement = random_formula(chance, 3)
        proof = wander(statement_goal(statement), chance, fuel=25)
        if proof is None:
            continue
        found += 1
        term = verify(statement, proof)
        assert is_tautology(statement)
        with pytest.raises(ProofError):
            check(term, FALSE)
        assert read_script(statement, "\n".join(proof.lines)) == proof
    assert found > 150
