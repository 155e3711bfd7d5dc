"""Checkpoints: a model in Hugging Face's format beside the trainer's state, whole or not there at all."""

import os
import pickle
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from goalward.errors import GoalwardError

_NAME = re.compile(r"step-(\d+)")
_UNFINISHED = ".unfinished-"
"""What the names of folders begin with that are being written or deleted."""


def save(
    run_dir: Path,
    step: int,
    write: Callable[[Path], None],
    state: Mapping[str, Any],
    keep: int = 2,
    spare: int | None = None,
) -> Path:
    """Write `run_dir`/checkpoints/step-`step` and delete the oldest ones beyond `keep`, but not step-`spare`.

    `write` puts the model and tokenizer into the folder it is given; `state` is what the trainer
    needs to go on, of tensors, numbers, strings, lists and dicts only (it is loaded without running
    any code of its own). All of it reaches the disk before the folder gets its name, so a kill or a
    power cut leaves either the whole checkpoint or none, and the older ones stand until then. A step
    that has its checkpoint keeps it: the same recipe gives the same one again.

    Raises:
        GoalwardError: the disk is full or the like; what stood before stands untouched.
    """
    root = run_dir / "checkpoints"
    target = of_step(run_dir, step)
    scratch = root / f"{_UNFINISHED}step-{step}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        if not target.exists():
            scratch.mkdir()
            write(scratch)
            with (scratch / "trainer.pt").open("wb") as file:
                torch.save(dict(state), file)
            for path in [*scratch.rglob("*"), scratch]:
                _flush(path)
            scratch.rename(target)
            _flush(root)
        for old in _checkpoints(root)[: -max(keep, 1)]:
            if step_of(old) == spare:
                continue
            # Renamed first: a half-deleted checkpoint must not look like one.
            gone = old.rename(root / f"{_UNFINISHED}{old.name}")
            shutil.rmtree(gone)
    except (OSError, SafetensorError, RuntimeError) as error:
        shutil.rmtree(scratch, ignore_errors=True)
        # Where writing fails, torch fails once more closing its archive, and that hides the first error.
        cause = error.__context__ if isinstance(error, RuntimeError) else error
        if not isinstance(cause, OSError | SafetensorError):
            raise
        reason = (cause.strerror if isinstance(cause, OSError) else None) or str(cause)
        raise GoalwardError(f"{target}: the checkpoint cannot be written: {reason}") from error
    return target


def latest(run_dir: Path) -> Path | None:
    """The newest whole checkpoint, or None. Reads only, so it may be called while another process trains."""
    checkpoints = _checkpoints(run_dir / "checkpoints")
    return checkpoints[-1] if checkpoints else None


def of_step(run_dir: Path, step: int) -> Path:
    """Where the checkpoint of a step is, if there is one."""
    return run_dir / "checkpoints" / f"step-{step}"


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint's folder is named after."""
    return int(checkpoint.name.removeprefix("step-"))


def load_state(checkpoint: Path) -> dict[str, Any]:
    """The trainer's state as `save` got it, on the CPU.

    Raises:
        GoalwardError: the file is missing or damaged.
    """
    path = checkpoint / "trainer.pt"
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:  # torch's ways to say: damaged
        reason = (error.strerror if isinstance(error, OSError) else None) or "the file is damaged"
        raise GoalwardError(
            f"{path}: cannot be read: {reason}; delete {checkpoint} to resume before it"
        ) from error
    return state


def _checkpoints(root: Path) -> list[Path]:
    """Whole checkpoints, oldest first."""
    if not root.is_dir():
        return []
    return sorted((path for path in root.iterdir() if _NAME.fullmatch(path.name)), key=step_of)


def _sweep(root: Path) -> None:
    """Delete what a killed process left half written or half deleted."""
    for path in root.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
