"""How many proofs a second the kernel checks on one core, and how fast tactics are tried.

    taskset -c 0 python benchmarks/kernel.py [--json]

The proofs are of set.mm's closed propositional theorems, found by tactics drawn at random with a fixed seed; `short` are
those of at most 8 tactics. Times are of the processor, the best of five rounds.
"""

import argparse
import json
import random
import time
from collections.abc import Callable

from goalward.formal.formula import Formula
from goalward.formal.kernel import Term, check
from goalward.formal.metamath import shipped
from goalward.formal.proof import Proof, statement_goal, steps, verify
from goalward.formal.tactics import Goal, moves

SHORT, LONGEST, TRIES = 8, 60, 8


def drawn(goal: Goal, chance: random.Random, fuel: list[int]) -> Proof | None:
    """A proof by tactics drawn at random, or None where the fuel is gone first."""
    fuel[0] -= 1
    choices = list(moves(goal)) if fuel[0] >= 0 else []
    choices = [one for one in choices if not one[1].goals] or choices
    if not choices:
        return None
    text, move = chance.choice(choices)
    parts = []
    for left in move.goals:
        part = drawn(left, chance, fuel)
        if part is None:
            return None
        parts.append(part)
    return Proof(text, tuple(parts))


def proofs() -> list[tuple[Formula, Proof]]:
    """The theorems with a proof each, of those where one was drawn."""
    chance, found = random.Random(0), []
    for theorem in shipped():
        for _ in range(TRIES):
            proof = drawn(statement_goal(theorem.statement), chance, [LONGEST])
            if proof is not None:
                found.append((theorem.statement, proof))
                break
    return found


def rate(work: Callable[[], int]) -> int:
    """How much a second of what `work` counts."""
    best = 0.0
    for _ in range(5):
        start, done = time.process_time(), 0
        while (taken := time.process_time() - start) < 0.5:
            done += work()
        best = max(best, done / taken)
    return round(best)


def checked(terms: list[tuple[Term, Formula]]) -> int:
    """Check them all."""
    for term, statement in terms:
        check(term, statement)
    return len(terms)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    arguments = parser.parse_args()
    every = proofs()
    terms = [(verify(statement, proof), statement) for statement, proof in every]
    short = [pair for pair, (_, proof) in zip(terms, every, strict=True) if proof.size <= SHORT]
    goals = [goal for statement, proof in every for goal, _, _ in steps(statement_goal(statement), proof)]
    found = {
        "proofs": len(every),
        "tactics_in_a_proof": round(sum(proof.size for _, proof in every) / len(every), 1),
        "kernel_checks_per_second": rate(lambda: checked(terms)),
        "short_proofs": len(short),
        "kernel_checks_per_second_of_short": rate(lambda: checked(short)),
        "moves_per_second": rate(lambda: sum(len(list(moves(goal))) for goal in goals)),
        "proofs_verified_per_second": rate(lambda: sum(1 for one in every if verify(*one))),
    }
    print(json.dumps(found) if arguments.json else "\n".join(f"{k}: {v:,}" for k, v in found.items()))


if __name__ == "__main__":
    main()
