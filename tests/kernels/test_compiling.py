import ctypes
import os
import stat
import subprocess
import warnings
from pathlib import Path

import pytest

from goalward.kernels import build


@pytest.fixture
def apart(tmp_path, monkeypatch):
    """A cache of its own, and nothing remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "load", build.load.__wrapped__)
    return tmp_path / "goalward" / "kernels"


needs_compiler = pytest.mark.skipif(build.find_compiler() is None, reason="there is no C++ compiler")


@needs_compiler
def test_it_is_compiled_once(apart, monkeypatch):
    library = build.load("forward")
    library.panel_width.restype = ctypes.c_int64
    assert library.panel_width() % library.vector_lanes() == 0
    (made,) = apart.iterdir()
    assert stat.S_IMODE(apart.stat().st_mode) == 0o700

    def never(*_, **__):
        raise AssertionError("compiled again")

    monkeypatch.setattr(subprocess, "run", never)
    assert build.load("forward") is not None
    assert list(apart.iterdir()) == [made]


def test_without_a_compiler_there_is_nothing_and_no_complaint(apart, monkeypatch):
    monkeypatch.setenv("CXX", "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert build.load("forward") is None
    assert not apart.exists()


def test_a_compiler_that_fails_is_named_with_what_it_said(apart, tmp_path, monkeypatch):
    broken = tmp_path / "broken-c++"
    broken.write_text("#!/bin/sh\necho 'unknown flag: -march=native' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.warns(UserWarning, match=r"broken-c\+\+ cannot compile .*forward.cpp.*unknown flag"):
        assert build.load("forward") is None
    assert list(apart.iterdir()) == []  # nothing half made


@needs_compiler
def test_other_text_is_compiled_anew(apart, tmp_path, monkeypatch):
    here = tmp_path / "kernels"
    here.mkdir()
    (here / "one.h").write_text("#define ANSWER 1\n")
    (here / "say.cpp").write_text('#include "one.h"\nextern "C" int say() { return ANSWER; }\n')
    monkeypatch.setattr(build, "_HERE", here)
    assert build.load("say").say() == 1
    (here / "one.h").write_text("#define ANSWER 2\n")
    assert build.load("say").say() == 2


@needs_compiler
def test_a_folder_of_someone_else_is_not_trusted(apart, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    library = build.load("forward")
    assert library is not None
    assert not apart.exists() or list(apart.iterdir()) == []
    assert Path(library._name).parent != apart
