"""The study of stitched solutions: by hand on a problem of ours, and on the published ones where they are at hand."""

import json
from pathlib import Path

import pytest

from goalward.benches.stitch_gsm8k import example, graft, halves, merge, read_problems
from goalward.errors import UsageError

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "gsm8k_model_solutions"


def row(*solutions: tuple[str, bool], truth: str = "A: 7") -> dict[str, object]:
    names = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    texts = [*solutions, *[("A: 0", False)] * (4 - len(solutions))]
    return {"question": "How many?", "ground_truth": truth} | {
        name: {"solution": text, "is_correct": right}
        for name, (text, right) in zip(names, texts, strict=True)
    }


def write(folder: Path, *rows: object) -> Path:
    (folder / "solutions.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    return folder


def test_a_failed_beginning_and_a_right_end(tmp_path: Path):
    failed = "3*2=<<3*2=6>>6\n6+2=<<6+2=8>>8\nA: 8", False
    right = "2*3=<<2*3=6>>6\n6+1=<<6+1=7>>7\nA: 7", True
    problems = read_problems(write(tmp_path, row(failed, right)))
    found = merge(problems)
    # 3*2 with 6+1 is new and right and begins with the failed one; 2*3 with 6+2 is new and wrong.
    assert (found.logged, found.new, found.right, found.failed, found.solved) == (1, 2, 1, 1, 1)
    shown = example(problems)
    assert shown is not None
    _, stitched, begun, end = shown
    assert stitched.pieces == [(("6b_finetuning", 0), 1), (("6b_verification", 1), 1)]
    assert (begun.correct, end.correct) == (False, True)


def test_a_join_whose_equations_do_not_hold_is_not_right(tmp_path: Path):
    wrong = "3*2=<<3*3=6>>6\n6+2=<<6+2=8>>8\nA: 8", False
    right = "2*3=<<2*3=6>>6\n6+1=<<6+1=7>>7\nA: 7", True
    found = merge(read_problems(write(tmp_path, row(wrong, right))))
    assert (found.new, found.right) == (2, 0)


def test_a_graft_reaches_what_no_solution_did(tmp_path: Path):
    host = "2*2=<<2*2=4>>4\n4+1=<<4+1=5>>5\nA: 5", False
    donor = "2*3=<<2*3=6>>6\n6-2=<<6-2=4>>4\nA: 4", False
    found = graft(read_problems(write(tmp_path, row(host, donor))))
    assert (found.unsolved, found.reached) == (1, 1)  # 6 in place of 4 gives 7
    assert found.held == found.equations > 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"question": "q"}], "line 1: there is no text 'ground_truth'"),
        ([row(), row(truth="A: none")], "line 2: the ground truth has no number"),
        ([{**row(), "6b_finetuning": "text"}], "line 1: '6b_finetuning' should have a text 'solution'"),
        ([], "there are no rows"),
    ],
)
def test_bad_data_is_named(tmp_path: Path, rows, message):
    with pytest.raises(UsageError, match=message):
        read_problems(write(tmp_path, *rows))


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published solutions are not at hand")
def test_the_published_solutions_give_the_known_counts():
    problems = read_problems(PUBLISHED)
    assert (len(problems), sum(not problem.solved for problem in problems)) == (1319, 432)
    assert sum(not e.holds for p in problems for w in p.solutions for e in w.equations) < 92
    found = merge(problems)
    assert found.logged == 1413
    assert found.right >= 800
    assert found.failed > found.right / 4
    assert [len(half) for half in halves(problems)] == [659, 660]
