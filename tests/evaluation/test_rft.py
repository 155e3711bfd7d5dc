"""recipes/rft.toml, its grader file, and the study of how few rows are enough."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.probes import check_grader
from goalward.recipe import find_recipe, load_recipe, make_tasks
from goalward.types import Group

STUDY = Path(__file__).parents[2] / "benchmarks" / "few_rows.py"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("few_rows", STUDY)
    module = importlib.util.module_from_spec(spec)
    sys.modules["few_rows"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    study.write_rows(folder, 1)
    return folder


@pytest.fixture(scope="module")
def stage(rows):
    files = [f"task.{split}={rows}/{split}.jsonl" for split in ("train", "validation", "test")]
    return load_recipe(find_recipe("rft.toml"), files).stages[0]


def test_the_recipe_reads_the_rows_and_chooses_apart_from_the_reward(stage):
    sizes = {split: len(make_tasks(stage.task).tasks(split)) for split in ("train", "validation", "test")}
    assert sizes == {"train": 1000, "validation": 100, "test": 500}
    assert stage.validation.best
    assert stage.validation.patience > 0
    assert set(stage.validation.metrics).isdisjoint(part.grader for part in stage.reward.values())
    questions = [{task.question for task in make_tasks(stage.task).tasks(split)} for split in sizes]
    assert not (questions[0] & questions[1] or questions[0] & questions[2] or questions[1] & questions[2])


def test_its_grader_file_tells_right_from_wrong(stage):
    grader = build_grader(stage.reward["answer"].grader, find_recipe("rft.toml").parent)
    tasks = make_tasks(stage.task).tasks("train")[:20]
    found = check_grader(tasks, grader)
    assert list(found.problems()) == []
    assert found.kinds["reference"].mean == 1.0
    assert found.kinds["mutated"].mean == pytest.approx(0.2)  # tidy, and wrong
    right = f"<reasoning>r</reasoning>\n<answer>{tasks[0].reference}</answer>"
    tries = (right, f"{right}<answer>7</answer>", f"so: {right}", right.replace("\n", "\n\n"))
    scores = grader.grade(Group(task=tasks[0], rollouts=tuple(map(recorded, tries))))
    assert [each.score for each in scores] == [1.0, 0.0, 0.0, 1.0]  # two answers win nothing


def test_each_seed_has_rows_of_its_own_and_the_same_test(study, rows, tmp_path):
    study.write_rows(tmp_path, 2)
    assert (tmp_path / "test.jsonl").read_text() == (rows / "test.jsonl").read_text()
    first, second = ((folder / "train.jsonl").read_text().splitlines() for folder in (rows, tmp_path))
    assert len(set(first) & set(second)) < 10
    assert json.loads(first[0]).keys() == {"messages", "reference_answer", "terse", "careful"}


def test_the_table_by_hand(study, make_evaluation, tmp_path):
    # Ten questions, two seeds: RFT is right on all, SFT on half of them.
    for seed in (1, 2):
        for method, outcomes in (("rft", "1" * 10), ("sft", "1" * 5 + "0" * 5)):
            run = study.run_of(tmp_path, method, 30, seed)
            make_evaluation(method, outcomes, step=8 * seed).save(run / "evaluations" / "test.json")
            (run / "result.json").write_text("{}")
    row = study.table(tmp_path, [10, 30], [1, 2]).splitlines()[2]
    assert row.startswith(
        "| 30 | 100.0 (100.0–100.0): 100.0, 100.0 | 50.0 (20.0–80.0): 50.0, 50.0 | +50.0 (+20.0"
    )
    assert (
        "| 0.062, 0.062 | 0.062 | – | 8, 16; 8, 16 |" in row
    )  # 2 / 2**5, and two seeds that agree say no more
    assert len(study.table(tmp_path, [10, 30], [1, 2]).splitlines()) == 3  # nothing is known of 10 rows
