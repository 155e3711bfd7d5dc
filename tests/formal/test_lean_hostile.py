"""Nothing that is no proof is accepted: not with all three lines of defence, and not with the first one gone."""

from dataclasses import replace

import hostile_bodies as hostile
import pytest

from goalward.formal import lean as lean_module
from goalward.formal.lean import Job, Lean
from goalward.formal.lean_backends import LeanCli
from goalward.formal.lean_find import prelude
from goalward.formal.lean_tokens import RefusedError, clean

LISTED = hostile.jobs()


def test_there_are_enough():
    assert len(hostile.BODIES) >= 80 and len(set(hostile.BODIES.values())) == len(hostile.BODIES)


# Harmless in their parentheses: Lean itself says no.
SHOWN = {"another statement", "statement changed by a bar", "a period ends nothing"}


@pytest.mark.parametrize("name", sorted({*hostile.COMMANDS, *hostile.SHAPES} - SHOWN))
def test_what_is_no_term_is_not_shown_to_lean(name: str):
    with pytest.raises(RefusedError):
        clean(hostile.BODIES[name])


def test_none_is_accepted(lean: Lean):
    verdicts = dict(zip(LISTED, lean.check(list(LISTED.values())), strict=True))
    assert {name: v.status for name, v in verdicts.items() if v.status != "rejected"} == {}
    assert all(v.messages for v in verdicts.values())


@pytest.fixture
def open_door(lean: Lean, monkeypatch: pytest.MonkeyPatch) -> Lean:
    """Lean without the first line: every text is shown to it."""
    monkeypatch.setattr(lean_module, "clean", lambda text: text)
    return Lean(backend=lean.backend, seconds=5)


def test_without_the_first_line_none_is_accepted_alone(open_door: Lean):
    # Those that try to get out of their place; the others stay in it and are in the next test.
    alone = {name: Job(statement=hostile.FALSE, body=body) for name, body in hostile.COMMANDS.items()}
    accepted = {name for name, job in alone.items() if open_door.check([job])[0].status == "ok"}
    assert accepted == set()


def test_without_the_first_line_none_is_accepted_among_others(open_door: Lean):
    honest = Job(statement=hostile.SWAP, body="fun p q h => And.intro h.right h.left")
    verdicts = open_door.check([honest, *LISTED.values(), replace(honest, body=f"{honest.body} ")])
    assert {v.status for v in verdicts[1:-1]} <= {"rejected", "crash", "timeout"}


@pytest.mark.parametrize("binder", ["(h : False)", "{h : False}", "[h : False]"])
def test_without_the_first_line_two_that_help_each_other_are_not_accepted(open_door: Lean, binder: str):
    # The first proves what it should and leaves a false assumption behind, which Lean adds to all that follows.
    left = f"attribute [class] False\nvariable {binder}\ninclude h\ntheorem x : True := (True.intro"
    trojan = Job(statement="True", body=f"True.intro)\n{left}")
    helped = Job(statement=hostile.FALSE, body="h")
    assert [v.status for v in open_door.check([trojan, helped])] == ["ok", "rejected"]


def with_header(lean: Lean, more: str) -> Lean:
    """Lean with something added to its header, as a user's header could."""
    assert isinstance(lean.backend, LeanCli)
    return Lean(backend=replace(lean.backend, header=f"{prelude()}\n{more}\n"), seconds=5)


SORRY = "axiom sorryAx (α : Sort u) (synthetic : True) : α"


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ("axiom foo : False", "foo"),
        ("axiom foo (p : Prop) : p", "fun p q h => And.intro (foo p) (foo q)"),
        ("unsafe def foo (p : Prop) : p := foo p", "foo _"),
        ("unsafe axiom foo : False", "foo"),
        (SORRY, "sorryAx _ True.intro"),
        (SORRY, "fun p q h => sorryAx (And p q) True.intro"),
        ("axiom propext {a b : Prop} : Iff a b → Eq a b", "fun p q h => Eq.subst (propext sorry) h"),
    ],
)
@pytest.mark.usefixtures("open_door")
def test_what_the_header_lets_in_is_still_found_by_its_axioms(lean: Lean, more: str, body: str):
    claim = hostile.NOT_VALID if body.startswith("fun") else hostile.FALSE
    verdict = with_header(lean, more).check([Job(statement=claim, body=body)])[0]
    assert verdict.status == "rejected" and verdict.axioms == ()
    if more.startswith("axiom foo"):
        assert verdict.messages == ("it rests on foo",)
