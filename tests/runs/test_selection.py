import pytest

from goalward.runs.selection import best_step, worn_out

HISTORY = [(0, 0.3), (8, 0.5), (16, 0.7), (24, 0.7), (32, 0.6)]


def test_the_first_of_the_best_is_kept():
    assert best_step(HISTORY) == 16
    assert best_step(HISTORY[:2]) == 8
    assert best_step([(0, 0.5), (8, 0.5)]) == 0
    assert best_step([]) is None


@pytest.mark.parametrize(
    ("patience", "seen", "stops"),
    [
        (2, 5, True),  # 24 and 32 were no better than 16
        (3, 5, False),
        (1, 4, True),
        (1, 3, False),
        (2, 4, False),
        (0, 5, False),  # endless patience
        (1, 0, False),
    ],
)
def test_patience_counts_what_was_no_better(patience, seen, stops):
    assert worn_out(HISTORY[:seen], patience) is stops
