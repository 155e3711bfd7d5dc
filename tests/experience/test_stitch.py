"""Stitching by hand: values, sampling, sources and splices."""

import math
from itertools import pairwise

import numpy as np
import pytest

from goalward.experience.stitch import Merged, Step, Stitched, Trajectory, splices


def path(name: str, *nodes: str, score: float) -> Trajectory:
    """Steps between nodes; an edge is called by where it leads."""
    return Trajectory(name=name, steps=tuple(Step(a, b) for a, b in pairwise(nodes)), score=score)


CROSS = [path("a", "start", "mid", "bad", score=0.0), path("b", "other", "mid", "good", score=1.0)]


def test_two_paths_that_cross_make_a_third():
    merged = Merged(CROSS)
    values = merged.values(0.0)
    assert values["start"] == values["mid"] == 1.0
    found = merged.sample("start", values, 0.0, np.random.default_rng(0))
    assert found is not None
    assert [step.edge for step in found.steps] == ["mid", "good"]
    assert found.sources == (("a", 0), ("b", 1))
    assert found.pieces == [(("a", 0), 1), (("b", 1), 1)]
    assert merged.is_new(found)


def test_soft_values_by_hand():
    merged = Merged([*CROSS, path("c", "mid", "bad", score=0.0)])
    # mid: one good of three
    assert merged.values(0.5)["mid"] == pytest.approx(0.5 * math.log((math.exp(2) + 2) / 3))
    # much temperature is imitation: the mean of what was recorded
    assert merged.values(1e6)["mid"] == pytest.approx(1 / 3, abs=1e-5)
    # little is the best
    assert merged.values(0.01)["mid"] == pytest.approx(1.0, abs=0.02)
    chances = {edge: p for edge, _, p in merged.policy("mid", merged.values(0.5), 0.5)}
    assert chances["good"] == pytest.approx(math.exp(2) / (math.exp(2) + 2))


def test_an_end_that_went_both_ways_is_worth_the_mean():
    merged = Merged([path("a", "s", "e", score=1.0), path("b", "s", "e", score=0.0)])
    assert merged.values(0.1)["s"] == pytest.approx(0.5)


def test_hard_stitching_keeps_the_log_s_odds_among_equals():
    merged = Merged(
        [path("a", "s", "x", score=1.0), path("b", "s", "x", score=1.0), path("c", "s", "y", score=1.0)]
    )
    assert {edge: p for edge, _, p in merged.policy("s", merged.values(0.0), 0.0)} == {
        "x": pytest.approx(2 / 3),
        "y": pytest.approx(1 / 3),
    }


def test_a_cycle_ends():
    merged = Merged([path("a", "s", "t", "s", "good", score=1.0)])
    values = merged.values(0.1)
    assert values["s"] == pytest.approx(
        0.1 * math.log(0.5 * math.exp(10) + 0.5 * math.exp(values["t"] / 0.1)), abs=1e-6
    )
    ends = [merged.sample("s", values, 0.1, np.random.default_rng(n), longest=3) for n in range(40)]
    assert any(found is None for found in ends)
    assert any(found is not None for found in ends)


def test_pieces_are_as_long_as_they_can_be():
    merged = Merged([path(str(n), "a", "b", "c", "d", score=1.0) for n in range(5)])
    values = merged.values(0.0)
    for seed in range(10):
        found = merged.sample("a", values, 0.0, np.random.default_rng(seed))
        assert found is not None
        assert len(found.pieces) == 1
        assert not merged.is_new(found)


def test_splices_by_hand():
    a = Trajectory(name="a", steps=(Step(0, "a1"), Step(5, "a2")), score=0.0, final=9)
    b = Trajectory(name="b", steps=(Step(0, "b1"), Step(5, "b2")), score=1.0, final=9)
    found = {tuple(step.edge for step in each.steps) for each, _, _ in splices([a, b], bool)}
    # Key 0 is no place to join. At 5 the ends are exchanged; at 9 nothing is left to exchange.
    assert found == {("a1", "b2"), ("b1", "a2"), ("a1", "a2"), ("b1", "b2")}
    [stitched] = [each for each, first, _ in splices([a, b], lambda key: key == 5) if first is a]
    assert stitched == Stitched(steps=(a.steps[0], b.steps[1]), sources=(("a", 0), ("b", 1)))
