"""Which of a training's models to keep, and when to stop: by accuracy on validation questions, apart from the reward.

Both are functions of what was measured so far, [(optimizer steps, accuracy), ...] in order, so that a run that was
killed decides as one that was not.
"""

from collections.abc import Sequence

Validated = Sequence[tuple[int, float]]


def best_step(validated: Validated) -> int | None:
    """The optimizer steps of the best model; of equal ones the first, which has moved least. None: nothing measured."""
    return max(validated, key=lambda each: each[1])[0] if validated else None


def worn_out(validated: Validated, patience: int) -> bool:
    """Whether the last `patience` measurements were no better than the best before them; 0 is endless patience."""
    accuracies = [accuracy for _, accuracy in validated]
    return patience > 0 and max(accuracies[-patience:], default=1) <= max(accuracies[:-patience], default=-1)
