import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from goalward.feedback import workers
from goalward.feedback.build import build_grader
from goalward.feedback.grade import recorded
from goalward.feedback.graders import EachRollout
from goalward.feedback.judge import judge
from goalward.feedback.workers import InWorkers, Workers
from goalward.types import Feedback, Group, Rollout, Task

TASK = Task(id="t", messages=(), reference="18")


def act(task: Task, rollout: Rollout) -> float:
    """A grader that does what the answer says."""
    match rollout.text.partition(" "):
        case "sleep", _, _:
            time.sleep(60)
        case "spin", _, _:
            sum(range(10**12))
        case "deaf", _, _:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
        case "exit", _, _:
            os._exit(3)
        case "crash", _, _:
            os.kill(os.getpid(), signal.SIGSEGV)
        case "eat", _, _:
            return float(len(bytearray(1 << 40)))
        case "print", _, _:
            print("noise" * 100_000)
        case "raise", _, what:
            raise ValueError(what)
        case "child", _, file:
            subprocess.Popen(["sh", "-c", f"sleep 3; touch {file}"])
            time.sleep(60)
    return float(rollout.text == task.reference)


def nothing() -> None: ...


@pytest.fixture(scope="module")
def two() -> Iterator[Workers]:
    with Workers(count=2, seconds=1.0) as made:
        yield made


def alone(*texts: str) -> list[Group]:
    return [Group(task=TASK, rollouts=(recorded(text),)) for text in texts]


def graded(two: Workers, *texts: str) -> list[Feedback]:
    return two.judge(EachRollout(act), alone(*texts), nothing)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sleep", "time limit of 1 s"),
        ("spin", "time limit of 1 s"),
        ("deaf", "time limit of 1 s"),
        ("exit", "grading this attempt ended the grading process (exit status 3)"),
        ("crash", "grading this attempt ended the grading process (signal SIGSEGV)"),
        ("eat", "MemoryError"),
        ("raise no digits", "ValueError: no digits (test_workers.py, line "),
    ],
)
def test_one_bad_attempt_costs_itself_alone(two: Workers, text: str, error: str) -> None:
    before, bad, after = graded(two, "18", text, "17")
    assert (before, after) == (Feedback(score=1.0), Feedback(score=0.0))
    assert bad.score is None
    assert bad.error is not None and bad.error.startswith(error)


def test_results_stand_in_order_whatever_happens_between(two: Workers) -> None:
    texts = [("18", "17", "exit", "18")[i % 4] if i % 50 else "sleep" for i in range(200)]
    start = time.monotonic()
    scores = [one.score for one in graded(two, *texts)]
    assert scores == [{"18": 1.0, "17": 0.0}.get(text) for text in texts]
    assert time.monotonic() - start < 4 * 1.0 + 5


def test_what_the_grader_prints_disturbs_nothing(two: Workers) -> None:
    assert [one.score for one in graded(two, "print", "18")] == [0, 1]


def test_the_killed_grader_takes_its_children_along(two: Workers, tmp_path) -> None:
    graded(two, f"child {tmp_path}/alive")
    time.sleep(3)
    assert not (tmp_path / "alive").exists()


def test_a_lost_worker_costs_its_batch_and_is_replaced() -> None:
    with Workers(count=1, seconds=5) as one:
        graded(one, "18")
        killer = threading.Timer(0.5, one.close)
        killer.start()
        (lost,) = graded(one, "sleep")
        assert lost.error is not None and "process was lost" in lost.error
        assert graded(one, "18") == [Feedback(score=1.0)]


def test_a_grader_that_cannot_be_loaded_there_is_an_error_of_each(
    two: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = ModuleType("known_here_alone")
    monkeypatch.setitem(sys.modules, elsewhere.__name__, elsewhere)
    exec("def judge(task, rollout): return 1", vars(elsewhere))
    first, second = two.judge(EachRollout(elsewhere.judge), alone("18", "17"), nothing)
    assert first == second
    assert first.error is not None and "No module named 'known_here_alone'" in first.error


def test_a_grader_that_cannot_be_sent_says_so(two: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "shared", lambda: two)
    (judged,) = judge(alone("18"), InWorkers(EachRollout(lambda task, rollout: 1), nothing))
    assert judged.feedback[0].score is None
    assert judged.feedback[0].error is not None and "pickle" in judged.feedback[0].error
    assert graded(two, "18") == [Feedback(score=1.0)]


def test_workers_end_with_the_program_that_was_killed(tmp_path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_workers import *\n"
        "made = Workers(count=1, seconds=50)\n"
        "graded(made, '18')\n"
        "print(made._workers[0]._process.pid, flush=True)\n"
        "graded(made, 'sleep')\n"
    )
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        worker = int(program.stdout.readline())
        time.sleep(0.5)
        program.kill()
    deadline = time.monotonic() + 5
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(worker)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"  # Z: ended, and nobody has asked how


def test_groups_keep_their_shape(two: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "shared", lambda: two)
    groups = [
        Group(task=TASK, rollouts=tuple(map(recorded, texts)))
        for texts in (["18", "1"], [], ["2", "18", "exit"])
    ]
    judged = judge(groups, InWorkers(EachRollout(act), nothing))
    assert [[one.score for one in group.feedback] for group in judged] == [[1, 0], [], [0, 1, None]]


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("<answer>9**9**9**9</answer>", "18"),
        ("<answer>9^{9^{9^{9^9}}} + x!</answer>", "18"),
        (f"<answer>{'(' * 50}5!{')!' * 50}</answer>", "18"),
        (f"<answer>{'1+' * 500_000}1</answer>", "18"),
        ("<answer>" + r"\frac{" * 100_000 + "</answer>", "18"),
        ("$" * 1_000_000, "18"),
    ],
)
def test_math_outlives_what_never_ends(
    answer: str, reference: str, two: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "shared", lambda: two)
    task = Task(id="t", messages=(), reference=reference)
    group = Group(task=task, rollouts=(recorded("<answer>18</answer>"), recorded(answer), recorded("1")))
    start = time.monotonic()
    (judged,) = judge([group], build_grader("math"))
    good, bad, wrong = judged.feedback
    assert (good.score, wrong.score) == (1.0, 0.0)
    assert bad.score == 0 or bad.error is not None
    assert time.monotonic() - start < 15


def test_a_megabyte_costs_numeric_no_more_than_seconds() -> None:
    for text in (
        "123," * 250_000 + "1234",
        "1 " * 500_000,
        "9" * 1_000_000,
        r"\frac{" * 150_000,
        "1=" * 500_000,
    ):
        group = Group(task=TASK, rollouts=(recorded(text),))
        start = time.monotonic()
        judge([group], build_grader("numeric"))
        assert time.monotonic() - start < 5
