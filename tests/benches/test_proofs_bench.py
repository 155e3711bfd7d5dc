"""The table of ways to prove set.mm's theorems: every proof judged, and each way counted where it belongs."""

import pytest
import torch

from goalward.benches import proofs
from goalward.formal.metamath import shipped
from goalward.formal.proof import Proof
from goalward.formal.tactics import TacticError

EASY, HARD = ("id", "pm3.2", "simpl"), ("pm5.74", "biass")


@pytest.fixture
def few(monkeypatch):
    chosen = [theorem for theorem in shipped() if theorem.label in EASY + HARD]
    assert len(chosen) == 5
    monkeypatch.setattr(proofs, "shipped", lambda: chosen)


def test_ways_side_by_side(few):
    torch.manual_seed(0)
    found = proofs.study(["new:prover"], attempts=4, most=100, hardest=True, say=lambda text: None)
    lines = {line.name: line for line in found.lines}
    assert found.hard == HARD
    assert lines["best first by size, 100"].proved.mean == pytest.approx(3 / 5)
    assert lines["best first by size, 16"].proved.mean <= lines["best first by size, 64"].proved.mean
    assert lines["new:prover: puct, 16"].proved.mean <= lines["new:prover: puct, 64"].proved.mean
    assert lines["new:prover: puct, 100, hard ones"].proved is None
    assert lines["new:prover: one attempt"].hard == ()
    assert found.judged >= 3
    assert found.lean.startswith(("accepted", "not asked"))
    if found.lean.startswith("accepted"):
        assert found.lean == f"accepted {found.judged} of {found.judged}"
    drawn = proofs.table(found)
    assert drawn.row_count == len(found.lines)
    assert "of the 2 that no control proves" in drawn.caption


def test_a_wrong_proof_stops_the_study(few):
    ways = proofs.Ways()
    ways.add("a lie", [Proof("assumption")] * 5)
    with pytest.raises(TacticError, match="does not apply"):
        ways.study([])
