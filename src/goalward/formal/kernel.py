"""The judge: a proof term either has the type that was to be proved, or it is no proof.

Natural deduction as typed lambda terms (Curry-Howard). This module is all that must be right for a verdict to be: it
knows nothing of tactics, search or models. Every term carries the formulas that its type needs, so that there is
nothing to guess, and exports to a closed Lean term (`formal/export.py`) that real Lean judges too.
"""

from typing import NamedTuple, TypeAlias

from goalward.errors import GoalwardError
from goalward.formal.formula import (
    FALSE,
    TRUE,
    Formula,
    conjunction,
    disjunction,
    equivalence,
    implies,
    negation,
)


class Var(NamedTuple):
    """What a binder introduced: `level` counts binders from the outside."""

    level: int


class Fun(NamedTuple):
    """Of a → b: assume a, and prove b."""

    assumed: Formula
    body: "Term"


class App(NamedTuple):
    """Of b: a proof of a → b, applied to one of a."""

    function: "Term"
    argument: "Term"


class Trivial(NamedTuple):
    """Of ⊤."""


class Absurd(NamedTuple):
    """Of anything: from a proof of ⊥."""

    goal: Formula
    proof: "Term"


class Both(NamedTuple):
    """Of a ∧ b."""

    left: "Term"
    right: "Term"


class First(NamedTuple):
    """Of a: from a proof of a ∧ b."""

    proof: "Term"


class Second(NamedTuple):
    """Of b: from a proof of a ∧ b."""

    proof: "Term"


class Left(NamedTuple):
    """Of a ∨ b, by a proof of a."""

    proof: "Term"
    other: Formula


class Right(NamedTuple):
    """Of a ∨ b, by a proof of b."""

    other: Formula
    proof: "Term"


class Either(NamedTuple):
    """Of c: from a proof of a ∨ b, one of a → c, and one of b → c."""

    proof: "Term"
    left: "Term"
    right: "Term"


class Equivalent(NamedTuple):
    """Of a ↔ b, by proofs of a → b and b → a."""

    forth: "Term"
    back: "Term"


class Forth(NamedTuple):
    """Of a → b: from a proof of a ↔ b."""

    proof: "Term"


class Back(NamedTuple):
    """Of b → a: from a proof of a ↔ b."""

    proof: "Term"


class ExcludedMiddle(NamedTuple):
    """Of a ∨ ¬a: the one axiom."""

    of: Formula


Term: TypeAlias = (
    Var
    | Fun
    | App
    | Trivial
    | Absurd
    | Both
    | First
    | Second
    | Left
    | Right
    | Either
    | Equivalent
    | Forth
    | Back
    | ExcludedMiddle
)


class ProofError(GoalwardError):
    """The term is no proof of the statement."""


def check(term: Term, statement: Formula) -> None:
    """Return if `term` proves `statement`, else raise ProofError; also where it is too deep to be looked through."""
    try:
        found = infer(term, [])
    except RecursionError:
        raise ProofError("the term is too deep") from None
    if found is not statement:
        raise ProofError(f"the term proves {found}, not {statement}")


def infer(term: Term, context: list[Formula]) -> Formula:
    """The formula that `term` proves from the assumptions of `context`, the outermost first.

    Raises ProofError where a part does not fit.
    """
    match term:
        case Var(level):
            if not 0 <= level < len(context):
                raise ProofError(f"there is no assumption {level}")
            return context[level]
        case Fun(assumed, body):
            context.append(assumed)
            found = infer(body, context)
            context.pop()
            return implies(assumed, found)
        case App(function, argument):
            a, b = _parts("→", function, context)
            _fits(argument, a, context)
            return b
        case First(proof):
            return _parts("∧", proof, context)[0]
        case Second(proof):
            return _parts("∧", proof, context)[1]
        case Both(left, right):
            return conjunction(infer(left, context), infer(right, context))
        case Either(proof, left, right):
            a, b = _parts("∨", proof, context)
            assumed, goal = _parts("→", left, context)
            if assumed is not a:
                raise ProofError(f"the case of {assumed} stands where {a} is due")
            _fits(right, implies(b, goal), context)
            return goal
        case Left(proof, other):
            return disjunction(infer(proof, context), other)
        case Right(other, proof):
            return disjunction(other, infer(proof, context))
        case Forth(proof):
            return implies(*_parts("↔", proof, context))
        case Back(proof):
            a, b = _parts("↔", proof, context)
            return implies(b, a)
        case Equivalent(forth, back):
            a, b = _parts("→", forth, context)
            _fits(back, implies(b, a), context)
            return equivalence(a, b)
        case Absurd(goal, proof):
            _fits(proof, FALSE, context)
            return goal
        case ExcludedMiddle(of):
            return disjunction(of, negation(of))
        case Trivial():
            return TRUE
    raise ProofError(f"{term!r} is no proof term")


def _fits(term: Term, goal: Formula, context: list[Formula]) -> None:
    found = infer(term, context)
    if found is not goal:
        raise ProofError(f"a part proves {found} where {goal} is due")


def _parts(op: str, term: Term, context: list[Formula]) -> tuple[Formula, ...]:
    """The two sides of what `term` proves, which must be an `op`."""
    found = infer(term, context)
    if found.op != op:
        raise ProofError(f"a part proves {found} where some a {op} b is due")
    return found.parts
