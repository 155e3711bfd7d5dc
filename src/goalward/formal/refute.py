"""Disproofs: what is false for some values of its variables is refuted by a proof, as any other claim is proved.

With ⊤ and ⊥ for its variables a statement is closed, and truth tables become terms by recursion: of it where it is
true, of its negation where it is not. The kernel judges them like any term, and so does Lean.
"""

from collections.abc import Mapping
from typing import NamedTuple

from goalward.formal.export import lean_closed_term, lean_statement
from goalward.formal.formula import FALSE, TRUE, Formula, atoms, implies, negation, substitute, truth_table
from goalward.formal.kernel import (
    Absurd,
    App,
    Back,
    Both,
    Either,
    Equivalent,
    First,
    Forth,
    Fun,
    Left,
    ProofError,
    Right,
    Second,
    Term,
    Trivial,
    Var,
    check,
)


class Disproof(NamedTuple):
    """A statement, values of its variables, and a proof that it is false with them; the kernel accepted it."""

    statement: Formula
    values: dict[str, bool]
    term: Term


def disprove(statement: Formula, values: Mapping[str, bool]) -> Disproof:
    """Turn a countermodel into a proof. Raises ProofError where the statement is true with these values."""
    names = atoms(statement)
    missing = [name for name in names if name not in values]
    if missing:
        raise ProofError(f"no value is given for {', '.join(missing)}")
    own = {name: values[name] for name in names}
    closed = substitute(statement, {name: TRUE if own[name] else FALSE for name in names})
    if _holds(closed):
        raise ProofError(f"{statement} is true with these values")
    term = _against(closed, 0)
    check(term, negation(closed))
    return Disproof(statement, own, term)


def lean_disproof(found: Disproof) -> tuple[str, str]:
    """For Lean: that the statement does not hold for all its variables, and the term that proves it."""
    every = lean_statement(found.statement)
    instance = " ".join(["h", *("True" if value else "False" for value in found.values.values())])
    return f"Not ({every})", f"fun (h : {every}) => ({lean_closed_term(found.term)}) ({instance})"


def _holds(closed: Formula) -> bool:
    return truth_table(closed, ()) == 1


def _of(closed: Formula, depth: int) -> Term:
    """A proof, under `depth` binders, of what is true."""
    if closed is TRUE:
        return Trivial()
    a, b = closed.parts
    match closed.op:
        case "∧":
            return Both(_of(a, depth), _of(b, depth))
        case "∨":
            return Left(_of(a, depth), b) if _holds(a) else Right(a, _of(b, depth))
        case "↔":
            return Equivalent(_of(implies(a, b), depth), _of(implies(b, a), depth))
    if _holds(b):
        return Fun(a, _of(b, depth + 1))
    return Fun(a, Absurd(b, App(_against(a, depth + 1), Var(depth))))


def _against(closed: Formula, depth: int) -> Term:
    """A proof, under `depth` binders, that what is false is."""
    whole, inner = Var(depth), depth + 1
    found: Term
    if closed is FALSE:
        return Fun(FALSE, whole)
    a, b = closed.parts
    match closed.op:
        case "∧":
            found = (
                App(_against(b, inner), Second(whole)) if _holds(a) else App(_against(a, inner), First(whole))
            )
        case "∨":
            found = Either(whole, _against(a, inner), _against(b, inner))
        case "↔" if _holds(b):
            found = App(_against(a, inner), App(Back(whole), _of(b, inner)))
        case "↔":
            found = App(_against(b, inner), App(Forth(whole), _of(a, inner)))
        case _:
            found = App(_against(b, inner), App(whole, _of(a, inner)))
    return Fun(closed, found)
