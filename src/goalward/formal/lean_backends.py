"""Lean itself, as a command: the user's own toolchain, or the one in the `lean` extra."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from goalward.errors import GoalwardError, UsageError
from goalward.formal.lean_source import Message

CORE_AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})
"""What a proof in core Lean and Mathlib may rest on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How one file went: whether Lean came to its end, what it said until then, and by what it was stopped."""

    ended: Literal["done", "timeout", "crash"]
    messages: tuple[Message, ...]
    note: str
    seconds: float


_STEP = 0.05  # seconds
_VERSION_WITHIN = 60.0  # seconds: a toolchain may first have to be fetched


class Backend(Protocol):
    """A way to have a file checked. Threads may share it.

    version: who gives the verdicts; axioms: what proofs may rest on; workers: files that it
    takes at one time.
    """

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def axioms(self) -> frozenset[str]: ...  # noqa: D102

    @property
    def workers(self) -> int: ...  # noqa: D102

    def run(self, source: str, seconds: float) -> Ran:
        """Check a file, to which the backend adds its header, within `seconds` by the clock."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeanCli:
    """`lean --stdin --json`, a process for each file.

    command: the program and its first arguments ("lake", "env", "lean"); header: what the file starts with; folder:
    where the command runs, a Lake project for example; memory_mb: address space of the process; cpu: seconds of
    processor time for one second by the clock.
    """

    command: tuple[str, ...]
    header: str
    version: str = "Lean"
    axioms: frozenset[str] = CORE_AXIOMS
    options: tuple[str, ...] = ()
    folder: Path | None = None
    memory_mb: int = 4096
    cpu: float = 4.0
    workers: int = 1

    def ask_version(self) -> str:
        """What the command says of itself: "Lean 4.35.0". Raises UsageError where it is no Lean."""
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as said,
            tempfile.TemporaryFile() as noise,
        ):
            _run([*self.command, "--version"], self, _VERSION_WITHIN, (given, said, noise))
            said.seek(0)
            match = re.search(r"version (\S+?),", said.read().decode(errors="replace"))
            noise.seek(0)
            problem = " ".join(noise.read()[-300:].decode(errors="replace").split())
        if match is None:
            raise UsageError(f"{' '.join(self.command)} --version: not what Lean answers. {problem}".strip())
        return f"Lean {match[1]}"

    def run(self, source: str, seconds: float) -> Ran:
        """See Backend."""
        began = time.monotonic()
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as said,
            tempfile.TemporaryFile() as noise,
        ):
            given.write(f"{self.header}\n{source}".encode())
            given.seek(0)
            status, late = _run(
                [*self.command, *self.options, "--stdin", "--json"], self, seconds, (given, said, noise)
            )
            said.seek(0)
            messages = tuple(read_messages(said))
            noise.seek(0)
            last = noise.read()[-2000:].decode(errors="replace").strip().splitlines()
        ended: Literal["done", "timeout", "crash"]
        # 0: all is well, 1: there are errors. What else ends Lean is no verdict on anything.
        ended = "timeout" if late else "done" if status in (0, 1) else "crash"
        note = f"no end within {seconds:g} s" if late else _how(status, last)
        return Ran(ended=ended, messages=messages, note=note, seconds=time.monotonic() - began)


def _run(
    words: Sequence[str], cli: LeanCli, seconds: float, streams: tuple[IO[bytes], IO[bytes], IO[bytes]]
) -> tuple[int, bool]:
    """The exit status, and whether the time was over. Whatever the command started is gone afterwards."""
    given, said, noise = streams
    limits = [str(cli.memory_mb << 20), str(int(cli.cpu * seconds) + 5)]
    main = Path(__file__).with_name("lean_main.py")
    try:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter, then the user's command)
            [sys.executable, "-I", "-S", str(main), *limits, *words],
            stdin=given,
            stdout=said,
            stderr=noise,
            cwd=cli.folder,
            start_new_session=True,
            env=os.environ | {"MIMALLOC_ARENA_RESERVE": "65536"},  # kB of address space at a time
        )
    except OSError as error:
        raise GoalwardError(f"{cli.folder}: Lean cannot be started there: {error.strerror}") from error
    try:
        with deadline(process, seconds) as late:
            _wait(process)
    finally:
        kill(process)
        status = process.wait()
    return status, late.is_set()


def _wait(process: "subprocess.Popen[bytes]") -> None:
    """Wait for the end, and leave the process's number to it where that can be: then its group can be killed."""
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:
        process.wait()


@contextmanager
def deadline(process: "subprocess.Popen[bytes]", seconds: float) -> Iterator[threading.Event]:
    """End the process when the time is over; the event says whether it was.

    Time is counted in steps, so that a machine that slept meanwhile costs no proof its time.
    """
    over, late = threading.Event(), threading.Event()

    def watch() -> None:
        for _ in range(math.ceil(seconds / _STEP)):
            if over.wait(_STEP):
                return
        late.set()
        kill(process)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield late
    finally:
        over.set()
        thread.join()


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started; it leads a group of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def read_messages(said: IO[bytes]) -> list[Message]:
    """The messages of `lean --json`, one a line; what is none (a line cut short) is left out."""
    found = []
    for line in said:
        try:
            row = json.loads(line)
            place = row["pos"]
            found.append(Message(row["severity"], place["line"], place["column"], row["data"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _how(status: int, last: Sequence[str]) -> str:
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return f"{how}: {last[-1][:200]}" if last else how
