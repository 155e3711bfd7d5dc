"""Proofs as trees: scripts round trip, and what is no proof is refused where it fails."""

from random import Random

import pytest
from random_proofs import tactic_proofs

from goalward.formal.formula import parse
from goalward.formal.kernel import App, Both, Equivalent, First, Fun, Second, Var
from goalward.formal.proof import Proof, read_script, statement_goal, steps, verify
from goalward.formal.tactics import Goal, TacticError

SWAP = parse("p ∧ q → q ∧ p")
PROOF = Proof(
    "intro", (Proof("cases h1", (Proof("constructor", (Proof("exact h2"), Proof("assumption"))),)),)
)
SCRIPT = ["intro", "cases h1", "constructor", "exact h2", "assumption"]


def test_a_proof_by_hand():
    assert list(PROOF.lines) == SCRIPT
    assert PROOF.size == 5
    assert read_script(SWAP, "\n".join(SCRIPT)) == PROOF
    assert read_script(SWAP, "  ;intro; cases h1\n\n constructor ;exact h2;;assumption;") == PROOF
    assert verify(SWAP, PROOF) == Fun(parse("p ∧ q"), Both(Second(Var(0)), First(Var(0))))


def test_terms_by_hand_where_binders_lie_inside_each_other():
    goal = parse("p → (p → q) ↔ (p → q)")
    forth = "intro; intro; specialize h1; exact h2; apply h1; exact h2"
    term = verify(goal, read_script(goal, f"constructor; {forth}; intro; intro; exact h1"))
    p, pq, ppq = parse("p"), parse("p → q"), parse("p → p → q")
    first = Fun(ppq, Fun(p, App(Fun(pq, App(Var(2), Var(1))), App(Var(0), Var(1)))))
    assert term == Equivalent(first, Fun(pq, Fun(p, Var(0))))


def test_steps_are_each_goal_with_its_tactic():
    found = [(str(goal), tactic) for goal, tactic, _ in steps(statement_goal(SWAP), PROOF)]
    assert found == [
        ("⊢ p ∧ q → q ∧ p", "intro"),
        ("h1:p ∧ q ⊢ q ∧ p", "cases h1"),
        ("h1:p h2:q ⊢ q ∧ p", "constructor"),
        ("h1:p h2:q ⊢ q", "exact h2"),
        ("h1:p h2:q ⊢ p", "assumption"),
    ]


@pytest.mark.parametrize(
    ("script", "wrong"),
    [
        ("", r"the script ends, and ⊢ p ∧ q → q ∧ p is still"),
        ("intro\ncases h1\nconstructor\nexact h2", r"the script ends, and h1:p h2:q ⊢ p is still"),
        ("intro\nleft", r"line 2: 'left': does not apply to h1:p ∧ q ⊢ q ∧ p"),
        ("intro\ncases h2", r"line 2: 'cases h2': names no hypothesis"),
        ("\n".join([*SCRIPT, "intro"]), r"line 6: 'intro': all is shown already"),
        ("intro\nomega", r"line 2: 'omega': is no tactic; known: assumption, intro,"),
        ("have p ∧", r"line 1: 'have p ∧': not a formula"),
    ],
)
def test_a_script_that_fails_says_where(script, wrong):
    with pytest.raises(TacticError, match=wrong):
        read_script(SWAP, script)


@pytest.mark.parametrize(
    "proof",
    [
        Proof("intro"),
        Proof("intro", (PROOF, PROOF)),
        Proof("intro", (Proof("assumption"),)),
        Proof("assumption", (PROOF,)),
        PROOF.parts[0],
    ],
)
def test_a_tree_that_does_not_fit_is_no_proof(proof):
    with pytest.raises(TacticError):
        verify(SWAP, proof)
    with pytest.raises(TacticError):
        list(steps(statement_goal(SWAP), proof))


def test_endless_scripts_are_refused_and_break_nothing():
    with pytest.raises(TacticError, match="too deep"):
        read_script(SWAP, "have ⊤; constructor; " * 20_000)
    proof = PROOF
    for _ in range(20_000):
        proof = Proof("have ⊤", (Proof("constructor"), proof))
    with pytest.raises(TacticError, match="too deep"):
        verify(SWAP, proof)


def test_scripts_round_trip():
    for statement, proof in tactic_proofs(Random(5), 60):
        assert read_script(statement, "\n".join(proof.lines)) == proof
        assert read_script(statement, ";".join(proof.lines)) == proof
        visited = list(steps(statement_goal(statement), proof))
        assert len(visited) == proof.size
        assert visited[0][0] == Goal((), statement)
