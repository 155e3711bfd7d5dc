import json
import math
from pathlib import Path

import numpy as np
import pytest

from goalward.evaluation.compare import compare
from goalward.evaluation.plots import bar_chart, curves, panels
from goalward.evaluation.report import write_report
from goalward.runs.run import Run
from goalward.types import Feedback, Group, Rollout, Task


def rows(steps=30):
    return [
        {
            "step": i,
            "reward": 0.3 + 0.01 * i,
            "reward/format": 0.9,
            "reward/answer": 0.2 + 0.01 * i,
            "loss": 0.0,
            "entropy": 0.5,
            "kl": math.nan if i == 3 else 0.001 * i,
            "completion_length": 90.0 + i,
            "no_spread_share": 0.2,
            "truncated_share": 0.05,
            **({"accuracy/test": 0.4 + 0.01 * i} if i % 10 == 0 else {}),
        }
        for i in range(steps)
    ]


def groups():
    def attempt(text):
        tokens = np.arange(3, dtype=np.int32)
        return Rollout(
            prompt=tokens,
            completion=tokens,
            sampled=np.ones(3, dtype=np.bool_),
            logprobs=np.full(3, -0.5, dtype=np.float32),
            text=text,
            stop="eos",
        )

    task = Task(id="t1", messages=({"role": "user", "content": "2+2?"},), reference="4")
    texts, scores = ("four, ```fenced```", "five", "lost"), (3.0, -1.0, None)
    return [
        Group(
            task=task,
            rollouts=tuple(attempt(text) for text in texts),
            feedback=tuple(Feedback(score=score, parts={"answer": 2.0}) for score in scores),
        )
    ]


def train(directory: Path, recipe: str) -> None:
    with Run.open(directory, recipe) as run:
        for row in rows():
            run.record(row["step"], row, groups())


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5_000


def test_panels_leave_out_what_was_not_measured():
    shown = {panel.title.split(" (")[0]: panel for panel in panels(rows())}
    assert list(shown) == [
        "reward",
        "accuracy on evaluation",
        "completion length",
        "entropy",
        "KL to the reference",
        "share",
    ]
    assert list(shown["reward"].lines) == ["total", "format", "answer"]
    assert len(shown["KL to the reference"].lines["kl"][0]) == 29  # without the NaN
    assert list(shown["accuracy on evaluation"].lines["test"][0]) == [0, 10, 20]
    imitation = panels([{"step": 0, "loss": 2.0}, {"step": 1, "loss": 1.5}])
    assert [panel.title for panel in imitation] == ["loss"]
    assert panels([]) == panels([{"step": 0, "loss": math.nan}]) == []


def test_pictures_are_drawn(make_evaluation, tmp_path):
    bar_chart(
        compare([make_evaluation("base", "10"), make_evaluation("all right", "11")]), tmp_path / "bars.png"
    )
    assert is_png(tmp_path / "bars.png")
    assert curves(rows(), tmp_path / "curves.png")
    assert is_png(tmp_path / "curves.png")
    assert curves([{"step": 0, "reward": 1.0}], tmp_path / "one.png")
    assert not curves([], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_report_of_several_stages(make_evaluation, tmp_path):
    run = tmp_path / "essay"
    recipe = 'name = "essay"\n[stages.base]\n[stages.grpo]\n'
    with Run.open(run, recipe):
        train(run / "grpo", 'name = "grpo"\n')
        (run / "base").mkdir()
        (run / "base" / "recipe.toml").write_text("[evaluation.test]\n[evaluation.zood]\n")
        for stage, outcomes in (("base", "1100"), ("grpo", "1011")):
            make_evaluation("test", outcomes).save(run / stage / "evaluations" / "test.json")
            make_evaluation("ood", outcomes, task="sums ood").save(run / stage / "evaluations" / "zood.json")
    report = write_report(run).read_text()
    for said in (
        "# essay",
        "## Results: sums test",
        "## Results: sums ood",
        "![accuracy by model](comparison.png)",
        "(comparison-sums-ood.png)",
        "Fixed by grpo: question q2",
        "Broken by grpo: question q1",
        "(grpo/curves.png)",
        "score 3 (answer 2)",
        "score -1",
        "````text\nfour, ```fenced```\n````",
        "[stages.grpo]",
        "near 0 on fresh attempts",
        "McNemar",
    ):
        assert said in report, said
    for name in ("comparison.png", "comparison-sums-ood.png", "grpo/curves.png"):
        assert is_png(run / name)
    assert (run / "comparison.json").exists()


def test_report_of_one_stage_compares_before_and_after(make_evaluation, tmp_path):
    train(tmp_path / "quick", 'name = "quick"\n')
    for step, outcomes in ((0, "1000"), (15, "1100"), (30, "1110")):
        make_evaluation("quick", outcomes, step=step).save(
            tmp_path / "quick" / "evaluations" / f"step-{step}.json"
        )
    report = write_report(tmp_path / "quick").read_text()
    assert "| step 0 |" in report
    assert "| step 30 |" in report
    assert "step 15" not in report
    assert "Fixed by step 30: question q1" in report
    assert (tmp_path / "quick" / "comparison.png").exists()


def test_report_shows_some_of_what_changed_and_how_right_votes_are(make_evaluation, tmp_path):
    train(tmp_path / "quick", 'name = "quick"\n')
    for step, outcomes in ((0, "11000000"), (30, "00111111")):
        make_evaluation("quick", outcomes, step=step, samples=("1100", "1111") * 4).save(
            tmp_path / "quick" / "evaluations" / f"step-{step}.json"
        )
    report = write_report(tmp_path / "quick").read_text()
    assert report.count("### Fixed by step 30") == 2  # of six
    assert report.count("### Broken by step 30") == 2
    assert "### How clear a vote, how right" in report
    assert "| step 0 | 100 | 100 | 4 |" in report
    assert "| step 0 | 50 | 50 | 4 |" in report  # a tie is decided by a coin


def test_report_says_which_model_was_kept(make_evaluation, tmp_path):
    train(tmp_path / "quick", 'name = "quick"\n')
    result = {
        "model": "checkpoints/step-8",
        "steps": 16,
        "best": 8,
        "validated": [[0, 0.25], [8, 0.5], [16, 0.4]],
    }
    (tmp_path / "quick" / "result.json").write_text(json.dumps(result))
    assert (
        "Kept is the model after step 8, the best on validation: 50.0 %, against 25.0 % before training and "
        "40.0 % in the end." in write_report(tmp_path / "quick").read_text()
    )


@pytest.mark.parametrize("evaluated", [False, True])
def test_report_of_a_run_that_has_hardly_begun(make_evaluation, tmp_path, evaluated):
    with Run.open(tmp_path / "new", 'name = "new"\n') as run:
        if evaluated:
            make_evaluation("test", "10").save(run.evaluations / "test.json")
    report = write_report(tmp_path / "new").read_text()
    assert ("## Results" in report) is evaluated
    assert "Training" not in report
    assert not (tmp_path / "new" / "comparison.png").exists()
