import json

import pytest

from goalward.benches import test_time as bench
from goalward.formal.metamath import shipped


@pytest.fixture
def theorems():
    return sorted(shipped(), key=lambda one: one.statement.size)[:2]


def test_trials_are_written_as_they_come_and_not_repeated(theorems, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "left_open", lambda model, budget: theorems)
    file = tmp_path / "rows.jsonl"

    def run(most):
        return list(bench.study("new:prover", 20, 1, most=most, seed=0, file=file, say=lambda line: None))

    [first] = run(1)
    assert first.label == theorems[0].label
    assert first.practised
    assert first.rounds == 0
    assert first.spent == first.searched <= 20
    rows = file.read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1
    changed = json.loads(rows[0]) | {"spent": 7}
    file.write_text(json.dumps(changed) + "\n", encoding="utf-8")
    kept, second = run(2)
    assert kept.spent == 7
    assert second.label == theorems[1].label
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2
    says = bench.lean_says([first, second])
    assert says.startswith(("accepted", "not asked"))
    shown = bench.table([first, second], says)
    assert shown.row_count == 2
    assert "practice alone 0" in shown.caption


def test_what_is_left_open_is_hard_and_the_largest_comes_first():
    found = bench.left_open("new:prover", 1)
    sizes = [one.statement.size for one in found]
    assert sizes == sorted(sizes, reverse=True)
    assert 600 < len(found) <= 687
