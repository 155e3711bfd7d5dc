import json
from pathlib import Path
from typing import Any

import pytest

from goalward.errors import UsageError
from goalward.tasks.gsm8k import GSM8K


def write(folder: Path, split: str, *rows: Any) -> None:
    (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(number: int) -> dict[str, str]:
    return {
        "question": f"Twice {number}?",
        "answer": f"2*{number} = <<2*{number}={2 * number}>>{2 * number}.\nDone.\n#### {2 * number}",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "train", *(row(n) for n in range(1, 11)))
    write(tmp_path, "test", row(1000), {"question": "Big?", "answer": "x\n#### 2,125"})
    return tmp_path


def test_tasks(folder: Path) -> None:
    tasks = GSM8K(path=str(folder)).tasks("train")
    assert len(tasks) == 10
    first = tasks[0]
    assert first.id == "gsm8k/train/0"
    assert first.messages[0]["role"] == "system" and first.question == "Twice 1?"
    assert first.reference == "2"
    assert first.demonstration == "<reasoning>2*1 = 2. Done.</reasoning>\n<answer>2</answer>"


def test_references_keep_their_commas(folder: Path) -> None:
    assert [task.reference for task in GSM8K(path=str(folder)).tasks("test")] == ["2000", "2,125"]


def test_size_and_prompt(folder: Path) -> None:
    tasks = GSM8K(path=str(folder), size=3, prompt="plain").tasks("train")
    assert [len(task.messages) for task in tasks] == [1, 1, 1]


def test_validation_is_the_end_of_the_training_file(folder: Path) -> None:
    taskset = GSM8K(path=str(folder), validation=3)
    train, held_out = taskset.tasks("train"), taskset.tasks("validation")
    assert [task.id for task in held_out] == [f"gsm8k/train/{n}" for n in (7, 8, 9)]
    assert [task.id for task in train] == [f"gsm8k/train/{n}" for n in range(7)]
    assert len(taskset.tasks("test")) == 2


def test_splits_that_are_not_there(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no split 'validation'; known: "):
        GSM8K(path=str(folder)).tasks("validation")
    with pytest.raises(UsageError, match="validation = 10 leaves no training rows"):
        GSM8K(path=str(folder), validation=10).tasks("train")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"question": "q"}, "line 417: GSM8K rows have a text 'answer'; there is question"),
        ({"question": 3, "answer": "#### 3"}, "line 417: GSM8K rows have a text 'question'; found int"),
        ({"question": "q", "answer": "it is 3"}, "line 417: the answer should end in '#### '"),
        ({"question": "q", "answer": "it is ####  "}, "line 417: the answer should end in '#### '"),
        (["q"], "line 417: expected a JSON object, found list"),
    ],
)
def test_rows_that_are_not_what_they_should_be(tmp_path: Path, bad: Any, said: str) -> None:
    write(tmp_path, "train", *(row(n) for n in range(416)), bad, row(1))
    with pytest.raises(UsageError, match=rf"train\.jsonl, {said}"):
        GSM8K(path=str(tmp_path)).tasks("train")


def test_malformed_line(folder: Path) -> None:
    with (folder / "train.jsonl").open("a") as file:
        file.write('{"question": "q", "answer": \n')
    with pytest.raises(UsageError, match="line 11: not valid JSON"):
        GSM8K(path=str(folder)).tasks("train")


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no test\.jsonl in this folder"):
        GSM8K(path=str(tmp_path)).tasks("test")
    write(tmp_path, "test")
    with pytest.raises(UsageError, match="'test' has no rows"):
        GSM8K(path=str(tmp_path)).tasks("test")


@pytest.mark.parametrize("knobs", [{"size": 0}, {"validation": -1}, {"prompt": "none"}])
def test_knobs_that_make_no_sense(knobs: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        GSM8K(**knobs)


def test_the_hub_out_of_reach_is_two_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(name: str, config: str, split: str) -> None:
        assert (name, config, split) == ("openai/gsm8k", "main", "train")
        raise ConnectionError("Couldn't reach 'openai/gsm8k' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(UsageError) as caught:
        GSM8K().tasks("train")
    first, second = str(caught.value).split("\n")
    assert "Couldn't reach" in first
    assert second == "A local folder with train.jsonl in it works too."


def test_rows_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda name, config, split: datasets.Dataset.from_list([row(4), {"question": "q", "answer": "3"}]),
    )
    with pytest.raises(UsageError, match="openai/gsm8k, test row 2: the answer should end in"):
        GSM8K().tasks("test")
