"""How many proofs a second the real Lean of the `lean` extra checks on one core, and what one that hangs costs.

    taskset -c 0 python benchmarks/lean.py [--json] [--jobs 1000]

Half of the jobs are proofs of different statements with three to five steps, half are mutants of them with one word
changed. Times are wall-clock, after Lean was found and tried out.
"""

import argparse
import json
import random
import time

from goalward.formal.lean import BATCH, Job, Lean
from goalward.formal.lean_find import LeanSettings, find_lean

SHAPES = (
    ("And {a} {b} → And {b} {a}", "fun h => And.intro (And.right h) (And.left h)"),
    ("Or {a} {b} → Or {b} {a}", "fun h => Or.elim h (fun x => Or.inr x) (fun y => Or.inl y)"),
    ("({a} → {b}) → Not {b} → Not {a}", "fun f n x => n (f x)"),
    ("Iff {a} {b} → Iff {b} {a}", "fun h => Iff.intro (Iff.mpr h) (Iff.mp h)"),
    ("Not (Not {a}) → {a}", "fun n => Or.elim (Classical.em ({a})) (fun x => x) (fun f => False.elim (n f))"),
    ("And {a} (Or {b} {c}) → Or (And {a} {b}) (And {a} {c})",
     "fun h => Or.elim (And.right h) (fun x => Or.inl (And.intro (And.left h) x)) (fun y => Or.inr (And.intro (And.left h) y))"),
)  # fmt: skip
SWAPS = {"And.left": "And.right", "And.right": "And.left", "Or.inl": "Or.inr", "Or.inr": "Or.inl",
         "Iff.mp ": "Iff.mpr ", "Iff.mpr ": "Iff.mp ", "n (f x)": "n x", "(n f)": "(n x)"}  # fmt: skip
HANG = "Eq {0} (Nat.succ {0})"


def formula(chance: random.Random, depth: int) -> str:
    """A proposition over p, q and r, in parentheses."""
    if depth == 0:
        return chance.choice("pqr")
    op = chance.choice(("And", "Or", "Iff"))
    return f"({op} {formula(chance, depth - 1)} {formula(chance, depth - 1)})"


def made_up(count: int) -> tuple[list[Job], int]:
    """Proofs and mutants in turn, all different; and how many are proofs."""
    chance = random.Random(0)
    jobs: dict[Job, bool] = {}
    while len(jobs) < count:
        claim, proof = chance.choice(SHAPES)
        parts = {name: formula(chance, chance.randint(0, 2)) for name in "abc"}
        statement, body = (
            f"∀ (p q r : Prop), {claim.format(**parts)}",
            f"fun p q r => {proof.format(**parts)}",
        )
        if len(jobs) % 2:
            word = chance.choice([word for word in SWAPS if word in body])
            body = body.replace(word, SWAPS[word], 1)
        jobs.setdefault(Job(statement=statement, body=body), len(jobs) % 2 == 0)
    return list(jobs), sum(jobs.values())


def power(doublings: int) -> str:
    """A number with more digits than memory holds."""
    term = "Nat.zero"
    for _ in range(10):
        term = f"(Nat.succ {term})"
    for _ in range(doublings):
        term = f"((fun x => Nat.mul x x) {term})"
    return term


def seconds(oracle: Lean, jobs: list[Job]) -> tuple[float, list[str]]:
    """What checking takes, and the verdicts."""
    began = time.perf_counter()
    statuses = [verdict.status for verdict in oracle.check(jobs)]
    return time.perf_counter() - began, statuses


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    began = time.perf_counter()
    found = find_lean(LeanSettings(workers=1))
    start = time.perf_counter() - began
    jobs, proofs = made_up(options.jobs)
    spent, statuses = seconds(found, jobs)
    batch = jobs[: BATCH - 1]
    fresh = Lean(backend=found.backend, seconds=found.seconds)
    alone, _ = seconds(fresh, batch)
    fresh = Lean(backend=found.backend, seconds=2.0)
    with_hang, _ = seconds(fresh, [*batch, Job(statement=HANG.format(power(34)), body="Eq.refl _")])
    result = {
        "lean": found.backend.version,
        "jobs": len(jobs),
        "proofs": proofs,
        "ok": statuses.count("ok"),
        "rejected": statuses.count("rejected"),
        "start_seconds": round(start, 3),
        "seconds": round(spent, 3),
        "jobs_a_second": round(len(jobs) / spent),
        "batch_seconds": round(alone, 3),
        "batch_with_a_hang_of_2_s_seconds": round(with_hang, 3),
    }
    print(json.dumps(result) if options.json else "\n".join(f"{k}: {v}" for k, v in result.items()))


if __name__ == "__main__":
    main()
