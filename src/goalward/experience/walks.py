"""Proofs in one go: a tactic at each goal, without a way back."""

from collections.abc import Sequence

import numpy as np

from goalward.experience.search import Guide, canonical_goal
from goalward.formal.formula import Formula
from goalward.formal.proof import statement_goal
from goalward.formal.tactics import moves


def walks(
    statements: Sequence[Formula],
    guide: Guide,
    *,
    longest: int,
    luck: Sequence[np.random.Generator] | None = None,
) -> list[list[str] | None]:
    """Try to prove each statement by at most `longest` tactics; a script of them, or None.

    At each goal the tactic that `guide` likes best, or where `luck` is given (one for each statement) one drawn by
    the guide's prior. All statements go side by side.
    """
    scripts: list[list[str]] = [[] for _ in statements]
    found: list[list[str] | None] = [None] * len(statements)
    open_goals = {i: [canonical_goal(statement_goal(one))] for i, one in enumerate(statements)}
    for _ in range(longest):
        tactics = {i: list(moves(goals[0])) for i, goals in open_goals.items()}
        going = [i for i in open_goals if tactics[i]]
        appraisals = guide([open_goals[i][0] for i in going], [[t for t, _ in tactics[i]] for i in going])
        still = {}
        for i, appraisal in zip(going, appraisals, strict=True):
            prior = np.array(appraisal.prior)
            best = int(luck[i].choice(len(prior), p=prior / prior.sum())) if luck else int(prior.argmax())
            text, move = tactics[i][best]
            scripts[i].append(text)
            left = [*map(canonical_goal, move.goals), *open_goals[i][1:]]
            if left:
                still[i] = left
            else:
                found[i] = scripts[i]
        open_goals = still
    return found
