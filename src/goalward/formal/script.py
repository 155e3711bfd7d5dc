"""Proofs as Lean 4 tactics, for people to read."""

import re
from collections.abc import Iterator, Mapping

from goalward.formal.arithmetic import occurrences
from goalward.formal.export import lean_binder, lean_name
from goalward.formal.formula import Formula, atom, atoms, show, substitute
from goalward.formal.goal import Goal
from goalward.formal.numbers import ZERO, number_name
from goalward.formal.numbers import normal as normal_number
from goalward.formal.proof import Proof, statement_goal
from goalward.formal.tactics import halves, run

_PLACE = re.compile(r"(?:(?:←|<-)\s*)?h([0-9]+)")


def lean_script(statement: Formula, proof: Proof, name: str = "found") -> str:
    """The proof as a theorem with a block of tactics, for people; it needs no Mathlib.

    It says what the proof does, and is not what is judged: that is the term, and where Lean runs without its
    library there are no tactics. Raises TacticError where a tactic does not apply.
    """
    names = atoms(statement)
    renamed = {name: atom(lean_name(name)) for name in names}
    goal = statement_goal(statement)
    lines = ["open Nat in"] if statement.arithmetic else []
    lines += [
        f"theorem {name} : {f'∀ {lean_binder(names)}, ' if names else ''}{_read(statement, renamed)} := by"
    ]
    lines += [f"  intro {' '.join(map(lean_name, names))}"] if names else []
    lines += [f"  {line}" for line in _lines(goal, proof, {}, 1, renamed)]
    return "\n".join(lines)


def _read(formula: Formula, renamed: Mapping[str, Formula]) -> str:
    text = show(substitute(formula, renamed)).replace("⊥", "False").replace("⊤", "True")
    return re.sub(r"∀ (\w+),", r"∀ \1 : Nat,", text)


def _new(after: Goal, before: Goal) -> Formula | None:
    """The hypothesis that a tactic added, if it did."""
    return next((one for one in after.hypotheses if one not in before.hypotheses), None)


def _lines(
    goal: Goal, proof: Proof, known: Mapping[Formula, str], fresh: int, renamed: Mapping[str, Formula]
) -> Iterator[str]:
    """A goal's proof, line by line. known: the hypotheses' names; fresh: the first number that is free for one."""
    goals = run(goal, proof.tactic).goals
    tactic, _, argument = proof.tactic.partition(" ")
    match = _PLACE.match(argument) if tactic != "have" else None
    hypothesis = goal.hypotheses[int(match[1]) - 1] if match else None
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
            opposite = _new(goals[0], goal)
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
            function = _read(motive, renamed).replace("∀", "fun", 1).replace(",", " =>", 1)
            yield f"refine Eq.subst (motive := {function}) {subject if back else f'{subject}.symm'} ?_"
        case "injection" if not goals:
            turned = hypothesis is not None and normal_number(hypothesis.sides[0]) is ZERO
            yield f"exact absurd {f'{subject}.symm' if turned else subject} (succ_ne_zero _)"
        case "injection" | "specialize" if (hypothesis and not hypothesis.parts) or " with " in argument:
            follows = _new(goals[0], goal)
            if follows:
                number = f"({argument.partition(' with ')[2].strip()})"
                by = f"succ.inj {subject}" if tactic == "injection" else f"{subject} {number}"
                yield f"have {called(0, follows)} : {_read(follows, renamed)} := {by}"
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
