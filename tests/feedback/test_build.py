from pathlib import Path

import pytest

from goalward.errors import UsageError
from goalward.feedback.build import GRADERS, build_grader


def test_every_name_builds() -> None:
    assert {
        "essay",
        "essay_format",
        "essay_answer",
        "strict",
        "numeric",
        "math",
        "gym",
        "random",
    } <= GRADERS.keys()
    for name in GRADERS:
        assert callable(build_grader(name).grade)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"there is no grader 'numerik'; did you mean 'numeric'\?"):
        build_grader("numerik")


def test_a_file_needs_a_function() -> None:
    with pytest.raises(UsageError, match=r"write mine\.py:function"):
        build_grader("mine.py")


def test_missing_file() -> None:
    with pytest.raises(UsageError, match=r"nowhere/mine\.py: no such file"):
        build_grader("nowhere/mine.py:f")


def test_paths_are_looked_for_here_and_then_in_the_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, base = tmp_path / "here", tmp_path / "base"
    here.mkdir()
    base.mkdir()
    monkeypatch.chdir(here)
    (base / "mine.py").write_text("def f(group): ...\ndef g(group): ...\n")
    build_grader("mine.py:g", base)
    with pytest.raises(UsageError, match="no such file"):
        build_grader("mine.py:g")
    (here / "mine.py").write_text("def f(group): ...\n")
    with pytest.raises(UsageError, match="there is no function"):
        build_grader("mine.py:g", base)
