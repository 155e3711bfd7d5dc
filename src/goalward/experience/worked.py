"""Worked solutions of theorems, to imitate: the shortest proofs in what a search without a model has looked at."""

from collections.abc import Sequence
from dataclasses import replace

from goalward.experience.by_size import search_by_size
from goalward.formal.proof import read_statement
from goalward.types import Task


def with_proofs(tasks: Sequence[Task], budget: int) -> list[Task]:
    """Those theorems that `budget` expansions prove, each with its proof, a script of tactics, as demonstration."""
    proofs = (search_by_size(read_statement(task.question), budget).proof for task in tasks)
    return [
        replace(task, demonstration="\n".join(proof.lines))
        for task, proof in zip(tasks, proofs, strict=True)
        if proof is not None
    ]
