import json

import pytest

from goalward.errors import UsageError
from goalward.evaluation.search_picture import lay_out, write_search
from goalward.experience.search import Appraisal, Search, SearchSettings, search
from goalward.experience.search_graph import graph, proof_nodes, prune, state
from goalward.formal.formula import parse
from goalward.formal.proof import read_script, verify

SWAP = "p ∧ q → q ∧ p"
SETTINGS = SearchSettings(budget=300, method="puct")


def by_size(goals, tactics):
    """A guide that has learned nothing: all tactics are alike, and small goals are near."""
    return [
        Appraisal([1 / max(len(texts), 1)] * len(texts), float(goal.size))
        for goal, texts in zip(goals, tactics, strict=True)
    ]


def found(text, **changes):
    [one] = search([parse(text)], by_size, SearchSettings(**{"budget": 300, "method": "puct"} | changes))
    return one


def twigs(twig):
    return [twig, *(inner for fork in twig.tactics for goal in fork.goals for inner in twigs(goal))]


def test_the_graph_holds_the_proof():
    one = found(SWAP)
    goals = graph(one)["goals"]
    assert goals[0]["goal"] == f"⊢ {SWAP}"
    assert len(goals) == len(one.nodes)

    def script(place):
        [tactic] = [each for each in goals[place]["tactics"] if each["in_proof"]]
        return [tactic["tactic"], *(line for inner in tactic["goals"] for line in script(inner))]

    assert script(0) == list(one.proof.lines)
    verify(one.statement, read_script(one.statement, "\n".join(script(0))))


def test_states_are_told_apart():
    one = found(SWAP, budget=4, refute=True)
    states = {str(goal): state(node) for goal, node in one.nodes.items()}
    assert states["⊢ ⊥"] == "given up"
    assert states[f"⊢ {SWAP}"] == "open"
    assert "waiting" in states.values()
    assert proof_nodes(one) == set()


def test_all_is_drawn_where_there_is_room():
    one = found(SWAP)
    tree = prune(one, 1000)
    shown = twigs(tree.root)
    assert tree.drawn == len(one.nodes)
    assert {twig.node for twig in shown} == set(one.nodes.values())
    whole = [twig.node for twig in shown if not twig.again]
    assert len(whole) == len(set(whole))
    assert all(twig.hidden == 0 for twig in shown)


def test_what_is_visited_least_goes_first_and_the_proof_never():
    one = found("((p → q) → p) → p")
    tree = prune(one, 12)
    shown = twigs(tree.root)
    assert proof_nodes(one) <= {twig.node for twig in shown if twig.in_proof}
    assert len(shown) <= 12
    for twig in shown:
        left = {fork.branch for fork in twig.tactics}
        away = [branch for branch in twig.node.branches or () if branch not in left]
        assert twig.again or len(away) == twig.hidden
    tiny = twigs(prune(one, 1).root)
    assert {twig.node for twig in tiny} == proof_nodes(one)


def test_a_search_is_written_as_json_or_as_a_picture(tmp_path):
    one = found(SWAP)
    assert "22 goals" in write_search(one, tmp_path / "tree.json")
    assert json.loads((tmp_path / "tree.json").read_text())["proved"] is True
    assert write_search(one, tmp_path / "tree.svg").endswith("all 22 goals")
    drawn = (tmp_path / "tree.svg").read_bytes()
    assert drawn.startswith(b"<?xml")
    write_search(one, tmp_path / "tree.svg")
    assert (tmp_path / "tree.svg").read_bytes() == drawn
    assert write_search(one, tmp_path / "tree.png", most=8).endswith(
        "of 22 goals, the proof and the most visited"
    )
    assert (tmp_path / "tree.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"\.json, \.svg, \.png"):
        write_search(one, tmp_path / "tree.pdf")


def test_no_box_lies_on_another():
    for text in (SWAP, "((p → q) → p) → p", "p ∨ q → q ∨ p"):
        places = list(lay_out(prune(found(text), 60).root).places.values())
        for index, a in enumerate(places):
            for b in places[:index]:
                apart = (
                    a.x + a.width <= b.x
                    or b.x + b.width <= a.x
                    or abs(a.y - b.y) >= (a.height + b.height) / 2
                )
                assert apart


def test_a_search_that_has_not_begun_is_one_goal():
    tree = prune(Search(parse(SWAP), SETTINGS), 40)
    assert (tree.drawn, tree.root.tactics) == (1, [])
