"""Statements and proofs in Lean 4: terms for its kernel to judge, scripts for people to read.

The term asks nothing of Lean but its core: no notation, no tactics, no Mathlib.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, cast

from goalward.formal.arithmetic import occurrences
from goalward.formal.formula import Formula, atom, atoms, show, substitute
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
from goalward.formal.numbers import ZERO, Number, number_name
from goalward.formal.numbers import normal as normal_number
from goalward.formal.proof import Proof, statement_goal
from goalward.formal.tactics import Goal, halves, run

_PLAIN = re.compile(r"[a-gi-mo-z][0-9]*")
_ODD = re.compile(r"[^A-Za-z0-9]")
_PLACE = re.compile(r"(?:(?:←|<-)\s*)?h([0-9]+)")
_WORDS: Final = {"∧": "And", "∨": "Or", "↔": "Iff", "⊥": "False", "⊤": "True"}


def lean_name(name: str) -> str:
    """What a variable is called in Lean: as here, unless Lean might take that for a word or a name of its own."""
    if _PLAIN.fullmatch(name):
        return name
    return "v_" + _ODD.sub(lambda odd: "__" if odd[0] == "_" else f"_u{ord(odd[0]):x}_", name)


def lean_statement(statement: Formula) -> str:
    """The formula as a closed proposition: `∀ (p q : Prop), And p q → And q p`."""
    names = atoms(statement)
    return f"∀ {_binder(names)}, {_formula(statement)}" if names else _formula(statement)


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
        body = f"(fun {_binder(tuple(writer.foreign))} => ({body} : {_formula(statement)})) {values}"
    return f"fun {_binder(names)} => {body}" if names else body


def lean_closed_term(term: Term) -> str:
    """The proof of a statement without variables."""
    return _Writer(()).whole(term)


def _binder(names: tuple[str, ...]) -> str:
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


def lean_script(statement: Formula, proof: Proof, name: str = "found") -> str:
    """The proof as a theorem with a block of tactics, for people; it needs no Mathlib.

    It says what the proof does, and is not what is judged: that is the term, and where Lean runs without its
    library there are no tactics. Raises TacticError where a tactic does not apply.
    """
    names = atoms(statement)
    renamed = {name: atom(lean_name(name)) for name in names}
    goal = statement_goal(statement)
    lines = ["open Nat in"] if statement.arithmetic else []
    lines += [f"theorem {name} : {f'∀ {_binder(names)}, ' if names else ''}{_read(statement, renamed)} := by"]
    lines += [f"  intro {' '.join(map(lean_name, names))}"] if names else []
    lines += [f"  {line}" for line in _lines(goal, proof, {}, 1, renamed)]
    return "\n".join(lines)


def _read(formula: Formula, renamed: Mapping[str, Formula]) -> str:
    text = show(substitute(formula, renamed)).replace("⊥", "False").replace("⊤", "True")
    return re.sub(r"∀ (\w+),", r"∀ \1 : Nat,", text)


def _lines(
    goal: Goal, proof: Proof, known: Mapping[Formula, str], fresh: int, renamed: Mapping[str, Formula]
) -> Iterator[str]:
    """A goal's proof, line by line. known: the hypotheses' names; fresh: the first number that is free for one."""
    goals = run(goal, proof.tactic).goals
    tactic, _, argument = proof.tactic.partition(" ")
    place = _PLACE.match(argument) if tactic != "have" else None
    hypothesis = goal.hypotheses[int(place[1]) - 1] if place else None
    subject = known[hypothesis] if hypothesis else ""
    scopes, new = [], []
    for one in goals:  # what is new to a goal gets the next name
        names = {have: known[have] for have in one.hypotheses if have in known}
        added = [have for have in one.hypotheses if have not in known]
        names |= {have: f"h{fresh + place}" for place, have in enumerate(added)}
        scopes.append((names, fresh + len(added)))
        new.append(names)

    def called(place: int, formula: Formula) -> str:
        """The name of a new hypothesis of a goal; one that it does not have, or had before, needs none."""
        return new[place].get(formula, "_") if formula not in known else "_"

    def rest(place: int, indent: str, first: str = "") -> Iterator[str]:
        """The proof of a goal, indented; its first line may begin otherwise."""
        for line in _lines(goals[place], proof.parts[place], *scopes[place], renamed):
            yield (first or indent) + line
            first = ""

    bullets = len(goals) > 1
    parts = hypothesis.parts if hypothesis else goal.target.parts
    match tactic:
        case "assumption" | "exact":
            yield f"exact {known[goal.target]}"
        case "intro" if goal.target.op == "∀":
            yield f"intro {number_name(goal.numbers)}"
        case "intro":
            yield f"intro {called(0, parts[0])}"
        case "by_contra":
            opposite = next(iter(set(goals[0].hypotheses) - set(goal.hypotheses)), None)
            yield f"refine Classical.byContradiction fun {called(0, opposite) if opposite else '_'} => ?_"
        case "constructor" if not goals:
            yield "exact True.intro"
        case "apply":
            yield " ".join(["refine" if goals else "exact", subject, *["?_"] * len(goals)])
        case "cases" if not goals:
            yield f"exact {subject}.elim"
        case "cases" if bullets:
            yield f"rcases {subject} with {' | '.join(called(at, part) for at, part in enumerate(parts))}"
        case "cases" if hypothesis:
            a, b = halves(hypothesis)
            yield f"obtain ⟨{called(0, a)}, {called(0, b)}⟩ := {subject}"
        case "induction":
            yield f"induction {argument} with"
            yield "| zero =>"
            yield from rest(0, "  ")
            yield f"| succ {argument} {called(1, goal.target)} =>"
            yield from rest(1, "  ")
            return
        case "rw" if hypothesis:
            back = not argument.startswith("h")
            motive = occurrences(goal.target, hypothesis.sides[back])
            assert motive is not None
            shown = _read(motive, renamed).replace("∀", "fun", 1).replace(",", " =>", 1)
            yield f"refine Eq.subst (motive := {shown}) {subject if back else f'{subject}.symm'} ?_"
        case "injection" if not goals:
            turned = hypothesis is not None and normal_number(hypothesis.sides[0]) is ZERO
            yield f"exact absurd {f'{subject}.symm' if turned else subject} (succ_ne_zero _)"
        case "injection" | "specialize" if (hypothesis and not hypothesis.parts) or " with " in argument:
            added = next(iter(set(goals[0].hypotheses) - set(goal.hypotheses)), None)
            if added is not None:
                number = f"({argument.partition(' with ')[2].strip()})"
                shown = f"succ.inj {subject}" if tactic == "injection" else f"{subject} {number}"
                yield f"have {called(0, added)} : {_read(added, renamed)} := {shown}"
        case "have" | "specialize":
            bullets = False
            shown = goals[0].target if tactic == "have" else parts[1]
            named = called(1, shown)
            yield f"have {f'{named} ' if named != '_' else ''}: {_read(shown, renamed)} := by"
            if tactic == "specialize":
                yield f"  refine {subject} ?_"
            yield from rest(0, "  ")
            yield from rest(1, "")
            return
        case _:
            yield proof.tactic
    for place in range(len(goals)):
        yield from rest(place, "  " if bullets else "", "· " if bullets else "")
