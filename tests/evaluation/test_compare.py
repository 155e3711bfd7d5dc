import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from goalward.errors import GoalwardError, UsageError
from goalward.evaluation.compare import comparable, compare, load_evaluations, markdown, table, to_json

BASE, SFT, GRPO = "1000010000", "1100010000", "1111111000"


@pytest.fixture
def three(make_evaluation):
    return [make_evaluation("base", BASE), make_evaluation("sft", SFT), make_evaluation("grpo", GRPO)]


def test_pairs_by_hand(three):
    found = compare(three)
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("base", "sft"),
        ("base", "grpo"),
        ("sft", "grpo"),
    ]
    assert found.against_first() == (None, found.pairs[0], found.pairs[1])
    sft, grpo, last = found.pairs
    assert (sft.fixed, sft.broken, sft.p) == (1, 0, 1.0)  # 2 * 1/2
    assert (grpo.fixed, grpo.broken, grpo.p) == (5, 0, 2 / 2**5)
    assert (last.fixed, last.broken, last.p) == (4, 0, 2 / 2**4)
    assert grpo.difference.mean == pytest.approx(0.5)
    assert [row.accuracy["strict"].mean for row in found.rows] == [0.2, 0.3, 0.7]


def test_only_the_same_questions_are_compared(make_evaluation, three):
    base = three[0]
    shorter = make_evaluation("short", BASE[:-1])
    with pytest.raises(GoalwardError, match="'base' and 'short' answered 10 and 9 questions"):
        compare([base, shorter])
    for change, message in (
        ({"id": "z"}, "number 4 is 'q3' there and 'z' here"),
        ({"question": "z"}, "'q3' has another text"),
        ({"reference": "z"}, "'q3' has another reference"),
    ):
        records = list(base.records)
        records[3] = replace(records[3], **change)
        with pytest.raises(GoalwardError, match=message):
            compare([base, replace(base, name="other", records=tuple(records))])
    with pytest.raises(GoalwardError, match="headline metrics"):
        compare([base, replace(base, name="other", metrics=("numeric", "strict"))])
    with pytest.raises(UsageError, match="named 'base'"):
        compare([base, base])
    with pytest.raises(UsageError, match="no evaluations"):
        compare([])


def test_table_and_markdown_say_the_same(three):
    found = compare(three)
    text = markdown(found)
    assert "sums test, 10 questions" in text
    row = next(line for line in text.splitlines() if line.startswith("| grpo"))
    assert "70.0" in row
    assert "+50.0" in row
    assert "| 5 | 0 | 0.062 |" in row
    console = Console(width=200, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(table(found))
        shown = console.export_text()
    for cell in ("grpo", "0.062", "70.0", "sums test, 10 questions"):
        assert cell in shown


def test_one_model_alone_has_no_test_and_no_verdict_is_shown(make_evaluation):
    text = markdown(compare([make_evaluation("base", "1?")]))
    assert "fixed" not in text
    assert "no verdict" in text
    assert "no verdict" not in markdown(compare([make_evaluation("base", "10")]))


def test_to_json_is_json(three):
    found = json.loads(json.dumps(to_json(compare(three)), allow_nan=False))
    assert found["pairs"][1]["fixed"] == 5


def with_metric(evaluation, metric, outcomes):
    """The evaluation with one more metric, from a string of 1 and 0."""
    records = tuple(
        replace(
            record,
            greedy=replace(
                record.greedy,
                scores={**record.greedy.scores, metric: float(outcome)},
                correct={**record.greedy.correct, metric: outcome == "1"},
            ),
        )
        for record, outcome in zip(evaluation.records, outcomes, strict=True)
    )
    return replace(evaluation, metrics=(*evaluation.metrics, metric), records=records)


def test_a_gain_is_split_by_hand(make_evaluation):
    # strict 2 -> 6 of 10; numeric 4 -> 7: of the gain of 4, 3 are new right answers and 1 is better written.
    base = with_metric(make_evaluation("base", "1100000000"), "numeric", "1111000000")
    new = with_metric(make_evaluation("new", "1111110000"), "numeric", "1111111000")
    (pair,) = compare([base, new]).pairs
    assert pair.difference.mean == pytest.approx(0.4)
    assert (pair.gain.metric, pair.gain.misread) == ("numeric", (2, 1))
    assert (pair.gain.reasoning.mean, pair.gain.format.mean) == (pytest.approx(0.3), pytest.approx(0.1))
    said = "new: +40.0 (+10.0 to +70.0) by strict = +30.0"
    assert said in markdown(compare([base, new]))


def test_a_gain_in_what_is_said_is_not_split(make_evaluation):
    assert compare([make_evaluation("a", "10"), make_evaluation("b", "11")]).pairs[0].gain is None
    a, b = (with_metric(make_evaluation(n, "10"), "math", "10") for n in "ab")
    swapped = [replace(each, metrics=("math", "strict")) for each in (a, b)]
    assert compare(swapped).pairs[0].gain is None
    assert compare([a, b]).pairs[0].gain.metric == "math"


def test_samples_are_compared_by_question(make_evaluation):
    a = make_evaluation("a", "000", samples=("1000", "0000", "1100"))
    b = make_evaluation("b", "000", samples=("1110", "1000", "1111"))
    (pair,) = compare([a, b]).pairs
    # The differences are 2, 1 and 2 of 4 attempts; only all signs alike are as extreme: 2 of 8.
    assert (pair.sampled.attempts, pair.sampled.p) == (4, 0.25)
    assert pair.sampled.difference.mean == pytest.approx(5 / 12)
    assert "4 samples a question: +41.7" in markdown(compare([a, b]))
    assert compare([a, make_evaluation("c", "000")]).pairs[0].sampled is None


def test_votes_are_held_against_the_truth(make_evaluation):
    # The answers are the outcomes themselves: three of four agree on a wrong answer, all four on a right one.
    found = compare([make_evaluation("a", "00", samples=("1000", "1111"))])
    assert [(each.share, each.right) for each in found.rows[0].calibration.bins] == [(0.75, 0.0), (1.0, 1.0)]
    assert found.rows[0].calibration.error.mean == pytest.approx(0.375)
    assert "| vote error |" in markdown(found)
    assert compare([make_evaluation("a", "00")]).rows[0].calibration is None


def write_answers(path, *answers):
    path.write_text(
        "".join(
            json.dumps({"question": f"{n}?", "reference": "7", "response": answer}) + "\n"
            for n, answer in enumerate(answers)
        )
    )
    return path


def test_recorded_answers_are_compared_like_any_other(tmp_path):
    base = write_answers(tmp_path / "base.jsonl", "<answer>$7</answer>", "<answer>8</answer>", "no idea")
    new = write_answers(tmp_path / "new.jsonl", "<answer>7</answer>", "<answer>7</answer>", "no idea")
    (group,) = comparable(load_evaluations([base, new]))
    (pair,) = compare(group).pairs
    assert (pair.first, pair.second, pair.fixed, pair.broken) == ("base", "new", 2, 0)
    assert (pair.gain.misread, pair.gain.reasoning.mean) == ((1, 0), pytest.approx(1 / 3))
    assert "tokens" not in markdown(compare(group))
    (tmp_path / "bad.jsonl").write_text('{"reference": "7"}\n')
    with pytest.raises(UsageError, match=r"bad\.jsonl, line 1: no response here"):
        load_evaluations([tmp_path / "bad.jsonl"])


def test_the_published_gain_of_sft_is_half_format():
    shared = Path(os.environ.get("GOALWARD_SHARED", Path(__file__).parents[3] / "shared"))
    answers = shared / "data" / "qwen_gsm8k_answers"
    if not answers.exists():
        pytest.skip("needs data that is not in the repository; name its folder in GOALWARD_SHARED")
    (pair,) = compare(load_evaluations([answers / "base.jsonl", answers / "sft.jsonl"])).pairs
    assert (pair.fixed, pair.broken, pair.gain.misread) == (217, 125, (59, 17))
    assert pair.difference.mean == pytest.approx((718 - 626) / 1319)
    assert pair.gain.reasoning.mean == pytest.approx((735 - 685) / 1319)
    assert pair.gain.format.mean == pytest.approx(42 / 1319)
    assert 0 < pair.gain.reasoning.low < pair.gain.reasoning.high
    assert pair.gain.format.low > 0.01


@pytest.fixture
def staged(tmp_path, make_evaluation):
    """A run whose stages come in the order of the recipe, not of the alphabet; `sft` was not reached."""
    run = tmp_path / "essay"
    for stage, outcomes in (("zero", BASE), ("first", GRPO)):
        (run / stage).mkdir(parents=True)
        make_evaluation("test", outcomes, step=9).save(run / stage / "evaluations" / "test-step-9.json")
        make_evaluation("test", SFT, step=10).save(run / stage / "evaluations" / "test.json")
        make_evaluation("ood", BASE, task="sums ood").save(run / stage / "evaluations" / "ood.json")
        (run / stage / "recipe.toml").write_text("[evaluation.test]\n[evaluation.ood]\n")
    (run / "recipe.toml").write_text('name = "essay"\n[stages.zero]\n[stages.sft]\n[stages.first]\n')
    return run


def test_runs_are_read_stage_by_stage(staged, make_evaluation, tmp_path):
    found = load_evaluations([staged])
    assert [(each.name, each.task, each.step) for each in found] == [
        ("zero", "sums test", 10),
        ("zero", "sums ood", 0),
        ("first", "sums test", 10),
        ("first", "sums ood", 0),
    ]
    assert [[each.name for each in group] for group in comparable(found)] == [["zero", "first"]] * 2


def test_runs_of_one_stage_and_files(staged, make_evaluation, tmp_path):
    single = tmp_path / "quick"
    single.mkdir()
    (single / "recipe.toml").write_text('name = "quick"\n')
    make_evaluation("test", SFT).save(single / "evaluations" / "test.json")
    file = tmp_path / "loose.json"
    make_evaluation("quick", GRPO).save(file)
    assert [each.name for each in load_evaluations([single])] == ["quick"]
    names = [each.name for each in load_evaluations([single, file])]
    assert names == ["quick/quick", f"{tmp_path}/loose/quick"]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such run"):
        load_evaluations([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="not a run's directory"):
        load_evaluations([tmp_path])
    (tmp_path / "recipe.toml").write_text("")
    with pytest.raises(UsageError, match="no evaluations yet"):
        load_evaluations([tmp_path])
    (tmp_path / "recipe.toml").write_text("= 3")
    with pytest.raises(UsageError, match="not valid TOML"):
        load_evaluations([tmp_path])
