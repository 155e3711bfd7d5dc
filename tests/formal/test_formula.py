"""Formulas: one object each, Lean's notation, truth by table."""

import copy
import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goalward.errors import UsageError
from goalward.formal.formula import (
    FALSE,
    TRUE,
    Formula,
    atom,
    atoms,
    canonical,
    canonical_names,
    conjunction,
    countermodel,
    disjunction,
    equivalence,
    implies,
    is_tautology,
    negation,
    parse,
    show,
    substitute,
    truth_table,
)

P, Q, R = map(atom, "pqr")
BINARY = [implies, conjunction, disjunction, equivalence]

formulas = st.recursive(
    st.sampled_from([FALSE, TRUE]) | st.sampled_from(["p", "q", "r", "z1", "rain", "h2", "é_9"]).map(atom),
    lambda inner: (
        st.builds(lambda make, a, b: make(a, b), st.sampled_from(BINARY), inner, inner) | inner.map(negation)
    ),
    max_leaves=20,
)


def true(formula: Formula, values: dict[str, bool]) -> bool:
    """What it means, the plain way."""
    if formula.op == "atom":
        return values[formula.name]
    if not formula.parts:
        return formula.op == "⊤"
    a, b = (true(part, values) for part in formula.parts)
    return {"→": not a or b, "∧": a and b, "∨": a or b, "↔": a == b}[formula.op]


def rows(names):
    for values in itertools.product([False, True], repeat=len(names)):
        yield dict(zip(names, values, strict=True))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("p → q → r", implies(P, implies(Q, R))),
        ("(p → q) → r", implies(implies(P, Q), R)),
        ("p ∧ q ∧ r", conjunction(P, conjunction(Q, R))),
        ("(p ∨ q) ∨ r", disjunction(disjunction(P, Q), R)),
        ("p ∧ q ∨ r → p", implies(disjunction(conjunction(P, Q), R), P)),
        ("p ∧ (q ∨ r)", conjunction(P, disjunction(Q, R))),
        ("p ↔ q → r", equivalence(P, implies(Q, R))),
        ("(p ↔ q) → r", implies(equivalence(P, Q), R)),
        ("(p ↔ q) ↔ r", equivalence(equivalence(P, Q), R)),
        ("¬p ∧ q", conjunction(negation(P), Q)),
        ("¬(p ∧ q)", negation(conjunction(P, Q))),
        ("¬¬p → ⊥ → ⊤", implies(negation(negation(P)), implies(FALSE, TRUE))),
        ("¬⊥", implies(FALSE, FALSE)),
        ("(p → q → r) ∧ ¬⊤", conjunction(implies(P, implies(Q, R)), negation(TRUE))),
    ],
)
def test_notation_by_hand(text, meant):
    assert parse(text) is meant
    assert show(meant) == str(meant) == text


def test_other_spellings():
    assert parse(r" p/\q  \/ ~ r<->!False->True ") is parse("p ∧ q ∨ ¬r ↔ ¬⊥ → ⊤")
    assert parse("p → False") is negation(P)
    assert show(parse("((p))")) == "p"


@given(formulas)
def test_what_is_shown_reads_back_as_itself(formula):
    assert parse(show(formula)) is formula


@given(formulas)
def test_there_is_one_object_for_each(formula):
    assert pickle.loads(pickle.dumps(formula)) is formula
    assert copy.deepcopy(formula) is formula
    assert formula.size == 1 + sum(part.size for part in formula.parts)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("p q", 3),
        ("p →", 4),
        ("(p", 3),
        ("p)", 2),
        ("p ↔ q ↔ r", 7),
        ("∧ p", 1),
        ("p # q", 2),
        ("p ∧ 1", 5),
        ("¬", 2),
        ("()", 2),
    ],
)
def test_what_is_no_formula_says_where(text, column):
    with pytest.raises(UsageError, match=f"column {column};"):
        parse(text)


@pytest.mark.parametrize("text", ["(" * 5000 + "p", "¬" * 5000 + "p", "p → " * 5000 + "p", "(p∧" * 201])
def test_too_deep_is_said_plainly(text):
    with pytest.raises(UsageError, match="deeper than 200"):
        parse(text)


def test_atoms_come_in_the_order_of_the_text():
    assert atoms(parse("s → (q ∧ s ∨ p) → ⊤")) == ("s", "q", "p")
    assert atoms(TRUE) == ()


def test_substitution_is_at_once():
    assert substitute(parse("p ∧ (q → r)"), {"p": Q, "q": P}) is parse("q ∧ (p → r)")
    assert substitute(parse("¬p"), {"p": parse("p ↔ q")}) is parse("¬(p ↔ q)")


def test_canonical_by_hand():
    assert canonical(parse("b ∧ q → b")) is parse("p ∧ q → p")
    assert canonical(parse("q → p")) is parse("p → q")
    assert canonical_names(19)[16:] == ("f", "g", "p1")
    assert canonical_names(0) == ()
    assert len(set(canonical_names(100))) == 100


@given(formulas, st.permutations(["p", "q", "r", "z1", "rain", "h2", "é_9"]))
def test_canonical_knows_no_names(formula, names):
    found = canonical(formula)
    renamed = dict(zip(["p", "q", "r", "z1", "rain", "h2", "é_9"], map(atom, names), strict=True))
    assert canonical(substitute(formula, renamed)) is found
    assert canonical(found) is found
    assert atoms(found) == canonical_names(len(atoms(formula)))
    assert is_tautology(found) == is_tautology(formula)


@given(formulas)
def test_truth_tables_are_what_the_operators_mean(formula):
    names = atoms(formula)
    table = truth_table(formula, names)
    every = [true(formula, dict(reversed(row.items()))) for row in rows(names[::-1])]
    assert table == sum(value << row for row, value in enumerate(every))
    against = countermodel(formula)
    assert (against is None) == all(every) == is_tautology(formula)
    if against is not None:
        assert tuple(against) == names
        assert not true(formula, against)


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("p", 0b1010),
        ("q", 0b1100),
        ("p → q", 0b1101),
        ("p ∧ q", 0b1000),
        ("p ↔ q", 0b1001),
        ("⊥", 0),
        ("⊤", 15),
    ],
)
def test_truth_tables_by_hand(text, table):
    assert truth_table(parse(text), ("p", "q")) == table


def test_countermodels_by_hand():
    assert countermodel(parse("p ∨ q → p")) == {"p": False, "q": True}
    assert countermodel(parse("((p → q) → p) → p")) is None
    assert countermodel(FALSE) == {}


@given(st.text("pqh1 ()∧∨→↔¬⊥⊤~!<->/\\'\n", max_size=30))
def test_any_text_is_a_formula_or_refused_in_words(text):
    try:
        found = parse(text)
    except UsageError as error:
        assert str(error).startswith("not a formula")
    else:
        assert parse(show(found)) is found
