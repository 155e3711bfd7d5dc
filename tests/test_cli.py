"""The command line: what people see when it works, and when they or the machine make a mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from goalward import cli

RECIPE = """
name = "mine"
[task]
name = "rows"
[sampling]
max_tokens = 6
[experience]
prompts = 2
group_size = 3
steps = 4
[checkpoint]
every = 1
[reward]
answer = "grader.py:right"
"""

GRADER = "def right(task, rollout):\n    return float(rollout.text < 'm')\n"


@pytest.fixture
def goalward(monkeypatch, capsys):
    """`goalward(*arguments)`: run the command in this process; returns (exit status, stdout, stderr)."""

    def goalward(*arguments):
        monkeypatch.setattr(sys, "argv", ["goalward", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as exit_:
            status = exit_.code
        told = capsys.readouterr()
        return status, told.out, told.err

    return goalward


@pytest.fixture
def project(tmp_path: Path, tiny_model, monkeypatch):
    """A folder with a recipe, its data, its grader and a model, as the working directory."""
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": f"say {n}", "reference": "a"} for n in range(500)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "grader.py").write_text(GRADER)
    (tmp_path / "mine.toml").write_text(RECIPE)
    return ["mine.toml", f"model={tiny_model('qwen2')}", "task.train=rows.jsonl", "run=out"]


def plainly(told: tuple[int, str, str], status: int, *words: str) -> None:
    found, _, err = told
    message = err[err.index("goalward: ") :]
    assert found == status, err
    assert message.count("\n") <= 2, message
    assert "Traceback" not in err
    for word in words:
        assert word in message, message


def test_help_shows_every_command_with_an_example(goalward):
    status, out, _ = goalward("--help")
    commands = re.findall(r"^. (\w+) ", out, re.M)
    assert status == 0
    assert {"demo", "train", "preflight", "evaluate", "compare", "grade", "chat"} <= set(commands)
    for command in commands:
        assert "Example: goalward" in goalward(command, "--help")[1]


def test_help_does_not_load_torch():
    code = "import sys; sys.argv = ['goalward', '--help']; from goalward.cli import app; app(standalone_mode=False)"
    check = f"{code}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, check=False).returncode == 0


def test_train_then_compare(goalward, project):
    status, out, err = goalward("train", *project, "evaluation.test.split=train", "evaluation.test.size=5")
    assert status == 0, err
    assert "Report: out/report.md" in out
    status, out, _ = goalward("compare", "out", "--json")
    assert status == 0
    assert json.loads(out)[0]["questions"] == 5
    assert goalward("compare", "out", "--chart", "chart.png")[0] == 0
    assert Path("chart.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_a_finished_run(goalward, project):
    assert goalward("train", *project)[0] == 0
    asked = ["--task", "rows", "--split", "train", "task.train=rows.jsonl", "evaluation.size=4"]
    status, out, err = goalward(
        "evaluate", "out", *asked, "evaluation.max_tokens=5", "--json", "--output", "e.json"
    )
    assert status == 0, err
    assert json.loads(out)["questions"] == 4
    assert len(json.loads(Path("e.json").read_text())["records"]) == 4


def test_preflight(goalward, project):
    exact = "def right(task, rollout):\n    return float(rollout.text == task.reference)\n"
    Path("grader.py").write_text(exact)
    status, out, err = goalward("preflight", *project, "reward.form=tags", "--json")
    assert status == 1  # a random model never says "a" alone, nor writes tags
    assert "nothing to learn from" in err
    (found,) = json.loads(out)
    assert found["grader"]["kinds"]["reference"]["count"] == 200
    assert found["seconds"] > 0
    assert not Path("out").exists()
    Path("grader.py").write_text("def right(task, rollout):\n    return 1.0\n")
    plainly(goalward("preflight", *project), 1, "answers score as high as the right ones")


def test_grade(goalward, tmp_path):
    rows = [{"response": "so 4", "reference": "4"}, {"response": "so 5", "reference": "4"}]
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, out, _ = goalward("grade", tmp_path / "said.jsonl", "--json")
    assert (status, json.loads(out)["correct"]) == (0, 1)
    assert "1 of 2 correct" in goalward("grade", tmp_path / "said.jsonl")[1]


def test_chat(goalward, monkeypatch, tiny_model):
    asked = iter(["hello", ""])
    monkeypatch.setattr("builtins.input", lambda *_: next(asked))
    assert goalward("chat", tiny_model("qwen2"), "--max-tokens", "4")[0] == 0


@pytest.mark.parametrize(
    ("overrides", "status", "words"),
    [
        (["model=./nowhere"], 2, ["./nowhere", "no such folder"]),
        (["task.train=gone.jsonl"], 2, ["gone.jsonl"]),
        (["task.prompt_column=promt"], 2, ["rows.jsonl, line 1", "'promt'", "did you mean 'prompt'?"]),
        (["experience.gruop_size=4"], 2, ["mine.toml: experience.gruop_size", "did you mean 'group_size'?"]),
        (["experience.group_size=1"], 2, ["experience.group_size", "at least 2"]),
        (["reward.answer=grader.py:wrong"], 2, ["grader.py", "'wrong'"]),
        (["task=word_problem"], 2, ["did you mean 'word_problems'?"]),
    ],
)
def test_bad_requests_are_refused_plainly(goalward, project, overrides, status, words):
    plainly(goalward("train", *project, *overrides), status, *words)
    assert not Path("out/metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", ["rows.jsonl", "no row"]),
        (
            '{"prompt": "x", "reference": "1"}\n' * 416 + '{"prompt": "x", \n',
            ["rows.jsonl, line 417", "JSON"],
        ),
        (
            '{"prompt": "x", "reference": "1"}\n' * 416 + '{"prompt": "x"}\n',
            ["rows.jsonl, line 417", "reference"],
        ),
        ('{"prompt": "x", "reference": "1"}\n' * 416 + "[1, 2]\n", ["rows.jsonl, line 417", "object"]),
    ],
)
def test_bad_data_is_named_with_its_line(goalward, project, data, words):
    Path("rows.jsonl").write_text(data)
    plainly(goalward("train", *project), 2, *words)


@pytest.mark.parametrize(
    ("grader", "words"),
    [
        ("def right(task, rollout):\n    return 1 / 0\n", ["ZeroDivisionError"]),
        ("def right(task, rollout):\n    return float('nan')\n", ["nan"]),
        ("def right(group):\n    return [1.0]\n", ["1", "3"]),
    ],
)
def test_a_grader_that_fails_stops_the_run_and_loses_nothing(goalward, project, grader, words):
    assert goalward("train", *project, "experience.steps=2")[0] == 0
    before = Path("out/metrics.jsonl").read_text()
    Path("grader.py").write_text(grader)
    told = goalward("train", *project, "run=other")
    plainly(told, 1, *words)
    assert Path("out/metrics.jsonl").read_text() == before


def test_a_full_disk_loses_nothing(project):
    # No file may grow beyond 60 kB, as on a disk that is full; the rows fit, the checkpoint does not.
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
        "from goalward.cli import main; sys.argv = ['goalward', 'train', *sys.argv[1:]]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *project], capture_output=True, text=True, check=False)
    plainly((done.returncode, done.stdout, done.stderr), 1, "out/checkpoints/step-1", "cannot be written")
    assert len(Path("out/metrics.jsonl").read_text().splitlines()) == 1
    assert not list(Path("out/checkpoints").iterdir())


def test_another_recipe_does_not_write_over_a_run(goalward, project):
    assert goalward("train", *project, "experience.steps=1")[0] == 0
    plainly(goalward("train", *project, "experience.steps=1", "seed=3"), 2, "out", "another recipe")


def test_log_says_what_there_is_to_learn_from(goalward, tmp_path: Path):
    path = tmp_path / "log.jsonl"
    rows = [{"prompt": "p", "response": r, "reward": s} for r, s in (("a", 1), ("b", 0))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, out, _ = goalward("log", path, "--json")
    assert status == 0
    found = json.loads(out)
    assert (found["rows"], found["tasks"], found["spread"], found["mean"]) == (2, 1, 1, 0.5)
    assert "0.500" in goalward("log", path)[1]
    path.write_text(path.read_text() + '{"prompt": "p", "respon')
    plainly(goalward("log", path), 2, f"{path}, line 3", "cut off")


def test_prove_says_what_it_found(goalward):
    status, out, _ = goalward("prove", "p /\\ q -> q /\\ p", "--json")
    found = json.loads(out)
    assert (status, found["verdict"], found["kernel"]) == (0, "proved", True)
    assert found["claim"] == "∀ (p q : Prop), And p q → And q p"
    assert found["lean"].startswith(("ok", "not asked"))
    status, out, _ = goalward("prove", "p → q")
    assert status == 0
    assert "is false: p = True, q = False" in out
    plainly(goalward("prove", "p ∧"), 2, "not a formula", "column 4")
    plainly(goalward("prove", "((p → q) → p) → p", "--budget", "3"), 1, "no proof was found")


def test_prove_draws_its_search(goalward, tmp_path):
    tree = tmp_path / "tree.svg"
    status, _, err = goalward("prove", "p ∧ q → q ∧ p", "--tree", str(tree))
    assert status == 0
    assert re.search(r"tree.svg: all \d+ goals", err)
    assert tree.read_text(encoding="utf-8").startswith("<?xml")
    plainly(goalward("prove", "p → p", "--tree", "tree.pdf"), 2, "tree.pdf", ".json, .svg, .png")
    _, _, err = goalward("prove", "p → q", "--tree", str(tmp_path / "none.png"))
    assert "nothing is searched" in err
    assert not (tmp_path / "none.png").exists()


def test_prove_practises_with_a_model(goalward):
    status, out, err = goalward(
        *("prove", "(p → q) → p → q ∧ p", "--model", "new:prover"),
        *("--budget", "1", "--practise", "1", "--json"),
    )
    found = json.loads(out)
    assert "round 1: " in err
    assert found["rounds"] == 1
    assert found["expansions"] > 2
    assert status == (found["verdict"] != "proved")
