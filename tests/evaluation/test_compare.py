import json
from dataclasses import replace

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
