import numpy as np
import pytest

from goalward.experience.practice import lessons, shortest_proofs
from goalward.experience.search import (
    Appraisal,
    Search,
    SearchSettings,
    by_size,
    canonical_goal,
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


@pytest.mark.parametrize("method", ["best_first", "puct", "size"])
@pytest.mark.parametrize("refute", [False, True])
def test_what_is_found_is_accepted_by_the_kernel(method, refute):
    found = search(THEOREMS, by_size, SearchSettings(budget=400, method=method, refute=refute))
    assert sum(one.proof is not None for one in found) >= 3
    for one in found:
        if one.proof:
            verify(one.statement, one.proof)


def test_nothing_false_is_proved_and_the_budget_holds():
    [found] = search([parse("p ∨ q → p")], by_size, SearchSettings(budget=50, method="puct"))
    assert found.proof is None
    assert found.expansions <= 50


def test_a_refuted_statement_is_given_up_at_once():
    [found] = search([parse("p → q")], by_size, SearchSettings(budget=50, refute=True))
    assert found.root.dead
    assert found.expansions == 0


@pytest.mark.parametrize("method", ["best_first", "puct"])
def test_a_good_guide_needs_few_expansions(method):
    statement = parse("p ∧ q → q ∧ p")
    [guided] = search([statement], knowing, SearchSettings(budget=64, method=method))
    [blind] = search([statement], by_size, SearchSettings(budget=64, method=method))
    assert guided.proof
    assert guided.expansions == 6  # the two goals of WAY, and `cases`, `assumption` on each side
    assert blind.proof is None or blind.expansions > 6


def test_side_by_side_changes_nothing():
    settings = SearchSettings(budget=100, method="puct")
    together = search(THEOREMS, by_size, settings)
    alone = search(THEOREMS, by_size, settings, side_by_side=1)
    assert [one.expansions for one in together] == [one.expansions for one in alone]
    assert [one.proof for one in together] == [one.proof for one in alone]


def test_goals_that_differ_in_names_are_one():
    a = Goal((parse("r → s"),), parse("s"))
    assert canonical_goal(a) == Goal((parse("p → q"),), parse("q"))
    one = Search(parse("(r → s) ∧ r → s"), SearchSettings())
    assert one.root.goal.target is parse("(p → q) ∧ p → q")


def test_a_way_that_comes_back_is_never_taken():
    # `apply h1` on p gives p again: only a path without it can end.
    [found] = search([parse("(p → p) → p")], by_size, SearchSettings(budget=60, method="puct"))
    assert found.proof is None


def test_truth_of_goals():
    assert holds(Goal((parse("p"), parse("p → q")), parse("q")))
    assert not holds(Goal((parse("p → q"),), parse("q")))


def test_lessons_are_proved_goals_with_their_shortest_proofs_and_refuted_ones():
    [found] = search([THEOREMS[1]], knowing, SearchSettings(budget=64))
    shortest = shortest_proofs(found)
    assert shortest[found.root] == ("intro", found.proof.size)
    drawn = lessons(found, most=3, refuted=1.0, rng=np.random.default_rng(0))
    assert sum(each.tactic is not None for each in drawn) == 3
    for goal, tactic, steps in drawn:
        assert holds(goal) == (tactic is not None)
        assert steps == 63 or tactic is not None


def test_walks_give_scripts_that_prove():
    scripts = walks([THEOREMS[1], parse("p → q")], knowing, longest=20)
    assert scripts[1] is None
    verify(THEOREMS[1], read_script(THEOREMS[1], "\n".join(scripts[0])))
    luck = [np.random.default_rng(seed) for seed in range(30)]
    drawn = walks([parse("p → p")] * 30, by_size, longest=8, luck=luck)
    assert any(drawn)
    assert drawn == walks(
        [parse("p → p")] * 30, by_size, longest=8, luck=[np.random.default_rng(s) for s in range(30)]
    )
    assert statement_goal(PEIRCE).target is PEIRCE
