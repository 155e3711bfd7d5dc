"""Statements and proofs in Lean 4, for its kernel to judge.

A term asks nothing of Lean but its core: no notation, no tactics, no Mathlib.
"""

import re
from typing import Final, cast

from goalward.formal.formula import Formula, atoms
from goalward.formal.kernel import (
    Absurd,
    App,
    At,
    Back,
    Both,
    Either,
    Equivalent,
    Every,
    ExcludedMiddle,
    First,
    Forth,
    Fun,
    Induction,
    Injective,
    Left,
    Never,
    Rewrite,
    Right,
    Same,
    Second,
    Term,
    Trivial,
    Var,
)
from goalward.formal.numbers import Number

_PLAIN = re.compile(r"[a-gi-mo-z][0-9]*")
_ODD = re.compile(r"[^A-Za-z0-9]")
_WORDS: Final = {"∧": "And", "∨": "Or", "↔": "Iff", "⊥": "False", "⊤": "True"}


def lean_name(name: str) -> str:
    """What a variable is called in Lean: as here, unless Lean might take that for a word or a name of its own."""
    if _PLAIN.fullmatch(name):
        return name
    return "v_" + _ODD.sub(lambda odd: "__" if odd[0] == "_" else f"_u{ord(odd[0]):x}_", name)


def lean_statement(statement: Formula) -> str:
    """The formula as a closed proposition: `∀ (p q : Prop), And p q → And q p`."""
    names = atoms(statement)
    return f"∀ {lean_binder(names)}, {_formula(statement)}" if names else _formula(statement)


def lean_term(term: Term, statement: Formula) -> str:
    """The proof of `statement` as a closed term: `fun (p q : Prop) (h0 : And p q) => And.intro (And.right h0) ...`.

    Variables that the statement lacks (of a lemma on the way) are bound inside, and True then takes their place.
    What is no proof is written too, for Lean to refuse.
    """
    names = atoms(statement)
    writer = _Writer(names)
    body = writer.whole(term)
    if writer.foreign:
        values = " ".join("True" for _ in writer.foreign)
        body = f"(fun {lean_binder(tuple(writer.foreign))} => ({body} : {_formula(statement)})) {values}"
    return f"fun {lean_binder(names)} => {body}" if names else body


def lean_closed_term(term: Term) -> str:
    """The proof of a statement without variables."""
    return _Writer(()).whole(term)


def lean_binder(names: tuple[str, ...]) -> str:
    """What binds the variables: `(p q : Prop)`."""
    return f"({' '.join(map(lean_name, names))} : Prop)"


def _formula(formula: Formula, numbers: int = 0, *, inner: bool = False) -> str:
    """With its operators as prefixes, where so many number variables have names.

    inner: in parentheses where it is more than a name.
    """
    op, parts = formula.op, formula.parts
    if op == "atom":
        return lean_name(formula.name)
    if op == "=":
        a, b = (_number(side, numbers, inner=True) for side in formula.sides)
        found = f"@Eq Nat {a} {b}"
    elif op == "∀":
        found = f"∀ (n{numbers} : Nat), {_formula(parts[0], numbers + 1)}"
    elif not parts:
        return _WORDS[op]
    elif formula.negated:
        found = f"Not {_formula(parts[0], numbers, inner=True)}"
    elif op == "→":
        open_ended = parts[0].op == "∀" or (parts[0].op == "→" and not parts[0].negated)
        found = f"{_formula(parts[0], numbers, inner=open_ended)} → {_formula(parts[1], numbers)}"
    else:
        a, b = (_formula(part, numbers, inner=True) for part in parts)
        found = f"{_WORDS[op]} {a} {b}"
    return f"({found})" if inner else found


def _number(number: Number, numbers: int, *, inner: bool = False) -> str:
    if number.op == "0":
        return "Nat.zero"
    if number.op in ("free", "bound"):
        return f"n{number.index if number.op == 'free' else numbers - 1 - number.index}"
    words = {"succ": "Nat.succ", "+": "Nat.add", "*": "Nat.mul"}[number.op]
    found = " ".join([words, *(_number(part, numbers, inner=True) for part in number.parts)])
    return f"({found})" if inner else found


def _motive(every: Formula, numbers: int) -> str:
    if every.op != "∀":
        return _formula(every, numbers, inner=True)
    return f"(fun (n{numbers} : Nat) => {_formula(every.parts[0], numbers + 1)})"


class _Writer:
    """Terms of a statement in these variables.

    foreign: other variables that were met.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self.foreign: dict[str, None] = {}

    def whole(self, term: Term, depth: int = 0, numbers: int = 0) -> str:
        """`term` under `depth` assumptions and so many number variables."""

        def part(one: Term) -> str:
            found = self.whole(one, depth, numbers)
            return found if " " not in found else f"({found})"

        def of(formula: Formula, *, inner: bool = True) -> str:
            self.foreign |= dict.fromkeys(name for name in atoms(formula) if name not in self._names)
            return _formula(formula, numbers, inner=inner)

        match term:
            case Var(level):
                return f"h{level}"
            case Trivial():
                return "True.intro"
            case Fun(assumed, body):
                assumption = f"(h{depth} : {of(assumed, inner=False)})"
                return f"fun {assumption} => {self.whole(body, depth + 1, numbers)}"
            case Absurd(goal, proof):
                return f"@False.elim {of(goal)} {part(proof)}"
            case Left(proof, other):
                return f"@Or.inl _ {of(other)} {part(proof)}"
            case Right(other, proof):
                return f"@Or.inr {of(other)} _ {part(proof)}"
            case ExcludedMiddle(formula):
                return f"Classical.em {of(formula)}"
            case Every(body):
                return f"fun (n{numbers} : Nat) => {self.whole(body, depth, numbers + 1)}"
            case At(proof, number):
                return f"{part(proof)} {_number(number, numbers, inner=True)}"
            case Same(number):
                return f"@Eq.refl Nat {_number(number, numbers, inner=True)}"
            case Rewrite(motive, equation, proof):
                of(motive)
                return f"@Eq.subst Nat {_motive(motive, numbers)} _ _ {part(equation)} {part(proof)}"
            case Induction(motive, base, step):
                of(motive)
                return f"@Nat.rec {_motive(motive, numbers)} {part(base)} {part(step)}"
            case App(function, argument):
                return f"{part(function)} {part(argument)}"
        return " ".join([_FUNCTIONS[type(term)], *map(part, cast("tuple[Term, ...]", term))])


_FUNCTIONS: dict[type, str] = {
    Both: "And.intro",
    First: "And.left",
    Second: "And.right",
    Either: "Or.elim",
    Equivalent: "Iff.intro",
    Forth: "Iff.mp",
    Back: "Iff.mpr",
    Injective: "@Nat.succ.inj _ _",
    Never: "Nat.succ_ne_zero _",
}
