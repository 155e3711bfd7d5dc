"""Worked solutions of theorems, to imitate: the shortest proofs in what a search without a model has looked at."""

from collections.abc import Sequence
from dataclasses import replace

from goalward.experience.practice import shortest_proofs
from goalward.experience.search import Search, SearchSettings, by_size, search
from goalward.formal.proof import Proof, read_statement
from goalward.types import Task


def with_proofs(tasks: Sequence[Task], settings: SearchSettings) -> list[Task]:
    """Those theorems that the search proves, each with its proof, a script of tactics, as demonstration."""
    found = search([read_statement(task.question) for task in tasks], by_size, settings)
    return [
        replace(task, demonstration="\n".join(shortest_proof(one).lines))
        for task, one in zip(tasks, found, strict=True)
        if one.proof
    ]


def shortest_proof(found: Search) -> Proof:
    """The shortest proof in the graph of a search that found some."""
    shortest = shortest_proofs(found)
    done: dict[object, Proof] = {}
    for node, (text, _) in sorted(shortest.items(), key=lambda each: each[1][1]):  # parts before wholes
        branch = next(one for one in node.branches or () if one.text == text)
        done[node] = Proof(text, tuple(done[part] for part in branch.nodes))
    return done[found.root]
