import numpy as np
import pytest

from goalward.experience.by_size import search_by_size
from goalward.experience.graph import proof_of, shortest_proofs
from goalward.experience.practice import lessons
from goalward.experience.search import (
    Appraisal,
    Search,
    SearchSettings,
    canonical_goal,
    find_proofs,
    holds,
    search,
)
from goalward.experience.walks import walks
from goalward.formal.formula import parse
from goalward.formal.proof import read_script, statement_goal, verify
from goalward.formal.tactics import Goal

PEIRCE = parse("((p → q) → p) → p")
THEOREMS = [PEIRCE, parse("p ∧ q → q ∧ p"), parse("(p → q ∧ r) → p → q"), parse("p ∨ q → q ∨ p")]
WAY = {
    "⊢ p ∧ q → q ∧ p": "intro",
    "h1:p ∧ q ⊢ q ∧ p": "constructor",
}


def even(goals, tactics):
    """A guide that has learned nothing: all tactics are alike, and small goals are near."""
    return [
        Appraisal([1 / max(len(texts), 1)] * len(texts), float(goal.size))
        for goal, texts in zip(goals, tactics, strict=True)
    ]


def knowing(goals, tactics):
    """A guide that likes what WAY says, and else what takes hypotheses apart or ends the goal."""

    def likes(goal, text):
        wanted = WAY.get(str(goal))
        return text == wanted if wanted else text == "assumption" or text.startswith("cases")

    found = []
    for goal, texts in zip(goals, tactics, strict=True):
        prior = np.array([100.0 if likes(goal, text) else 1.0 for text in texts])
        found.append(Appraisal((prior / prior.sum()).tolist(), 3.0))
    return found


@pytest.mark.parametrize("method", ["best_first", "puct"])
@pytest.mark.parametrize("refute", [False, True])
def test_what_is_found_is_accepted_by_the_kernel(method, refute):
    found = search(THEOREMS, even, SearchSettings(budget=400, method=method, refute=refute))
    assert sum(one.proof is not None for one in found) >= 3
    for one in found:
        if one.proof:
            verify(one.statement, one.proof)


def test_nothing_false_is_proved_and_the_budget_holds():
    [found] = search([parse("p ∨ q → p")], even, SearchSettings(budget=50, method="puct"))
    assert found.proof is None
    assert found.expansions <= 50


def test_a_refuted_statement_is_given_up_at_once():
    [found] = search([parse("p → q")], even, SearchSettings(budget=50, refute=True))
    assert found.root.dead
    assert found.expansions == 0


@pytest.mark.parametrize("method", ["best_first", "puct"])
def test_a_good_guide_needs_few_expansions(method):
    statement = parse("p ∧ q → q ∧ p")
    [guided] = search([statement], knowing, SearchSettings(budget=64, method=method))
    [blind] = search([statement], even, SearchSettings(budget=64, method=method))
    assert guided.proof
    assert guided.expansions == 6  # the two goals of WAY, and `cases`, `assumption` on each side
    assert blind.proof is None or blind.expansions > 6


def test_side_by_side_changes_nothing():
    settings = SearchSettings(budget=100, method="puct")
    together = search(THEOREMS, even, settings)
    alone = search(THEOREMS, even, settings, side_by_side=1)
    assert [one.expansions for one in together] == [one.expansions for one in alone]
    assert [one.proof for one in together] == [one.proof for one in alone]


def test_goals_that_differ_in_names_are_one():
    a = Goal((parse("r → s"),), parse("s"))
    assert canonical_goal(a) == Goal((parse("p → q"),), parse("q"))
    one = Search(parse("(r → s) ∧ r → s"), SearchSettings())
    assert one.root.goal.target is parse("(p → q) ∧ p → q")


def test_a_way_that_comes_back_is_never_taken():
    # `apply h1` on p gives p again: only a path without it can end.
    [found] = search([parse("(p → p) → p")], even, SearchSettings(budget=60, method="puct"))
    assert found.proof is None


def test_truth_of_goals():
    assert holds(Goal((parse("p"), parse("p → q")), parse("q")))
    assert not holds(Goal((parse("p → q"),), parse("q")))


def test_only_proofs_are_kept_and_in_order():
    settings = SearchSettings(budget=100, method="puct")
    kept = find_proofs(THEOREMS * 80, even, settings)
    whole = search(THEOREMS, even, settings)
    assert [(one.proof, one.expansions) for one in kept] == [(w.proof, w.expansions) for w in whole] * 80


def test_search_by_size_finds_what_the_kernel_accepts():
    for statement in THEOREMS:
        found = search_by_size(statement, 400)
        verify(statement, found.proof)
        again = search_by_size(statement, found.expansions)
        assert again.proof == found.proof
        assert not search_by_size(statement, found.expansions - 1).proved
    assert not search_by_size(parse("p ∨ q → p"), 400).proved


def test_shortest_proofs_by_hand():
    a, b, c, d, e = (Goal((), parse(name)) for name in "pqrst")
    graph = {
        a: [("long", [b]), ("twice", [d, d]), ("open", [e])],
        b: [("on", [c])],
        c: [("on", [d]), ("back", [a])],
        d: [("end", [])],
    }
    found = shortest_proofs(graph)
    # d: 1; c: 1 + 1; b: 1 + 2; a: by "long" 1 + 3, by "twice" 1 + 1 + 1
    assert {goal: (best.tactic, best.size) for goal, best in found.items()} == {
        d: ("end", 1),
        c: ("on", 2),
        b: ("on", 3),
        a: ("twice", 3),
    }
    assert list(proof_of(a, found).lines) == ["twice", "end", "end"]


@pytest.mark.parametrize(("by_size", "shortest_size"), [(False, 6), (True, 5)])
def test_lessons_are_proved_goals_with_their_shortest_proofs_and_refuted_ones(by_size, shortest_size):
    [guided] = search([THEOREMS[1]], knowing, SearchSettings(budget=64))
    found = search_by_size(THEOREMS[1], 64) if by_size else guided
    root = statement_goal(THEOREMS[1])
    shortest = shortest_proofs(found.graph)
    assert shortest[root].size == shortest_size
    assert list(proof_of(root, shortest).lines)[:1] == ["intro"]
    drawn = lessons(found.graph, root, most=3, refuted=1.0, rng=np.random.default_rng(0))
    assert drawn[0] == (root, "intro", shortest_size)  # the statement's own proof comes first
    assert sum(each.tactic is not None for each in drawn) == 3
    for goal, tactic, steps in drawn:
        assert holds(goal) == (tactic is not None)
        assert steps == 63 or tactic is not None


def test_walks_give_scripts_that_prove():
    scripts = walks([THEOREMS[1], parse("p → q")], knowing, longest=20)
    assert scripts[1] is None
    verify(THEOREMS[1], read_script(THEOREMS[1], "\n".join(scripts[0])))
    luck = [np.random.default_rng(seed) for seed in range(30)]
    drawn = walks([parse("p → p")] * 30, even, longest=8, luck=luck)
    assert any(drawn)
    assert drawn == walks(
        [parse("p → p")] * 30, even, longest=8, luck=[np.random.default_rng(s) for s in range(30)]
    )
    assert statement_goal(PEIRCE).target is PEIRCE
