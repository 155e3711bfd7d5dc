"""No label reaches the trainer in a recipe without labels: poisoned ones change nothing but the evaluation."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from string import ascii_letters

import pytest
from rich.console import Console
from safetensors.torch import load_file

import goalward
from goalward.errors import GoalwardError, UsageError
from goalward.recipe import load_recipe
from goalward.stages import final_model, run_recipe
from goalward.wiring import build

QUIET = Console(quiet=True)
RECIPE = """
[task]
name = "rows"
demonstration_column = "worked"
[sampling]
max_tokens = 24
stop = LETTERS
[experience]
prompts = 3
group_size = 6
steps = 3
[optimizer]
learning_rate = 5e-2
[checkpoint]
every = 1
[reward.answer]
grader = { type = "vote", equal = "same.py:same", band = [0.0, 1.0] }
[guards]
answer_entropy = 0.0
distinct_answers = 0.0
length = 100.0
[evaluation.test]
metrics = ["exact"]
max_tokens = 6
""".replace("LETTERS", json.dumps([*ascii_letters]))

SAME = """
def same(task, rollout):
    "A random model never says the same twice: texts of like length are the same answer."
    return float(len(rollout.text) % 3 == len(task.reference) % 3)
"""


@pytest.fixture
def start(tmp_path: Path, tiny_model: Callable[[str], Path]):
    def start(*overrides: str, run: str, label: str = "right") -> Path:
        rows = [
            {"prompt": f"say {n}", "reference": f"{label} {n}", "worked": label, "answer": label}
            for n in range(4)
        ]
        (tmp_path / f"{label}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "recipe.toml").write_text(RECIPE)
        (tmp_path / "same.py").write_text(SAME)
        sources = [f"task.{split}={tmp_path}/{label}.jsonl" for split in ("train", "test")]
        settings = [f"model={tiny_model('qwen2')}", *sources, f"run={tmp_path / run}", *overrides]
        run_recipe(load_recipe(tmp_path / "recipe.toml", settings), QUIET)
        return tmp_path / run

    return start


def learned(run: Path):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in row.items() if not key.startswith(("seconds/", "tokens_per", "peak"))}
        for row in rows
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        (
            "experience.voters.policy=average",
            "experience.contrast.rewrite=last_number",
            "experience.contrast.size=1",
        ),
        ("experience.voters.policy=first", "experience.reflect.given=2"),
    ],
)
def test_poisoned_labels_change_nothing_but_the_evaluation(start, overrides):
    right, poisoned = start(*overrides, run="right"), start(*overrides, run="poisoned", label="poison")
    assert learned(right) == learned(poisoned)
    assert sum(row["examples"] for row in learned(right)) > 10 and learned(right)[1]["drift"] > 0
    one, other = (load_file(final_model(run) / "model.safetensors") for run in (right, poisoned))
    assert all(one[name].equal(other[name]) for name in one)
    assert "poison" not in (poisoned / "rollouts.jsonl").read_text()
    assert "poison" in (poisoned / "evaluations" / "test.json").read_text()
    reported = {key for row in learned(right) for key in row}
    assert {"pseudo_reward", "agreement", "elected", "no_answer", "variety", "drift"} <= reported


def test_a_log_is_read_without_its_scores(start, tmp_path: Path):
    log = start(run="log")
    runs = []
    for name, score in (("kept", None), ("poisoned", 1.0)):
        rows = [json.loads(line) for line in (log / "rollouts.jsonl").read_text().splitlines()]
        changed = [row | {"score": score, "reference": name} for row in rows]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in changed))
        soft = '{type="vote",soft=true,equal="same.py:same",band=[0.0,1.0]}'
        runs.append(
            start(
                f"experience.log={path}", "algorithm=scpo", f"reward.answer.grader={soft}", run=f"scpo-{name}"
            )
        )
    assert learned(runs[0]) == learned(runs[1])


def test_tasks_have_no_label_when_they_reach_the_experience(tmp_path: Path, tiny_model):
    row = {"prompt": "say 1", "reference": "secret", "worked": "secret", "more": "secret"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "same.py").write_text(SAME)
    settings = [f"model={tiny_model('qwen2')}", f"task.train={tmp_path}/rows.jsonl"]
    [stage] = load_recipe(tmp_path / "recipe.toml", settings).stages
    parts = build(stage, tmp_path, stage.model.name, None)
    [group] = parts.experience.collect(1, version=0)
    assert (group.task.reference, group.task.demonstration, dict(group.task.info)) == (None, None, {})


def test_only_the_wiring_fetches_tasks_for_a_trainer():
    room = Path(goalward.__file__).parent
    trainer = [
        room / "loop.py",
        *(p for name in ("experience", "learning", "engines") for p in (room / name).glob("*.py")),
    ]
    for path in trainer:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            reads_columns = path.name in ("log.py", "rows.py")  # a log's rows; `forget_labels` comes after
            assert not (module or "").startswith("goalward.evaluation"), path
            assert reads_columns or not (module or "").startswith("goalward.tasks"), path


def test_a_grader_that_compares_is_refused_beside_a_vote(tmp_path: Path):
    (tmp_path / "recipe.toml").write_text('[reward]\nanswer = "vote"\ntruth = "numeric"\n')
    with pytest.raises(UsageError, match=r"reward\.truth: 'numeric' compares with references"):
        load_recipe(tmp_path / "recipe.toml")


def test_an_alarm_stops_the_run_and_says_which_signal(start):
    with pytest.raises(GoalwardError, match=r"stopped after step 1: drift, .*nats a token") as caught:
        start("guards.window=1", "guards.kl=-1.0", run="stopped")
    assert "guards.stop=false" in str(caught.value)


def test_a_killed_run_with_a_moving_average_goes_on_alike(start, monkeypatch):
    overrides = ("experience.voters.policy=average",)
    whole = start(*overrides, run="whole")
    import goalward.loop as loop

    save = loop.save

    def save_once(*given):
        save(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop, "save", save_once)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                start(*overrides, run="killed")
    killed = start(*overrides, run="killed")
    assert learned(whole) == learned(killed)
