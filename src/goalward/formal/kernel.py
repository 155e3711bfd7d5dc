"""The judge: a proof term either has the type that was to be proved, or it is no proof.

Natural deduction as typed lambda terms (Curry-Howard). This module is all that must be right for a verdict to be: it
knows nothing of tactics, search or models. Every term carries the formulas that its type needs, so that there is
nothing to guess, and exports to a closed Lean term (`formal/export.py`) that real Lean judges too.

Arithmetic is Peano's, and numbers are the same that come to the same by the equations of + and *, as in Lean.
"""

from typing import NamedTuple, TypeAlias

from goalward.errors import GoalwardError
from goalward.formal.formula import (
    FALSE,
    TRUE,
    Formula,
    at,
    conjunction,
    disjunction,
    equal,
    equivalence,
    generalize,
    implies,
    negation,
    normal,
)
from goalward.formal.numbers import ZERO, Number, free, succ
from goalward.formal.numbers import normal as normal_number


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


class Every(NamedTuple):
    """Of ∀ n, F: for a number of which nothing is known, prove F. Its level is how many numbers are around it."""

    body: "Term"


class At(NamedTuple):
    """Of F for this number: from a proof of ∀ n, F."""

    proof: "Term"
    number: Number


class Same(NamedTuple):
    """Of a = a."""

    number: Number


class Rewrite(NamedTuple):
    """Of F for b: from a proof of a = b, and one of F for a; `motive` is ∀ n, F."""

    motive: Formula
    equation: "Term"
    proof: "Term"


class Induction(NamedTuple):
    """Of `motive`, ∀ n, F: from a proof of F for 0, and one of ∀ n, F → F for succ n."""

    motive: Formula
    base: "Term"
    step: "Term"


class Injective(NamedTuple):
    """Of a = b: from a proof of succ a = succ b."""

    proof: "Term"


class Never(NamedTuple):
    """Of ⊥: from a proof of succ a = 0."""

    proof: "Term"


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
    | Every
    | At
    | Same
    | Rewrite
    | Induction
    | Injective
    | Never
)


class ProofError(GoalwardError):
    """The term is no proof of the statement."""


def check(term: Term, statement: Formula) -> None:
    """Return if `term` proves `statement`, else raise ProofError; also where it is too deep to be looked through."""
    try:
        _in_scope(statement, 0)
        found = infer(term, [])
        fits = found is statement or _same(found, statement)
    except (RecursionError, OverflowError):
        raise ProofError("the term is too deep, or a number in it too large") from None
    if not fits:
        raise ProofError(f"the term proves {found}, not {statement}")


def infer(term: Term, context: list[Formula], numbers: int = 0) -> Formula:
    """The formula that `term` proves from the assumptions of `context`, the outermost first.

    numbers: how many number variables are around it. Raises ProofError where a part does not fit.
    """
    match term:  # the most frequent first
        case Var(level):
            if not 0 <= level < len(context):
                raise ProofError(f"there is no assumption {level}")
            return context[level]
        case Fun(assumed, body):
            if assumed.scope > numbers:
                raise _out_of_scope(assumed)
            context.append(assumed)
            found = infer(body, context, numbers)
            context.pop()
            return implies(assumed, found)
        case App(function, argument):
            a, b = _parts("→", function, context, numbers)
            _fits(argument, a, context, numbers)
            return b
        case Absurd(goal, proof):
            if goal.scope > numbers:
                raise _out_of_scope(goal)
            _fits(proof, FALSE, context, numbers)
            return goal
        case Either(proof, left, right):
            a, b = _parts("∨", proof, context, numbers)
            assumed, goal = _parts("→", left, context, numbers)
            if assumed is not a and not _same(assumed, a):
                raise ProofError(f"the case of {assumed} stands where {a} is due")
            _fits(right, implies(b, goal), context, numbers)
            return goal
        case ExcludedMiddle(of):
            if of.scope > numbers:
                raise _out_of_scope(of)
            return disjunction(of, negation(of))
        case First(proof):
            return _parts("∧", proof, context, numbers)[0]
        case Second(proof):
            return _parts("∧", proof, context, numbers)[1]
        case Both(left, right):
            return conjunction(infer(left, context, numbers), infer(right, context, numbers))
        case Left(proof, other):
            if other.scope > numbers:
                raise _out_of_scope(other)
            return disjunction(infer(proof, context, numbers), other)
        case Right(other, proof):
            if other.scope > numbers:
                raise _out_of_scope(other)
            return disjunction(other, infer(proof, context, numbers))
        case Forth(proof):
            return implies(*_parts("↔", proof, context, numbers))
        case Back(proof):
            a, b = _parts("↔", proof, context, numbers)
            return implies(b, a)
        case Equivalent(forth, back):
            a, b = _parts("→", forth, context, numbers)
            _fits(back, implies(b, a), context, numbers)
            return equivalence(a, b)
        case Trivial():
            return TRUE
        case Every(body):
            return generalize(infer(body, context, numbers + 1), free(numbers))
        case At(proof, number):
            _in_scope(number, numbers)
            return at(_every(infer(proof, context, numbers)), number)
        case Same(number):
            _in_scope(number, numbers)
            return equal(number, number)
        case Rewrite(motive, equation, proof):
            _in_scope(motive, numbers)
            one, two = _sides(equation, context, numbers)
            _fits(proof, at(_every(motive), one), context, numbers)
            return at(motive, two)
        case Induction(motive, base, step):
            _in_scope(motive, numbers)
            _fits(base, at(_every(motive), ZERO), context, numbers)
            n = free(numbers)
            following = generalize(implies(at(motive, n), at(motive, succ(n))), n)
            _fits(step, following, context, numbers)
            return motive
        case Injective(proof):
            one, two = map(normal_number, _sides(proof, context, numbers))
            if one.op != "succ" or two.op != "succ":
                raise ProofError(f"a part proves {one} = {two} where some succ a = succ b is due")
            return equal(one.parts[0], two.parts[0])
        case Never(proof):
            one, two = map(normal_number, _sides(proof, context, numbers))
            if one.op != "succ" or two is not ZERO:
                raise ProofError(f"a part proves {one} = {two} where some succ a = 0 is due")
            return FALSE
    raise ProofError(f"{term!r} is no proof term")


def _in_scope(part: Formula | Number, numbers: int) -> None:
    if part.scope > numbers:
        raise _out_of_scope(part)


def _out_of_scope(part: Formula | Number) -> ProofError:
    return ProofError(f"{part} names a number that is not around it")


def _same(a: Formula, b: Formula) -> bool:
    """Whether they are the same by the equations of + and *."""
    return a.arithmetic and b.arithmetic and normal(a) is normal(b)


def _fits(term: Term, goal: Formula, context: list[Formula], numbers: int) -> None:
    found = infer(term, context, numbers)
    if found is not goal and not _same(found, goal):
        raise ProofError(f"a part proves {found} where {goal} is due")


def _parts(op: str, term: Term, context: list[Formula], numbers: int) -> tuple[Formula, ...]:
    """The two sides of what `term` proves, which must be an `op`."""
    found = infer(term, context, numbers)
    if found.op != op:
        raise ProofError(f"a part proves {found} where some a {op} b is due")
    return found.parts


def _every(found: Formula) -> Formula:
    if found.op != "∀":
        raise ProofError(f"{found} stands where some ∀ n, F is due")
    return found


def _sides(term: Term, context: list[Formula], numbers: int) -> tuple[Number, ...]:
    """The two sides of the equation that `term` proves."""
    found = infer(term, context, numbers)
    if found.op != "=":
        raise ProofError(f"a part proves {found} where some a = b is due")
    return found.sides
