"""Worked solutions: taken apart, checked, and grafted with everything behind computed anew."""

import pytest

from goalward.experience.equations import Equation, evaluate, grafts, read_worked

HOST = "He has 3*4=<<3*4=12>>12 eggs.\nHalf are 12/2=<<12/2=6>>6 brown.\nWith 1 more 6+1=<<6+1=7>>7.\nA: 7"


def test_a_solution_is_taken_apart_and_its_text_kept():
    worked = read_worked("host", HOST, correct=False)
    assert [(e.expression, e.value) for e in worked.equations] == [("3*4", 12.0), ("12/2", 6.0), ("6+1", 7.0)]
    assert "".join(e.text for e in worked.equations) + worked.ending == HOST
    assert worked.answer == 7
    assert worked.holds
    steps = worked.trajectory().steps
    assert [step.key for step in steps] == [frozenset(), {12.0}, {12.0, 6.0}]
    assert worked.trajectory().final == {12.0, 6.0, 7.0}


def test_equations_are_equal_whatever_their_text():
    assert Equation("1+1", 2.0, "one") == Equation("1+1", 2.0, "other")
    assert Equation("1+1", 2.0) != Equation("1+1", 3.0)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("48/2", 24),
        ("1,200*2", 2400),
        ("50%", 0.5),
        ("2**3", 8),
        ("(1+2)*3", 9),
        ("5*.25", 1.25),
        ("x+1", None),
        ("1/0", None),
        ("2(3)", None),
        ("", None),
        ("__import__('os')", None),
    ],
)
def test_arithmetic(expression: str, value: float | None):
    assert evaluate(expression) == (None if value is None else pytest.approx(value))


def test_an_equation_that_does_not_hold_is_found():
    assert not read_worked("x", "<<2+2=5>>5 A: 5", correct=False).holds
    assert not read_worked("x", "<<y+2=5>>5 A: 5", correct=False).holds
    assert read_worked("x", "<<10/3=3.3333>>3.3333 A: 3", correct=True).holds


def test_a_graft_computes_what_follows_anew():
    host = read_worked("host", HOST, correct=False)
    donor = read_worked("donor", "He has <<4*5=20>>20 eggs.\nA: 20", correct=False)
    found = {(each.at, each.value): each for each in grafts(host, donor)}
    assert found.keys() == {(0, 20.0), (1, 20.0)}
    first = found[0, 20.0]
    assert [(e.expression, e.value) for e in first.equations] == [("(20)/2", 10.0), ("(10)+1", 11.0)]
    assert first.answer == 11
    assert all(equation.holds for equation in first.equations)
    assert "Half are 20/2" in first.equations[0].text
    assert (first.host.name, first.donor) == ("host", "donor")


def test_a_value_that_nothing_hangs_on_is_no_place_for_a_graft():
    host = read_worked("host", "<<3*4=12>>12 <<5+5=10>>10 A: 10", correct=False)
    donor = read_worked("donor", "<<4*5=20>>20 A: 20", correct=False)
    assert list(grafts(host, donor)) == []
    divided = read_worked("host", "<<3*4=12>>12 <<60/12=5>>5 A: 5", correct=False)
    nothing = read_worked("donor", "<<1-1=0>>0 A: 0", correct=False)
    assert list(grafts(divided, nothing)) == []  # it would divide by zero
