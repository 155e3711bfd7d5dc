"""Theorems with their proofs: the types of random proof terms.

Assumptions are drawn, rules are applied at random to what is known so far, and what was used of the assumptions
is put in front of what came out. The kernel takes the terms as they are.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple, cast

from goalward.formal.formula import (
    ATOMS,
    FALSE,
    Formula,
    atom,
    atoms,
    canonical_names,
    conjunction,
    disjunction,
    equivalence,
    implies,
    negation,
    substitute,
)
from goalward.formal.kernel import (
    Absurd,
    App,
    Back,
    Both,
    Either,
    Equivalent,
    ExcludedMiddle,
    First,
    Forth,
    Fun,
    Left,
    Right,
    Second,
    Term,
    Var,
)


class Proved(NamedTuple):
    """A theorem in canonical form, and a term that proves it."""

    statement: Formula
    term: Term


class _Assumption(NamedTuple):
    """A place for a variable, until it is known how many binders stand outside."""

    key: int


class _Function(NamedTuple):
    """A Fun whose variable is still an _Assumption."""

    key: int
    assumed: Formula
    body: Term


_Known = dict[Formula, Term]
"""What was derived, each formula once."""
_LARGEST_STEP = 13
"""Atoms and operators in a formula that is derived on the way."""


def proved(rng: random.Random, *, steps: int = 12, largest: int = 30) -> Iterator[Proved]:
    """Theorems of random natural deductions of up to `steps` rules, classical ones now and then.

    largest: atoms and operators in the statement. The same theorem may come more than once.
    """
    while True:
        draw = _Draw(rng)
        assumed = draw.assumptions()
        known: _Known = {formula: cast(Term, _Assumption(key)) for key, formula in assumed.items()}
        draw.derive(known, rng.randint(2, steps))
        for formula, term in list(known.items())[len(assumed) :]:
            used = _used(term) & assumed.keys()
            if used and _eliminations(term) >= rng.randint(1, 4):
                found = _closed(rng, [(key, assumed[key]) for key in assumed if key in used], formula, term)
                if found.statement.size <= largest:
                    yield found


class _Draw:
    """Random assumptions and random steps from them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._names = ATOMS[: rng.randint(2, 6)]
        self._keys = count()

    def assumptions(self) -> dict[int, Formula]:
        """Two to four formulas that have to do with each other."""
        found: list[Formula] = []
        while len(found) < self._rng.randint(2, 4):
            one = self._formula(found)
            if one not in found:
                found.append(one)
        return {next(self._keys): one for one in found}

    def derive(self, known: _Known, steps: int, nested: bool = True) -> None:
        """Add to `known` what up to `steps` rules make of it."""
        for _ in range(steps):
            new = self._step(known, nested)
            if new is not None and new[0].size <= _LARGEST_STEP:
                known.setdefault(*new)

    def _formula(self, known: Sequence[Formula]) -> Formula:
        """Something small, built on a formula that is known if possible."""
        a, b = (atom(self._rng.choice(self._names)) for _ in range(2))
        if known and self._rng.random() < 0.7:
            a = self._rng.choice(known)
            a = self._rng.choice(a.parts) if a.parts and self._rng.random() < 0.5 else a
        forms = (
            a,
            negation(a),
            implies(a, b),
            implies(b, a),
            disjunction(a, b),
            equivalence(a, b),
            conjunction(a, b),
        )
        return a if a is b else self._rng.choices(forms, (2, 2, 5, 2, 2, 1, 1))[0]

    def _step(self, known: _Known, nested: bool) -> tuple[Formula, Term] | None:
        """What one rule, chosen at random, makes of something known, chosen at random."""
        rng = self._rng
        formula, term = rng.choice(list(known.items()))
        if formula is FALSE:
            goal = self._formula(())
            return goal, Absurd(goal, term)
        if rng.random() < 0.75:  # take it apart
            match formula.op:
                case "→" if formula.parts[0] in known:
                    return formula.parts[1], App(term, known[formula.parts[0]])
                case "→" if formula.negated and formula.parts[0].negated:
                    return self._classical(formula.parts[0].parts[0], term)
                case "∧":
                    return (
                        (formula.parts[0], First(term))
                        if rng.random() < 0.5
                        else (formula.parts[1], Second(term))
                    )
                case "↔":
                    a, b = formula.parts
                    return (implies(a, b), Forth(term)) if rng.random() < 0.5 else (implies(b, a), Back(term))
                case "∨" if nested:
                    return self._cases(formula, term, known)
        if nested and rng.random() < 0.6:
            return self._function(known)
        return self._join(formula, term, known)

    def _join(self, a: Formula, term: Term, known: _Known) -> tuple[Formula, Term] | None:
        """An introduction: of ↔ where both directions are known, else of ∧ or ∨, or the excluded middle."""
        rng = self._rng
        if a.op == "→" and (back := implies(*reversed(a.parts))) in known:
            return equivalence(*a.parts), Equivalent(term, known[back])
        b = rng.choice(list(known))
        if a is not b and rng.random() < 0.4:
            return conjunction(a, b), Both(term, known[b])
        if rng.random() < 0.1:
            of = self._formula(())
            return disjunction(of, negation(of)), ExcludedMiddle(of)
        other = self._formula(())
        if other is a:
            return None
        return (
            (disjunction(a, other), Left(term, other))
            if rng.random() < 0.5
            else (disjunction(other, a), Right(other, term))
        )

    def _function(self, known: _Known) -> tuple[Formula, Term] | None:
        """Assume something, derive from it, and take one of the results that need it."""
        assumed = self._needed(known)
        key, inner = self._inside(known, assumed)
        results = [one for one, term in inner.items() if one is not assumed and key in _used(term)]
        if not results:
            return None
        formula = self._rng.choice(results)
        return implies(assumed, formula), cast(Term, _Function(key, assumed, inner[formula]))

    def _cases(self, formula: Formula, term: Term, known: _Known) -> tuple[Formula, Term] | None:
        """From a ∨ b: derive from each, and take a common result, or the or of two results."""
        a, b = formula.parts
        if a in known or b in known:
            return None
        (one, left), (two, right) = self._inside(known, a), self._inside(known, b)
        common = [c for c in left if c in right and c not in known and c is not a]
        if common:
            c = d = goal = self._rng.choice(common)
        else:
            c = self._rng.choice([c for c in left if one in _used(left[c])])
            d = self._rng.choice([d for d in right if two in _used(right[d])])
            goal = disjunction(c, d)
        first = left[c] if goal is c else Left(left[c], d)
        second = right[d] if goal is d else Right(c, right[d])
        return goal, Either(term, cast(Term, _Function(one, a, first)), cast(Term, _Function(two, b, second)))

    def _inside(self, known: _Known, assumed: Formula) -> tuple[int, _Known]:
        """What a few steps derive with one more assumption, and that assumption's key."""
        key = next(self._keys)
        inner = {**known, assumed: cast(Term, _Assumption(key))}
        self.derive(inner, 4, nested=False)
        return key, inner

    def _needed(self, known: _Known) -> Formula:
        """The left side of a known implication, if there is one; else anything."""
        sides = [one.parts[0] for one in known if one.op == "→" and one.parts[0] not in known]
        return self._rng.choice(sides) if sides and self._rng.random() < 0.7 else self._formula(list(known))

    def _classical(self, a: Formula, term: Term) -> tuple[Formula, Term]:
        """A from ¬¬a, by excluded middle."""
        yes, no = next(self._keys), next(self._keys)
        refuted = Absurd(a, App(term, cast(Term, _Assumption(no))))
        return a, Either(
            ExcludedMiddle(a),
            cast(Term, _Function(yes, a, cast(Term, _Assumption(yes)))),
            cast(Term, _Function(no, negation(a), refuted)),
        )


def _used(term: object) -> set[int]:
    """The keys of the assumptions that occur in the term."""
    if isinstance(term, _Assumption):
        return {term.key}
    return set().union(*map(_used, term)) if isinstance(term, tuple) else set()


def _eliminations(term: object) -> int:
    """How many rules of the term take something apart."""
    if not isinstance(term, tuple):
        return 0
    return isinstance(term, (App, First, Second, Forth, Back, Either, Absurd)) + sum(map(_eliminations, term))


def _closed(
    rng: random.Random, assumed: Sequence[tuple[int, Formula]], formula: Formula, term: Term
) -> Proved:
    """The implication from the assumptions to the formula; at times the first two are joined by ∧."""
    fronts = [one for _, one in assumed]
    env: dict[int, Term] = {key: Var(level) for level, (key, _) in enumerate(assumed)}
    if len(assumed) > 1 and rng.random() < 0.4:
        fronts[:2] = [conjunction(*fronts[:2])]
        env = {key: Var(level - 1) for level, (key, _) in enumerate(assumed)}
        env |= {assumed[0][0]: First(Var(0)), assumed[1][0]: Second(Var(0))}
    statement = formula
    for front in reversed(fronts):
        statement = implies(front, statement)
    names = atoms(statement)
    renaming = dict(zip(names, map(atom, canonical_names(len(names))), strict=True))
    # an atom that only a detour of the proof mentions gets any name: p will do
    rest = {name: atom("p") for name in ATOMS if name not in renaming}
    renaming = {**rest, **renaming}
    body = _levelled(term, env, len(fronts), renaming)
    for front in reversed(fronts):
        body = Fun(substitute(front, renaming), body)
    return Proved(substitute(statement, renaming), body)


def _levelled(term: Term, env: Mapping[int, Term], depth: int, renaming: Mapping[str, Formula]) -> Term:
    """The kernel's term under `depth` binders, with the atoms renamed: levels count from outside, so none shifts."""
    match cast(object, term):
        case _Assumption(key):
            return env[key]
        case _Function(key, assumed, body):
            inner = _levelled(body, {**env, key: Var(depth)}, depth + 1, renaming)
            return Fun(substitute(assumed, renaming), inner)
    parts = (
        substitute(part, renaming)
        if isinstance(part, Formula)
        else _levelled(cast(Term, part), env, depth, renaming)
        for part in term
    )
    return cast(Term, cast(type, type(term))(*parts))
