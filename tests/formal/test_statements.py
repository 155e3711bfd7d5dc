"""What is made to practise on: theorems and refutables, random proofs, variants."""

import random
from itertools import islice

import pytest

from goalward.errors import UsageError
from goalward.formal.formula import (
    ATOMS,
    Formula,
    atoms,
    canonical,
    is_tautology,
    parse,
    substitute,
    truth_table,
)
from goalward.formal.kernel import check, infer
from goalward.formal.metamath import shipped
from goalward.formal.proof import statement_goal
from goalward.formal.random_terms import proved
from goalward.formal.statements import (
    consequences,
    distinct,
    random_formula,
    refutables,
    take_turns,
    tautologies,
    trivial,
)
from goalward.formal.tactics import moves
from goalward.formal.variants import as_statement, variants


def types(rng: random.Random):
    return (one.statement for one in proved(rng))


SOURCES = [tautologies, consequences, types]


def depth(formula: Formula) -> int:
    return max((1 + depth(part) for part in formula.parts), default=0)


def by_hand(formula: Formula, values: dict[str, bool]) -> bool:
    """The value by the operators' definitions: a reference for truth tables."""
    if formula.op == "atom":
        return values[formula.name]
    if not formula.parts:
        return formula.op == "⊤"
    a, b = (by_hand(part, values) for part in formula.parts)
    return {"→": not a or b, "∧": a and b, "∨": a or b, "↔": a == b}[formula.op]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_made_are_theorems_each_once(source, seed):
    found = list(islice(distinct(source(random.Random(seed))), 400))
    for one in found:
        names = atoms(one)
        rows = range(1 << len(names))
        assert all(by_hand(one, {name: bool(row >> k & 1) for k, name in enumerate(names)}) for row in rows)
        assert canonical(one) is one and one.size <= 30 and not trivial(one)
    assert len(set(found)) == 400


@pytest.mark.parametrize("source", SOURCES)
def test_a_seed_gives_the_same_again_and_another_gives_others(source):
    first, again, other = (list(islice(source(random.Random(seed)), 100)) for seed in (3, 3, 4))
    assert first == again
    assert len(set(map(str, first)) & set(map(str, other))) < 50


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_held_out_never_comes_whatever_its_names(source):
    plain = list(islice(distinct(source(random.Random(5))), 60))
    names = dict(zip(ATOMS, map(parse, ("x1", "y1", "z1", "x2", "y2", "z2")), strict=False))
    held_out = [substitute(one, names) for one in plain[::2]]
    assert not set(held_out) & set(plain[::2])  # renamed indeed
    found = list(islice(distinct(source(random.Random(5)), held_out), 200))
    assert not set(plain[::2]) & set(found)
    assert found[:30] == plain[1::2]


def test_distinct_drops_copies_large_and_trivial_ones():
    stream = map(parse, ["q → q", "q ∧ p → q", "r ∧ s → r", "p → ⊤", "⊤", "p → q → p", "¬⊥", "¬(a ∧ ¬a)"])
    assert list(map(str, distinct(stream, largest=6))) == ["p ∧ q → p", "p → q → p"]


@pytest.mark.parametrize("wanted", range(5))
def test_a_random_formula_has_its_depth(wanted):
    rng = random.Random(wanted)
    for _ in range(200):
        found = random_formula(rng, wanted, "pqr")
        assert depth(found) == wanted and set(atoms(found)) <= set("pqr")


def test_the_share_of_theorems_among_random_formulas():
    rng = random.Random(0)
    share = sum(is_tautology(random_formula(rng, 3, "pqr")) for _ in range(4000)) / 4000
    assert 0.11 < share < 0.16  # .133 in 20,000


def test_consequences_have_the_shapes_that_are_promised():
    found = list(islice(consequences(random.Random(1)), 2000))
    assert sum(one.op == "↔" for one in found) > 300
    jointly = 0
    for one in found:
        if one.op == "→" and one.parts[0].op == "∧":
            (a, b), c = one.parts[0].parts, one.parts[1]
            names = atoms(one)
            ta, tb, tc = (truth_table(part, names) for part in (a, b, c))
            assert not ta & tb & ~tc
            jointly += bool(ta & ~tc and tb & ~tc)
    assert jointly > 100


def test_refutables_are_false_where_they_say():
    source = distinct(consequences(random.Random(2)))
    found = list(islice(refutables(random.Random(3), source), 300))
    for one in found:
        assert not by_hand(one.statement, dict(one.countermodel))
        assert set(atoms(one.statement)) == set(one.countermodel)
    assert len({one.statement for one in found}) > 250


def test_take_turns():
    assert list(islice(take_turns(iter("abc"), iter("xyz")), 5)) == list("axbyc")


@pytest.mark.parametrize("seed", range(3))
def test_random_terms_prove_their_types(seed):
    found = list(islice(proved(random.Random(seed), largest=25), 500))
    for one in found:
        check(one.term, one.statement)
        assert infer(one.term, []) is one.statement
        assert canonical(one.statement) is one.statement and one.statement.size <= 25
    assert len({one.statement for one in found}) > 200
    assert any("ExcludedMiddle" in repr(one.term) for one in found)


HARD = ["biass", "pm5.74", "or4", "jcab"]
"""All of them equivalences."""


@pytest.mark.parametrize("label", HARD)
def test_variants_are_theorems_each_once_the_nearest_first(label):
    statement = {one.label: one.statement for one in shipped()}[label]
    found = list(islice(variants(statement), 300))
    assert len(set(found)) == 300 and statement not in found
    assert all(is_tautology(one) and canonical(one) is one for one in found)
    assert all(one.size <= statement.size + statement.size // 2 for one in found)
    away = [abs(one.size - statement.size) for one in found]
    steps = [k for k in range(1, len(away)) if away[k] < away[k - 1]]
    assert len(steps) <= 1  # sizes come in order, and begin again where the second step does
    a, b = statement.parts
    halves = {canonical(parse(f"({a}) → ({b})")), canonical(parse(f"({b}) → ({a})"))} - {statement}
    assert halves <= set(found[: steps[0] if steps else None])


def test_variants_of_a_small_theorem_by_hand():
    found = [str(one) for one in islice(variants(parse("(a ↔ b) → (b ↔ a)")), 40)]
    for near in (
        "(p ↔ q) → p → q",  # half of a ↔ b
        "(p ↔ q) → q → p",
        "(p ↔ q) → (p ↔ q)",
    ):
        assert (near in found) != trivial(parse(near))
    for near in ("¬(p ↔ q) → ¬(q ↔ p)", "(p ↔ ¬q) → (¬q ↔ p)", "(p ∧ q ↔ r) → (r ↔ p ∧ q)"):
        assert near in found


def test_variants_leave_out_what_is_held_out_and_sub_goals_are_among_them():
    statement = parse("p → q ∧ r ↔ (p → q) ∧ (p → r)")
    first = list(islice(variants(statement), 50))
    held_out = [substitute(first[0], dict(zip("pqrs", map(parse, "xyzw"), strict=True))), first[7]]
    later = list(islice(variants(statement, held_out), 48))
    assert later == [one for one in first if one not in (first[0], first[7])]
    goals = {
        goal
        for text, move in moves(statement_goal(statement))
        if text == "constructor"
        for goal in move.goals
    }
    assert len(goals) == 2 and {canonical(as_statement(goal)) for goal in goals} <= set(first)


def test_variants_come_to_an_end_and_say_what_is_too_much():
    assert [str(one) for one in variants(parse("p → p"), largest=3)] == []
    names = " ∧ ".join(ATOMS[:13])
    with pytest.raises(UsageError, match="up to 12 variables"):
        next(variants(parse(f"{names} → p")))
