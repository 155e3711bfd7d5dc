"""Killed at any instant, a run goes on to the very same end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

NURSERY = Path(__file__).with_name("nursery.py")
CLOCKS = ("seconds", "tokens_per_second", "peak_memory")
KILLS = 20

RECIPE = """
task = "rows"
[evaluation.train]
split = "train"
max_tokens = 6
[sampling]
max_tokens = 6
[experience]
prompts = 3
group_size = 4
epochs = 12.0
[optimizer]
learning_rate = 1e-2
schedule = "cosine"
[checkpoint]
every = 2
[reward]
answer = "random"
[stages.sft]
algorithm = "sft"
validation = {split = "train", max_tokens = 6, every = 3, best = true, metrics = ["mine.py:same"]}
[stages.grpo]
start = "sft"
learner.minibatches = 2
algorithm = {name = "grpo", beta = 0.05}
[stages.comparison]
do = "compare"
"""


@pytest.fixture
def nurse(tmp_path: Path, tiny_model):
    rows = [{"prompt": f"say {n}", "reference": "a", "said": "aaaa"} for n in range(7)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "mine.py").write_text("def same(task, rollout):\n    return rollout.text == 'aaaa'\n")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    settings = [
        f"model={tiny_model('qwen2')}",
        f"task.train={tmp_path}/rows.jsonl",
        "task.demonstration_column=said",
    ]

    def nurse(run: str, kills: int):
        command = [
            sys.executable,
            NURSERY,
            tmp_path / "recipe.toml",
            kills,
            tmp_path / run,
            *settings,
        ]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
        return tmp_path / run, json.loads(done.stdout.splitlines()[-1])

    return nurse


def rows(path: Path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if not key.startswith(CLOCKS)} for row in lines]


def test_twenty_kills_change_nothing(nurse):
    whole, told = nurse("whole", kills=0)
    assert told["status"] == 0
    broken, told = nurse("broken", kills=KILLS)
    assert told["status"] == 0
    assert len(told["rows"]) == KILLS
    assert len(set(told["rows"])) > KILLS / 3  # they fell all along the way
    for stage in ("sft", "grpo"):
        assert len(rows(whole / stage / "metrics.jsonl")) == 28
        for name in ("metrics.jsonl", "rollouts.jsonl"):
            assert rows(broken / stage / name) == rows(whole / stage / name)
        for name in ("evaluations/train.json", "result.json"):
            assert (broken / stage / name).read_text().replace("broken", "whole") == (
                whole / stage / name
            ).read_text()
        weights = Path("checkpoints/step-28/model.safetensors")
        ours, theirs = load_file(broken / stage / weights), load_file(whole / stage / weights)
        assert all(ours[key].equal(theirs[key]) for key in theirs)
    chosen = json.loads((whole / "sft" / "result.json").read_text())
    assert [step for step, _ in chosen["validated"]] == [*range(0, 28, 3), 28]
    assert len({accuracy for _, accuracy in chosen["validated"]}) > 1  # so that there was something to choose
    assert not list(broken.rglob(".unfinished*"))
