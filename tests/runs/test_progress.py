import io
import math

import pytest
from rich.console import Console

from goalward.runs import progress
from goalward.runs.progress import Bar, Progress


def test_without_a_terminal_there_are_plain_lines_on_stderr_only(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with Progress(3, "grpo") as bar:
        bar.step(1, reward=0.25, accuracy=0.5, tokens_per_second=12345.6)
        bar.step(2, reward=math.nan)
        bar.evaluating(10, 500)
        bar.step(3, accuracy=0.75)
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert lines[0] == "grpo 1/3  reward 0.250  accuracy 50.0%  tok/s 12,346"
    assert lines[1].startswith("grpo 2/3  reward –  accuracy 50.0%  tok/s 12,346  0:0")
    assert lines[1].endswith("left")
    assert lines[2].startswith("grpo 2/3  evaluating 10/500")
    assert lines[3] == "grpo 3/3  reward –  accuracy 75.0%  tok/s 12,346"
    assert "\x1b" not in shown.err


def test_lines_are_rare_but_the_last_state_is_always_told(capsys):
    with Bar("base") as bar:
        for done in range(1, 101):
            bar(done, 100)
    assert capsys.readouterr().err == "base 100/100\n"
    with pytest.raises(ZeroDivisionError), Bar("base") as bar:
        bar(7, 100)
        raise ZeroDivisionError
    assert capsys.readouterr().err == "base 7/100\n"
    with Bar("base"):
        pass
    assert capsys.readouterr().err == ""


def test_at_a_terminal_there_is_a_bar():
    screen = io.StringIO()
    with Progress(3, "grpo", Console(file=screen, force_terminal=True, width=120)) as bar:
        bar.step(1, reward=0.25, accuracy=0.5, tokens_per_second=1000.0)
        bar.step(2, loss=1.5)
    for said in ("grpo", "2/3", "reward 0.250", "loss 1.500", "50.0%", "1,000"):
        assert said in screen.getvalue()
