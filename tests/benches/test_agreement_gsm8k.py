"""Choosing among recorded answers without labels: on a made-up file, and on the published one where it is."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goalward.benches.agreement_gsm8k import agreement_gsm8k
from goalward.cli import app
from goalward.errors import UsageError

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "gsm8k_model_solutions"


def write(folder: Path, rows: list[tuple[str, ...]]) -> Path:
    lines = [
        {"question": "?", "ground_truth": f"A: {truth}"}
        | {
            f"model{place}": {"solution": f"so\nA: {answer}", "is_correct": None}
            for place, answer in enumerate(said)
        }
        for truth, *said in rows
    ]
    (folder / "solutions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_it_counts_what_was_chosen(tmp_path: Path):
    # Model 2 is always right, and shows it by agreeing with each of the others where these are right.
    rows = [("1", "1", "1", "1"), ("2", "5", "6", "2"), ("3", "3", "7", "3"), ("4", "8", "4", "4")] * 20
    found = agreement_gsm8k(write(tmp_path, rows))
    means = {method.name: method.accuracy.mean for method in found.methods}
    assert means["maj@3"] == pytest.approx((1 + 1 / 3 + 1 + 1) / 4)
    assert means["reliability-weighted vote"] == means["best single: model2"] == 1
    assert means["a model at random"] == pytest.approx((3 + 1 + 2 + 2) / 12)
    assert found.truth == {"model0": 0.5, "model1": 0.5, "model2": 1}
    assert found.reliability["model2"] > max(found.reliability["model0"], found.reliability["model1"])


def test_labels_do_not_change_the_choice(tmp_path: Path):
    rows = [("1", "1", "1", "2"), ("2", "5", "6", "2"), ("3", "3", "7", "3")] * 9
    right = agreement_gsm8k(write(tmp_path, rows))
    poisoned = agreement_gsm8k(write(tmp_path, [("99", *said) for _, *said in rows]))
    assert right.reliability == poisoned.reliability
    assert poisoned.methods[2].accuracy.mean == 0


def test_a_file_that_is_no_such_thing(tmp_path: Path):
    (tmp_path / "solutions.jsonl").write_text('{"question": "?", "ground_truth": "1"}\n')
    with pytest.raises(UsageError, match="at least two models"):
        agreement_gsm8k(tmp_path)
    (tmp_path / "solutions.jsonl").write_text('{"question": "?", "ground_truth": "1", "a": {}, "b": {}}\n')
    with pytest.raises(UsageError, match="line 1: a: no text in 'solution'"):
        agreement_gsm8k(tmp_path)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs the published solutions beside the checkout")
def test_the_published_answers():
    result = CliRunner().invoke(app, ["bench", "agreement-gsm8k", str(PUBLISHED), "--json"])
    means = {method["name"]: method["accuracy"]["mean"] for method in json.loads(result.stdout)["methods"]}
    assert means["maj@4"] == pytest.approx(0.482, abs=0.001)
    assert means["reliability-weighted vote"] >= 0.55
