"""Lean kept running: processes of leanprover-community/repl that have read the header once.

Its protocol: a JSON object and a blank line each way. `{"cmd": text, "env": n}` runs text in an environment made
before; the answer has `env`, and `messages` where there are any; `{"message": text}` is an answer of its own trouble.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, LifoQueue
from typing import IO, Any

from goalward.errors import GoalwardError
from goalward.formal.lean_backends import CORE_AXIOMS, Ran, deadline, kill
from goalward.formal.lean_source import Message

_HEADER_WITHIN = 600.0  # seconds: Mathlib is read
_CPU_SECONDS = 4 * 3600
_USES = 100  # files: each leaves its environment in memory
_LONGEST = 1 << 28  # bytes of an answer
_SEVERITIES = {"info": "information"}


class _Session:
    """One process, and the environment that its header made."""

    def __init__(self, repl: "LeanRepl") -> None:
        self.uses = 0
        self.env: int | None = None
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the session)
        main = Path(__file__).with_name("lean_main.py")
        try:
            self.process = subprocess.Popen(  # noqa: S603 (our own interpreter, then the user's command)
                [
                    sys.executable,
                    "-I",
                    "-S",
                    str(main),
                    str(repl.memory_mb << 20),
                    str(_CPU_SECONDS),
                    *repl.command,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._noise,
                cwd=repl.folder,
                start_new_session=True,
            )
        except OSError as error:
            raise GoalwardError(
                f"{repl.folder}: the REPL cannot be started there: {error.strerror}"
            ) from error

    def ask(self, request: Mapping[str, Any], seconds: float) -> tuple[Mapping[str, Any] | None, bool]:
        """The answer, None where the process ended; and whether it did because the time was over."""
        assert self.process.stdin is not None and self.process.stdout is not None
        with deadline(self.process, seconds) as late:
            try:
                self.process.stdin.write(json.dumps(request).encode() + b"\n\n")
                self.process.stdin.flush()
                answer = json.loads(_block(self.process.stdout))
            except (OSError, ValueError):  # it ended, or said what is no JSON
                answer = None
        return answer if isinstance(answer, dict) and not late.is_set() else None, late.is_set()

    def close(self) -> str:
        """End the process; the last line that it wrote elsewhere."""
        kill(self.process)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:  # what it never read
                continue
        self._noise.seek(0)
        lines = self._noise.read()[-2000:].decode(errors="replace").strip().splitlines()
        self._noise.close()
        return lines[-1][:200] if lines else "the REPL ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeanRepl:
    """A pool of REPLs.

    command: the program and its arguments ("lake", "env", "../repl/.lake/build/bin/repl"); header: read once by each
    process; folder: where they run; memory_mb: address space of each.
    """

    command: tuple[str, ...]
    header: str
    version: str = "Lean by REPL"
    axioms: frozenset[str] = CORE_AXIOMS
    folder: Path | None = None
    memory_mb: int = 32_768
    workers: int = 1
    _idle: LifoQueue[_Session] = field(init=False, repr=False, default_factory=LifoQueue)

    def run(self, source: str, seconds: float) -> Ran:
        """See Backend. What is lost with a process is this file alone; the next one has a new process."""
        session = self._session()
        began = time.monotonic()
        request: dict[str, Any] = {"cmd": source}
        if session.env is not None:
            request["env"] = session.env
        try:
            answer, late = session.ask(request, seconds)
        except BaseException:
            session.close()
            raise
        spent = time.monotonic() - began
        if answer is None or "message" in answer:
            note = session.close()
            if answer is not None:
                note = str(answer["message"])[:200]
            if late:
                return Ran(ended="timeout", messages=(), note=f"no end within {seconds:g} s", seconds=spent)
            return Ran(ended="crash", messages=(), note=note, seconds=spent)
        session.uses += 1
        if session.uses < _USES:
            self._idle.put(session)
        else:
            session.close()
        return Ran(ended="done", messages=read_rows(answer.get("messages")), note="", seconds=spent)

    def close(self) -> None:
        """End the processes that wait; new ones start when needed."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    def _session(self) -> _Session:
        try:
            return self._idle.get_nowait()
        except Empty:
            session = _Session(self)
        if self.header.strip():
            answer, _ = session.ask({"cmd": self.header}, _HEADER_WITHIN)
            errors = [m.text for m in read_rows((answer or {}).get("messages")) if m.severity == "error"]
            if answer is None or "env" not in answer or errors:
                note = session.close()
                said = errors[0] if errors else str((answer or {}).get("message", note))
                raise GoalwardError(f"the REPL does not take the header: {' '.join(said.split())[:300]}")
            session.env = int(answer["env"])
        return session


def read_rows(rows: object) -> tuple[Message, ...]:
    """Messages as the REPL and the servers around it write them; what is none is left out."""
    found = []
    for row in rows if isinstance(rows, list) else ():
        try:
            severity, place = str(row["severity"]), row["pos"]
            severity = _SEVERITIES.get(severity, severity)
            found.append(Message(severity, int(place["line"]), int(place["column"]), str(row["data"])))
        except (KeyError, TypeError, ValueError):
            continue
    return tuple(found)


def _block(stream: IO[bytes]) -> bytes:
    """Lines up to a blank one; blank ones before them do not count."""
    lines: list[bytes] = []
    length = 0
    while (line := stream.readline(1 << 20)) and (line.strip() or not lines):
        length += len(line)
        if length > _LONGEST:
            raise ValueError("an answer too long")
        if line.strip():
            lines.append(line)
    return b"".join(lines)
