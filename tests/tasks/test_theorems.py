import json
from pathlib import Path

import pytest

from goalward.errors import UsageError
from goalward.formal.formula import Formula, canonical, is_tautology, parse, truth_table
from goalward.formal.metamath import shipped
from goalward.formal.proof import read_statement
from goalward.recipe import TASKS
from goalward.tasks.theorems import Theorems

SMALL = Theorems(train=600, validation=200)


def statements(tasks):
    return [read_statement(task.question) for task in tasks]


def test_splits_are_theorems_apart_from_each_other_and_from_the_test():
    train, validation, test = (statements(SMALL.tasks(split)) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (600, 200, 687)
    parts = [set(map(canonical, part)) for part in (train, validation, test)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 1487
    assert all(map(is_tautology, train + validation))
    assert max(one.size for one in train) <= 30


def test_splits_of_other_seeds_and_sizes_stay_apart():
    train = {task.question for task in Theorems(train=1500, seed=1).tasks("train")}
    validation = {task.question for seed in (1, 2, 3) for task in Theorems(seed=seed).tasks("validation")}
    assert not train & validation
    assert (
        SMALL.tasks("train")[:100]
        == Theorems(train=100).tasks("train")
        != Theorems(train=100, seed=1).tasks("train")
    )


def test_a_task():
    [task] = [task for task in SMALL.tasks("test") if task.info["label"] == "jcab"]
    assert task.id == "theorems/test/jcab"
    assert task.question == "⊢ p → q ∧ r ↔ (p → q) ∧ (p → r)"
    assert parse(task.info["statement"]) is read_statement(task.question)
    assert TASKS["theorems"] is Theorems


def test_refutables_come_with_a_countermodel_and_theorems_with_none():
    tasks = Theorems(train=300, refutable=0.4).tasks("train")
    wrong = [task for task in tasks if task.info["countermodel"] is not None]
    assert 0.3 < len(wrong) / 300 < 0.5
    for task in tasks:
        statement, model = parse(task.info["statement"]), task.info["countermodel"]
        assert is_tautology(statement) == (model is None)
        if model is not None:
            row = sum(value << k for k, value in enumerate(model.values()))
            assert not truth_table(statement, tuple(model)) >> row & 1
    assert not {canonical(one) for one in statements(tasks)} & {one.statement for one in shipped()}


def in_metamath(one: Formula) -> str:
    if one.op == "atom":
        return dict(zip("pqrstuv", ("ph", "ps", "ch", "th", "ta", "et", "ze"), strict=True))[one.name]
    if not one.parts:
        return {"⊤": "T.", "⊥": "F."}[one.op]
    a, b = map(in_metamath, one.parts)
    spelling = {"→": "->", "∧": "/\\", "∨": "\\/", "↔": "<->"}[one.op]
    return f"-. {a}" if one.negated else f"( {a} {spelling} {b} )"


def test_a_set_mm_of_ones_own_is_read_and_held_out(tmp_path: Path):
    (tmp_path / "set.mm").write_text("a $p |- ( ph -> ( ps -> ( ch -> ps ) ) ) $= ? $.")
    tasks = Theorems(test=str(tmp_path / "set.mm"))
    assert [task.question for task in tasks.tasks("test")] == ["⊢ p → q → r → q"]
    drawn = Theorems(train=20).tasks("train")[0].info["statement"]
    (tmp_path / "set.mm").write_text(f"a $p |- {in_metamath(parse(drawn))} $= ? $.")
    assert tasks.tasks("test")[0].info["statement"] == drawn
    assert drawn not in {
        task.info["statement"] for split in ("train", "validation") for task in tasks.tasks(split)
    }


LEAN = """import Mathlib
open Nat  -- a comment: theorem no : 1 = 2 := by sorry

/- theorem hidden : True := by sorry -/
theorem one_add (a b : ℕ) (h : a = b) :
    a + 1 = b + 1 := by sorry

theorem two : ∃ x : ℕ, let y := x; y = 2 := sorry
"""


def test_lean_files(tmp_path: Path):
    (tmp_path / "mini.lean").write_text(LEAN)
    one, two = Theorems(test=str(tmp_path / "mini.lean")).tasks("test")
    assert one.question == "⊢ theorem one_add (a b : ℕ) (h : a = b) :\n    a + 1 = b + 1"
    assert two.info["statement"] == "theorem two : ∃ x : ℕ, let y := x; y = 2"
    assert one.info["header"] == two.info["header"] == "import Mathlib\nopen Nat"
    assert two.id == "theorems/test/two"


def test_lean_rows(tmp_path: Path):
    rows = [
        {
            "name": "a",
            "split": "test",
            "header": "import Mathlib\n",
            "formal_statement": "theorem x : 1 = 1 := by\n",
        },
        {"name": "b", "split": "valid", "formal_statement": "theorem y : 2 = 2 := by sorry"},
        {"formal_statement": "import Mathlib\ntheorem z : 3 = 3 := by sorry"},
    ]
    path = tmp_path / "minif2f.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, three = Theorems(test=str(path)).tasks("test")
    assert (one.id, one.info["statement"]) == ("theorems/test/a", "theorem x : 1 = 1")
    assert one.info["header"] == three.info["header"] == "import Mathlib"
    assert three.question == "⊢ theorem z : 3 = 3"


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.lean", "def x := 1", "no line starts with `theorem NAME`"),
        ("b.lean", "theorem x : 1 = 1 := rfl", "theorem x: the statement should end in"),
        ("c.jsonl", '{"formal_statement": "x"}', "line 1: `formal_statement` is not a text"),
        ("d.jsonl", '{"statement": "x"}', "line 1: `formal_statement` is not a text"),
        ("e.mm", "x", "no Metamath database"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, name: str, text: str, what: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=what):
        Theorems(test=str(tmp_path / name)).tasks("test")


def test_no_such_file(tmp_path: Path):
    with pytest.raises(UsageError, match=r"a\.lean: cannot be read"):
        Theorems(test=str(tmp_path / "a.lean")).tasks("test")


@pytest.mark.parametrize(
    ("knobs", "what"),
    [
        ({"train": 0}, r"theorems\.train = 0"),
        ({"validation": -1}, r"theorems\.validation"),
        ({"refutable": 1.5}, "it is a share"),
        ({"largest": 3}, r"theorems\.largest"),
    ],
)
def test_knobs_that_make_no_sense(knobs, what):
    with pytest.raises(UsageError, match=what):
        Theorems(**knobs)


def test_unknown_split():
    with pytest.raises(UsageError, match="split"):
        SMALL.tasks("tset")
