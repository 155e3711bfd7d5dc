"""Random formulas, proof terms and tactic proofs, and ways to break a term; independent of what the package makes."""

from collections.abc import Iterator
from random import Random

from goalward.formal.formula import (
    FALSE,
    TRUE,
    Formula,
    atom,
    conjunction,
    disjunction,
    equivalence,
    implies,
    negation,
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
    Trivial,
    Var,
)
from goalward.formal.proof import Proof, statement_goal
from goalward.formal.tactics import Goal, moves

BINARY = (implies, conjunction, disjunction, equivalence)


def random_formula(chance: Random, depth: int, names: str = "pqr") -> Formula:
    if depth == 0 or chance.random() < 0.25:
        return chance.choice([FALSE, TRUE, *map(atom, names * 3)])
    parts = random_formula(chance, depth - 1, names), random_formula(chance, depth - 1, names)
    return chance.choice([*BINARY, implies, lambda a, b: negation(a)])(*parts)


def random_term(chance: Random, context: tuple[Formula, ...] = (), fuel: int = 5) -> tuple[Term, Formula]:
    """A proof of something from the assumptions of the context, by every rule there is."""
    depth = len(context)
    leaves = [(Var(level), one) for level, one in enumerate(context)]
    if fuel <= 0 or chance.random() < 0.1:
        of = random_formula(chance, 1)
        axiom = (ExcludedMiddle(of), disjunction(of, negation(of)))
        return chance.choice([*leaves, *leaves, *leaves, axiom, (Trivial(), TRUE)])

    def more(*assumed: Formula) -> tuple[Term, Formula]:
        return random_term(chance, (*context, *assumed), fuel - 1)

    def some(op: str) -> tuple[Term, Formula]:
        """A proof of an `op`: an assumption, else one made for it."""
        known = [leaf for leaf in leaves if leaf[1].op == op]
        if known and chance.random() < 0.7:
            return chance.choice(known)
        if op == "→":
            a = random_formula(chance, 2)
            body, b = more(a)
            return Fun(a, body), implies(a, b)
        (one, a), (two, b) = more(), more()
        if op == "∧":
            return Both(one, two), conjunction(a, b)
        if op == "∨":
            left = chance.random() < 0.5
            return (Left(one, b) if left else Right(a, two)), disjunction(a, b)
        # a ↔ b, for some a and b that follow from each other
        make = chance.choice([conjunction, disjunction])
        forth = Fun(make(a, b), swap(make, a, b, depth))
        back = Fun(make(b, a), swap(make, b, a, depth))
        return Equivalent(forth, back), equivalence(make(a, b), make(b, a))

    match chance.choice(["→", "→", "→", "app", "∧", "part", "∨", "cases", "↔", "way", "absurd"]):
        case "→" | "∧" | "∨" | "↔" as op:
            return some(op)
        case "app":
            function, whole = some("→")
            a, b = whole.parts
            for argument, found in (*leaves, more(), more(), (Trivial(), TRUE)):
                if found is a:
                    return App(function, argument), b
            if not isinstance(function, Fun):
                return function, whole
            argument, found = more()
            body, b = more(found)
            return App(Fun(found, body), argument), b
        case "part":
            pair, whole = some("∧")
            left = chance.random() < 0.5
            return (First(pair), whole.parts[0]) if left else (Second(pair), whole.parts[1])
        case "way":
            both, whole = some("↔")
            a, b = whole.parts
            return (Forth(both), implies(a, b)) if chance.random() < 0.5 else (Back(both), implies(b, a))
        case "cases":
            either, whole = some("∨")
            a, b = whole.parts
            goal, (one, two) = disjunction(b, a), crossed(a, b, depth)
            if leaves and chance.random() < 0.5:
                kept, goal = chance.choice(leaves)
                one, two = Fun(a, kept), Fun(b, kept)
            return Either(either, one, two), goal
        case _:
            goal = random_formula(chance, 2)
            return Fun(FALSE, Absurd(goal, Var(depth))), implies(FALSE, goal)


def crossed(a: Formula, b: Formula, depth: int) -> tuple[Term, Term]:
    """From a and from b, each by assumption `depth`: b ∨ a."""
    return Fun(a, Right(b, Var(depth))), Fun(b, Left(Var(depth), a))


def swap(make: object, a: Formula, b: Formula, depth: int) -> Term:
    """From assumption `depth`, a ∧ b or a ∨ b: the same the other way round."""
    if make is conjunction:
        return Both(Second(Var(depth)), First(Var(depth)))
    return Either(Var(depth), *crossed(a, b, depth + 1))


def parts(term: object) -> Iterator[tuple[tuple[int, ...], Term | Formula]]:
    """Every term and formula in a term, with its place."""
    todo: list[tuple[tuple[int, ...], object]] = [((), term)]
    while todo:
        place, one = todo.pop()
        if isinstance(one, tuple):
            todo += [((*place, at), part) for at, part in enumerate(one)]
        if isinstance(one, tuple | Formula):
            yield place, one  # type: ignore[misc]


def put(term: object, place: tuple[int, ...], new: object) -> Term:
    """The term with another part at a place."""
    if not place:
        return new  # type: ignore[return-value]
    changed = list(term)  # type: ignore[call-overload]
    changed[place[0]] = put(changed[place[0]], place[1:], new)
    return type(term)(*changed)  # type: ignore[call-arg]


TWINS = {
    First: Second,
    Second: First,
    Forth: Back,
    Back: Forth,
    Both: Equivalent,
    Equivalent: Both,
    App: Both,
}


def mutant(chance: Random, term: Term, statement: Formula) -> tuple[Term, Formula]:
    """The proof with one thing wrong with it, most often; now and then it proves the statement still."""
    if chance.random() < 0.1:
        other = random_formula(chance, 1)
        inside = [one for place, one in parts(term) if isinstance(one, Formula)]
        changed = [*inside, negation(statement), implies(other, statement), conjunction(statement, other)]
        return term, chance.choice([*changed, *statement.parts])
    places = list(parts(term))
    place, one = chance.choice(places)
    if isinstance(one, Formula):
        others = [two for _, two in places if isinstance(two, Formula)]
        new = chance.choice([*others, *one.parts, negation(one), random_formula(chance, 1)])
        return put(term, place, new), statement
    terms = [two for _, two in places if not isinstance(two, Formula)]
    ways: list[Term] = [chance.choice(terms), Fun(random_formula(chance, 1), one)]
    match one:
        case Var(level):
            ways += [Var(level + 1), Var(level - 1), Var(level - 1)] if level else [Var(1)]
        case Left(proof, other):
            ways += [Right(other, proof), proof]
        case Right(other, proof):
            ways += [Left(proof, other), proof]
        case Fun(_, body) | Absurd(_, body):
            ways += [body]
        case Either(proof, left, right):
            ways += [Either(proof, right, left), App(left, proof), Either(proof, left, left)]
        case App(function, argument):
            ways += [App(argument, function), function, argument]
        case Both(left, right) | Equivalent(left, right):
            ways += [type(one)(right, left), left, type(one)(left, left)]
    if type(one) in TWINS:
        ways += [TWINS[type(one)](*one)] * 2  # type: ignore[operator]
    return put(term, place, chance.choice(ways)), statement


def wander(goal: Goal, chance: Random, fuel: int = 40) -> Proof | None:
    """A proof by tactics drawn at random, closing what can be closed; None where the fuel is gone first."""
    left = fuel

    def go(goal: Goal) -> Proof | None:
        nonlocal left
        left -= 1
        choices = list(moves(goal)) if left >= 0 else []
        choices = [one for one in choices if not one[1].goals] or choices
        if not choices:
            return None
        text, move = chance.choice(choices)
        found = []
        for one in move.goals:
            part = go(one)
            if part is None:
                return None
            found.append(part)
        return Proof(text, tuple(found))

    return go(goal)


def tactic_proofs(chance: Random, count: int, depth: int = 3) -> Iterator[tuple[Formula, Proof]]:
    """`count` statements, each once, with a proof that random tactics found."""
    seen = set()
    while len(seen) < count:
        statement = random_formula(chance, depth)
        proof = None if statement in seen else wander(statement_goal(statement), chance)
        if proof is not None:
            seen.add(statement)
            yield statement, proof
