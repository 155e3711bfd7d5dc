"""The relay benchmark in the small: one seed, and what separates imitation from stitching."""

import json

import pytest
from typer.testing import CliRunner

from goalward.benches.relay import NAMES, chosen, modes, trial, value_gaps
from goalward.cli import app
from goalward.errors import UsageError
from goalward.tasks.relay import Relay


def test_imitation_stays_under_its_ceiling_and_stitching_does_not():
    found = trial(1, "history", ["imitation", "filtered imitation", "soft-stitch"])
    assert found.success["imitation"] <= Relay().ceiling
    assert found.success["filtered imitation"] <= Relay().ceiling
    assert found.success["soft-stitch"] > 0.9
    assert found.new > 0.01
    own, chance = value_gaps(found)
    assert own < 0.05
    assert own < chance


def test_offline_rl_joins_what_the_log_never_did():
    found = trial(1, "markov", ["OREO", "IQL, extraction", "IQL, perturbed decoding"])
    assert found.success["OREO"] > 0.7
    assert found.success["IQL, extraction"] > 0.7
    assert found.success["IQL, perturbed decoding"] > 0.7


def test_names():
    assert chosen(None) == NAMES
    assert chosen(["hard stitch", "imitation"]) == ["imitation", "hard stitch"]
    with pytest.raises(UsageError, match="did you mean 'soft-stitch'"):
        chosen(["softstitch"])
    with pytest.raises(UsageError, match="there is no way to see"):
        modes("dark")


def test_the_command_prints_json():
    found = CliRunner().invoke(
        app,
        [
            "bench",
            "relay",
            "--seeds",
            "1",
            "--sees",
            "markov",
            "--method",
            "imitation",
            "--workers",
            "1",
            "--json",
        ],
    )
    assert found.exit_code == 0, found.output
    [row] = json.loads(found.stdout)
    assert row["success"].keys() == {"imitation"}
