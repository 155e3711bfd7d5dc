"""What a batch of judged groups says in numbers."""

from collections.abc import Sequence

import numpy as np

from goalward.types import Group


def summarise(groups: Sequence[Group]) -> dict[str, float]:
    """Rewards by part, lengths, truncation, spread and grader errors of one step.

    Means leave out what has no value (a reward without a verdict); a key is absent where all do.
    """
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    feedback = [given for group in groups for given in group.feedback]
    scores = [[f.score for f in group.feedback if f.score is not None] for group in groups]
    judged = [score for group in scores for score in group]
    lengths = np.array([rollout.completion.size for rollout in rollouts])
    summary = {
        "tokens": float(lengths.sum()),
        "completion_length": float(lengths.mean()),
        "truncated_share": float(np.mean([rollout.stop == "length" for rollout in rollouts])),
    }
    if any(rollout.logprobs is None for rollout in rollouts):
        return summary
    summary["grader_errors"] = float(sum(given.error is not None for given in feedback))
    summary["no_spread_share"] = float(np.mean([len(set(group)) < 2 for group in scores]))
    if judged:
        summary["reward"] = float(np.mean(judged))
        summary["reward_std"] = float(np.std(judged))
    for part in sorted({name for given in feedback for name in given.parts}):
        summary[f"reward/{part}"] = float(np.mean([f.parts[part] for f in feedback if part in f.parts]))
    return summary
