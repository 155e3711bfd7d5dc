"""The benchmarks of speed run, at sizes whose figures mean nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, FOLDER / script, *arguments, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_generate():
    found = run("generate.py", "--sequences", "8", "--repeats", "1")
    (result,) = found["results"]
    assert result["sequences"] == 8
    assert set(result["tokens_per_second"]) == {"growing cache", "static cache", "goalward"}
    assert 0 < result["roofline"] < 1
    speeds = result["tokens_per_second"]
    assert result["ratio"] == pytest.approx(speeds["goalward"] / speeds[result["fastest"]])


def test_linear():
    found = run("linear.py", "--completions", "8", "16", "--repeats", "1", "--steps", "2")
    assert set(found["completions"]) == {"8", "16"}
    assert all(value > 0 for value in found["completions"]["16"].values())


def test_h100_on_a_cpu():
    sizes = ("--sequences", "4", "8", "--repeats", "1")
    found = run("h100.py", "--shapes", "tiny", "--device", "cpu", *sizes)
    (result,) = found["results"]
    assert set(result["tokens_per_second"]) == {"4", "8"}
    assert 0 < result["share_of_peak"] < 1
    seconds = result["write_seconds"] + result["learn_seconds"]
    assert result["epoch_minutes"] == pytest.approx(seconds * 7473 * 4 / 16 / 60, rel=0.3)
