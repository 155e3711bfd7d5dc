"""The chain's exact accuracies, and what each way to learn without labels comes to."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from goalward.benches import noisy_chain as chain


def world(regime, seed=0):
    random = np.random.default_rng([seed, 0])
    right = chain.right_table(random)
    return right, chain.first_logits(regime, right, random)


def test_outcomes_by_hand():
    right, logits = world("independent")
    sure = np.full_like(logits, -50.0)
    np.put_along_axis(sure[0], right[..., None], 0.0, -1)
    assert chain.outcome(sure, right) == chain.Outcome(single=1.0, majority=1.0, any_of_16=1.0)
    found = chain.outcome(logits, right)
    # Right with .85 a step; a wrong step may be made good by a later one, which happens with some 1 to 2 %.
    assert 0.85**3 < found.single < 0.85**3 + 0.02
    assert found.majority == 1


def test_attempts_are_distributed_as_the_outcome_says():
    right, logits = world("missing")
    random = np.random.default_rng(1)
    starts = random.integers(0, 10, 40_000)
    operations = random.integers(0, chain.OPERATIONS, (40_000, chain.STEPS))
    own = chain.attempt(chain.softmax(logits[0]), starts, operations, random)
    truth = starts
    for step in range(chain.STEPS):
        truth = right[operations[:, step], truth]
    assert (own.values[:, -1] == truth).mean() == pytest.approx(chain.outcome(logits, right).single, abs=0.01)
    assert (own.values[:, -1] == chain.STOP).mean() == pytest.approx(1 - 0.74**3, abs=0.01)


def run(regime, name):
    right, logits = world(regime)
    [method] = [method for method in chain.methods(regime) if method.name == name]
    end, pseudo, alarm = chain.learn(logits, right, method, seed=0)
    return chain.outcome(logits, right), chain.outcome(end, right), pseudo, alarm


def test_independent_errors_are_voted_away():
    before, after, _, _ = run("independent", "vote")
    _, gold, _, _ = run("independent", "gold")
    assert after.single > before.single + 0.2 and after.single > gold.single - 0.05


def test_a_shared_error_is_rewarded_and_another_view_sees_it():
    before, after, pseudo, _ = run("systematic", "vote")
    assert pseudo > 0.9 and after.single < 0.85 and after.any_of_16 < before.any_of_16 - 0.1
    *_, alarm = run("systematic", "vote, other notation watches, guards")
    assert "cross_view" in alarm
    _, both, _, _ = run("systematic", "the other notation votes")
    assert both.single > 0.9


def test_no_answer_is_no_vote():
    _, excluded, _, _ = run("missing", "vote")
    before, counted, pseudo, _ = run("missing", "vote that counts no answer as one")
    assert excluded.single > counted.single + 0.6 and pseudo > 0.9
    _, stopped, _, alarm = run("missing", "the same, guards")
    assert "answer_entropy" in alarm and stopped.single > 0.4 * before.single > counted.single


def test_reflection_joins_what_is_right_in_several():
    right, logits = world("independent")
    improved = chain.outcome_of_reflection(logits, right, 0)
    assert improved.single > chain.outcome(logits, right).single + 0.3


def test_a_line_is_json_and_a_row_for_people():
    right, logits = world("independent")
    found = [chain.outcome(logits, right), chain.outcome_of_reflection(logits, right, 0)]
    lines = [
        chain._line("independent", name, [each]) for name, each in zip(("start", "gold"), found, strict=True)
    ]
    assert json.loads(json.dumps([asdict(line) for line in lines], allow_nan=False))[1]["majority"] is None
    assert chain.table(lines).row_count == 2
