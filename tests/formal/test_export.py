"""What is written for Lean: by hand here, by real Lean in test_differential."""

from random import Random

import pytest
from random_proofs import tactic_proofs

from goalward.formal.export import lean_name, lean_statement, lean_term
from goalward.formal.formula import FALSE, TRUE, atom, parse
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
    Right,
    Second,
    Trivial,
    Var,
)
from goalward.formal.proof import read_script
from goalward.formal.script import lean_script

P, Q = atom("p"), atom("q")


@pytest.mark.parametrize(
    ("formula", "lean"),
    [
        ("p ∧ q → q ∧ p", "∀ (p q : Prop), And p q → And q p"),
        ("(p → q) → ¬q → ¬p", "∀ (p q : Prop), (p → q) → Not q → Not p"),
        ("¬(p → q) ∨ (q → p ↔ ⊥)", "∀ (p q : Prop), Or (Not (p → q)) (Iff (q → p) False)"),
        ("¬¬⊤", "Not (Not True)"),
        ("(¬p → q) → (p ∨ q) ∧ ⊤", "∀ (p q : Prop), (Not p → q) → And (Or p q) True"),
    ],
)
def test_statements_by_hand(formula, lean):
    assert lean_statement(parse(formula)) == lean


NAMES = {
    "fun": "v_fun",
    "And": "v_And",
    "h0": "v_h0",
    "n0": "v_n0",
    "a_1": "v_a__1",
    "λ": "v__u3bb_",
    "É": "v__uc9_",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lean_might_mistake_are_changed(name):
    assert lean_name(name) == NAMES[name]
    assert lean_statement(atom(name)) == f"∀ ({NAMES[name]} : Prop), {NAMES[name]}"


def test_no_two_names_become_one():
    names = ["u3bb", "_u3bb_", "λ", "__u3bb__", "_", "__", "v_", "v__", "h", "v_h", "_h", "q", "v_q"]
    assert len(set(map(lean_name, names))) == len(names)


def test_canonical_names_stay():
    for name in ["p", "q", "g", "z", "p1", "a12"]:
        assert lean_name(name) == name


@pytest.mark.parametrize(
    ("term", "statement", "lean"),
    [
        (
            Fun(parse("p ∧ q"), Both(Second(Var(0)), First(Var(0)))),
            "p ∧ q → q ∧ p",
            "fun (p q : Prop) => fun (h0 : And p q) => And.intro (And.right h0) (And.left h0)",
        ),
        (Fun(P, Left(Var(0), parse("q ∨ p"))), "p → p ∨ q ∨ p", "(h0 : p) => @Or.inl _ (Or q p) h0"),
        (Fun(P, Right(Q, Var(0))), "p → q ∨ p", "@Or.inr q _ h0"),
        (ExcludedMiddle(parse("p → q")), "(p → q) ∨ ¬(p → q)", "fun (p q : Prop) => Classical.em (p → q)"),
        (Trivial(), "⊤", "True.intro"),
        (Fun(FALSE, Absurd(P, Var(0))), "⊥ → p", "fun (p : Prop) => fun (h0 : False) => @False.elim p h0"),
        (
            Either(ExcludedMiddle(P), Fun(P, Trivial()), Fun(parse("¬p"), Trivial())),
            "⊤",
            "(fun (p : Prop) => (Or.elim (Classical.em p) (fun (h0 : p) => True.intro) "
            "(fun (h0 : Not p) => True.intro) : True)) True",
        ),
        (
            Fun(parse("p ↔ q"), Equivalent(Back(Var(0)), Forth(Var(0)))),
            "(p ↔ q) → (q ↔ p)",
            "Iff.intro (Iff.mpr h0) (Iff.mp h0)",
        ),
        (App(Fun(TRUE, Var(0)), Trivial()), "⊤", "(fun (h0 : True) => h0) True.intro"),
        (
            Fun(parse("p → q"), Fun(P, App(Var(0), Var(1)))),
            "(p → q) → p → q",
            "fun (h0 : p → q) => fun (h1 : p) => h0 h1",
        ),
    ],
)
def test_terms_by_hand(term, statement, lean):
    assert lean_term(term, parse(statement)).endswith(lean)


SCRIPTS = [
    (
        "((p → q) → p) → p",
        "intro; by_contra; apply h2; apply h1; intro; exfalso; apply h2; assumption",
        """\
theorem found : ∀ (p q : Prop), ((p → q) → p) → p := by
  intro p q
  intro h1
  refine Classical.byContradiction fun h2 => ?_
  refine h2 ?_
  refine h1 ?_
  intro h3
  exfalso
  refine h2 ?_
  exact h3""",
    ),
    (
        "(p ↔ q) ∧ (p ∨ q) → q ∧ ⊤",
        """intro; cases h1; cases h2; cases h1; specialize h1; assumption; constructor; exact h1; constructor
           constructor; assumption; constructor""",
        """\
theorem found : ∀ (p q : Prop), (p ↔ q) ∧ (p ∨ q) → q ∧ True := by
  intro p q
  intro h1
  obtain ⟨h2, h3⟩ := h1
  rcases h3 with h4 | h4
  · obtain ⟨h5, h6⟩ := h2
    have h7 : q := by
      refine h5 ?_
      exact h4
    constructor
    · exact h7
    · exact True.intro
  · constructor
    · exact h4
    · exact True.intro""",
    ),
    (
        "⊥ ∧ rain → rain ∨ ⊥",
        "intro; cases h1; have rain → rain; intro; exact h2; left; assumption",
        """\
theorem found : ∀ (v_rain : Prop), False ∧ v_rain → v_rain ∨ False := by
  intro v_rain
  intro h1
  obtain ⟨h2, h3⟩ := h1
  have h4 : v_rain → v_rain := by
    intro _
    exact h3
  left
  exact h3""",
    ),
    (
        "∀ n m, succ n = succ m → 0 + n = m",
        """intro; intro; intro; have ∀ n, 0 + n = n; intro; induction k; rfl; rw h2; rfl
           specialize h2 with n; injection h1; rw h2; exact h1""",
        """\
open Nat in
theorem found : ∀ n : Nat, ∀ m : Nat, succ n = succ m → 0 + n = m := by
  intro n
  intro m
  intro h1
  have h2 : ∀ n : Nat, 0 + n = n := by
    intro k
    induction k with
    | zero =>
      rfl
    | succ k h2 =>
      refine Eq.subst (motive := fun i : Nat => succ i = succ k) h2.symm ?_
      rfl
  have h3 : 0 + n = n := h2 (n)
  have h4 : n = m := succ.inj h1
  refine Eq.subst (motive := fun k : Nat => k = m) h3.symm ?_
  exact h4""",
    ),
    (
        "¬0 = 1",
        "intro; injection h1",
        "open Nat in\ntheorem found : ¬0 = 1 := by\n  intro h1\n  exact absurd h1.symm (succ_ne_zero _)",
    ),
    ("⊥ → ⊤", "intro; cases h1", "theorem found : False → True := by\n  intro h1\n  exact h1.elim"),
]


@pytest.mark.parametrize(("statement", "script", "lean"), SCRIPTS)
def test_scripts_by_hand(statement, script, lean):
    assert lean_script(parse(statement), read_script(parse(statement), script)) == lean


def test_every_proof_has_a_script():
    for statement, proof in tactic_proofs(Random(3), 60):
        lines = lean_script(statement, proof, "t").splitlines()
        assert lines[0].startswith("theorem t : ")
        assert len(lines) >= proof.size
