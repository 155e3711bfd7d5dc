"""The relay by hand: its edges, its log, its bounds."""

import math

import numpy as np
import pytest

from goalward.tasks.relay import Relay, as_groups

PROBLEM = Relay(seed=3)


def test_only_live_leads_to_live():
    following, live = PROBLEM.successors(), PROBLEM.live
    assert sorted(following) == list(range(24))
    for node, after in following.items():
        assert len(set(after)) == (0 if node in PROBLEM.token[-1] else 3)
        assert bool(set(after) & set(live)) == (node in live[:-1])
        if node in live[:-1]:
            assert set(after) & set(live) == {live[live.index(node) + 1]}


def test_the_reward_is_for_the_goal_by_edges_alone():
    live, dead = PROBLEM.live, int(PROBLEM.token[3, 1])
    assert PROBLEM.reward(live) == 1
    assert PROBLEM.reward(live[2:]) == 1
    assert PROBLEM.reward(live[:-1]) == 0
    assert PROBLEM.reward([*live[:3], dead, *live[4:]]) == 0
    assert PROBLEM.reward([live[0], live[-1]]) == 0


def test_the_log_has_no_success_that_began_early():
    walks = PROBLEM.walks(2000, seed=1)
    layer = {int(token): n for n, tokens in enumerate(PROBLEM.token) for token in tokens}
    wins = [walk for walk in walks if PROBLEM.reward(walk)]
    assert wins
    assert {layer[walk[0]] for walk in wins} == {3, 4}
    assert {layer[walk[0]] for walk in walks} == {0, 1, 2, 3, 4}
    assert all(layer[walk[-1]] == 5 for walk in walks)
    groups = as_groups(walks, PROBLEM, 16)
    assert sum(len(group.rollouts) for group in groups) == 2000
    assert max(len(group.rollouts) for group in groups) == 16
    assert sum(f.score for group in groups for f in group.feedback) == len(wins)


def test_the_bounds_by_hand():
    assert PROBLEM.ceiling == pytest.approx(1 / 27)
    one = Relay(length=1, actions=2)
    value = 0.5 * math.log((math.exp(2) + 1) / 2)
    assert one.soft_values(0.5) == pytest.approx([value, 1.0])
    assert one.soft_optimum(0.5) == pytest.approx(math.exp(2) / (math.exp(2) + 1))
    assert PROBLEM.soft_optimum(0.1) == pytest.approx(0.989, abs=5e-4)
    assert PROBLEM.soft_optimum(1 / (5 * math.log(3))) < 0.6


def test_the_chances_of_the_log_are_what_is_recorded():
    walks, live = PROBLEM.walks(60_000, seed=2), PROBLEM.live
    for here, there, chance in zip(live, live[1:], PROBLEM.chances(), strict=False):
        came = [walk for walk in walks if here in walk]
        went = np.mean([there in walk for walk in came])
        assert went == pytest.approx(chance, abs=4 * math.sqrt(chance / len(came)))
        assert chance < 1 / 3
