import json
from pathlib import Path
from typing import Any

import pytest

from goalward.errors import UsageError
from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.tasks.rows import Rows
from goalward.types import Group


def write(folder: Path, *rows: Any, name: str = "rows.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_text_prompts(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        {"prompt": "1+1?", "reference": 2, "level": "easy"},
        {"prompt": "2+2?", "reference": "4", "level": None},
    )
    first, second = Rows(train=source).tasks("train")
    assert (first.id, first.messages, first.reference) == (
        "train/0",
        ({"role": "user", "content": "1+1?"},),
        "2",
    )
    assert first.info == {"level": "easy"}
    assert (second.id, second.reference, second.demonstration) == ("train/1", "4", None)


def test_messages_and_a_system_message(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    source = write(tmp_path, {"prompt": turns, "reference": "r"})
    (task,) = Rows(test=source, system="Be brief.").tasks("test")
    assert task.messages == ({"role": "system", "content": "Be brief."}, *turns)
    assert task.question == "c"


def test_other_columns_and_prompts(tmp_path: Path) -> None:
    source = write(tmp_path, {"q": "1+1?", "steps": "<answer>2</answer>"})
    taskset = Rows(
        train=source, prompt_column="q", reference_column=None, demonstration_column="steps", prompt="essay"
    )
    (task,) = taskset.tasks("train")
    assert (task.reference, task.demonstration, len(task.messages), task.info) == (
        None,
        "<answer>2</answer>",
        4,
        {},
    )


RFT = {
    "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "1+1?"}],
    "reference_answer": {"value": 2, "unit": "apples"},
    "level": 3,
}
"""A row as OpenAI's reinforcement fine-tuning takes it."""


def test_rows_for_reinforcement_fine_tuning(tmp_path: Path) -> None:
    source = write(tmp_path, RFT)
    taskset = Rows(train=source, prompt_column="messages", reference_column="reference_answer")
    (task,) = taskset.tasks("train")
    assert task.messages == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1+1?"},
    )
    assert task.reference == '{"value": 2, "unit": "apples"}'
    assert task.info == {"reference_answer": RFT["reference_answer"], "level": 3}
    (without,) = Rows(train=source, prompt_column="messages", reference_column="").tasks("train")
    assert without.reference is None
    assert without.info == task.info


def test_their_keys_are_reachable_by_a_grader_file(tmp_path: Path) -> None:
    grader = tmp_path / "grader.json"
    check = {
        "type": "string_check",
        "operation": "eq",
        "input": "{{ sample.output_text }}",
        "reference": "{{ item.reference_answer.value }} {{item.reference_answer.unit}}, {{ item.level }}",
    }
    grader.write_text(json.dumps(check))
    (task,) = Rows(
        train=write(tmp_path, RFT), prompt_column="messages", reference_column="reference_answer"
    ).tasks("train")
    attempts = Group(task=task, rollouts=(recorded("2 apples, 3"), recorded("2 apples")))
    assert [each.score for each in build_grader(str(grader)).grade(attempts)] == [1.0, 0.0]


def test_validation_is_a_file_or_the_end_of_the_training_rows(tmp_path: Path) -> None:
    source = write(tmp_path, *({"prompt": str(n), "reference": n} for n in range(5)))
    other = write(tmp_path, {"prompt": "v", "reference": 9}, name="validation.jsonl")
    (task,) = Rows(train=source, validation=other).tasks("validation")
    assert (task.id, task.question) == ("validation/0", "v")
    held_out = Rows(train=source, validation=2)
    assert [task.id for task in held_out.tasks("train")] == ["train/0", "train/1", "train/2"]
    assert [task.id for task in held_out.tasks("validation")] == ["train/3", "train/4"]
    with pytest.raises(UsageError, match=r"validation = 5 leaves no training rows: .*rows\.jsonl has 5"):
        Rows(train=source, validation=5).tasks("train")


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    turns = [[{"role": "user", "content": str(n)}] for n in range(3)]
    path = tmp_path / "rows.parquet"
    parquet.write_table(arrow.table({"prompt": turns, "reference": [0, 1, 2]}), path, row_group_size=2)
    tasks = Rows(train=str(path)).tasks("train")
    assert [(task.question, task.reference) for task in tasks] == [("0", "0"), ("1", "1"), ("2", "2")]
    parquet.write_table(
        arrow.table({"prompt": ["a", "b", None], "reference": [0, 1, 2]}), path, row_group_size=2
    )
    with pytest.raises(UsageError, match=r"rows\.parquet, row 3: 'prompt' should be text"):
        Rows(train=str(path)).tasks("train")


def test_a_folder_with_a_file_a_split(tmp_path: Path) -> None:
    write(tmp_path, {"prompt": "a", "reference": "1"}, name="train.jsonl")
    write(tmp_path, {"prompt": "b", "reference": "2"}, name="test.json")
    taskset = Rows(train=str(tmp_path), test=str(tmp_path))
    assert [taskset.tasks(split)[0].question for split in ("train", "test")] == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("owner/name", ("owner/name", None, "test")),
        ("owner/name:main", ("owner/name", "main", "test")),
        ("owner/name::train[:10%]", ("owner/name", None, "train[:10%]")),
        ("owner/name:main:dev", ("owner/name", "main", "dev")),
    ],
)
def test_hub_names(monkeypatch: pytest.MonkeyPatch, source: str, asked: tuple[str, str | None, str]) -> None:
    import datasets

    def load(name: str, config: str | None, split: str) -> Any:
        assert (name, config, split) == asked
        return datasets.Dataset.from_list([{"prompt": "a", "reference": "1"}])

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert len(Rows(test=source).tasks("test")) == 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"reference": "1"}, r"there is no column 'prompt'; known: reference; set prompt_column"),
        ({"promt": "1", "reference": "1"}, r"there is no column 'prompt'; did you mean 'promt'\?"),
        ({"prompt": "1"}, r"there is no column 'reference'; known: prompt; set reference_column"),
        ({"prompt": 3, "reference": "1"}, "'prompt' should be text or a list of messages, found int"),
        ({"prompt": [], "reference": "1"}, "'prompt' should be text or a list of messages"),
        ({"prompt": ["a"], "reference": "1"}, "a message in 'prompt' should have a role"),
        (
            {"prompt": [{"role": "bot", "content": "a"}], "reference": "1"},
            "a message in 'prompt' should have a role",
        ),
        (
            {"prompt": [{"role": "assistant", "content": "a"}], "reference": "1"},
            "the messages in 'prompt' should end with the user's turn",
        ),
        ({"prompt": "1", "reference": True}, "'reference' should be text, a number or JSON, found bool"),
        ("text", "expected a JSON object, found str"),
    ],
)
def test_bad_rows_are_named_by_their_line(tmp_path: Path, bad: Any, said: str) -> None:
    good = {"prompt": "a", "reference": "1"}
    with pytest.raises(UsageError, match=rf"rows\.jsonl, line 417: {said}"):
        Rows(train=write(tmp_path, *[good] * 416, bad, good)).tasks("train")


def test_malformed_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"prompt": "a", "reference": "1"}\n' * 416 + b'{"prompt": "a\n')
    with pytest.raises(UsageError, match="line 417: not valid JSON"):
        Rows(train=str(path)).tasks("train")
    path.write_bytes(b'{"prompt": "\xff", "reference": "1"}\n')
    with pytest.raises(UsageError, match="line 1: not valid JSON"):
        Rows(train=str(path)).tasks("train")


def test_missing_empty_and_broken_files(tmp_path: Path) -> None:
    for name in ("none.jsonl", "none.parquet"):
        with pytest.raises(UsageError, match=rf"{name}: there is no such file"):
            Rows(train=str(tmp_path / name)).tasks("train")
    with pytest.raises(UsageError, match="there are no rows"):
        Rows(train=write(tmp_path)).tasks("train")
    (tmp_path / "bad.parquet").write_text("not parquet")
    with pytest.raises(UsageError, match=r"bad\.parquet: cannot be read: "):
        Rows(train=str(tmp_path / "bad.parquet")).tasks("train")


def test_knobs_that_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a file or dataset"):
        Rows()
    with pytest.raises(UsageError, match="has its own system message"):
        Rows(train="x.jsonl", prompt="essay", system="s")
    with pytest.raises(UsageError, match="there is no 'test' split"):
        Rows(train="x.jsonl").tasks("test")
    with pytest.raises(UsageError, match="there is no split 'valdation'"):
        Rows(train="x.jsonl").tasks("valdation")
    with pytest.raises(UsageError, match="there is no 'validation' split; name a file"):
        Rows(train="x.jsonl").tasks("validation")
    with pytest.raises(UsageError, match="taken from `train`, which is missing"):
        Rows(test="x.jsonl", validation=3)
    with pytest.raises(UsageError, match="validation = -3"):
        Rows(train="x.jsonl", validation=-3)
    turns = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    source = write(tmp_path, {"prompt": turns, "reference": "1"})
    with pytest.raises(UsageError, match="line 1: the messages have a system message already"):
        Rows(train=source, system="s").tasks("train")
