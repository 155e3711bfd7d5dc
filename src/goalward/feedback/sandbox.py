"""Running code that nobody has read: no network, no secrets, no files but its own, limits on everything.

`docs/sandbox.md` says what is kept from what, by which means, and what is not promised. To see what works on this
machine: `python -m goalward.feedback.sandbox`.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from signal import SIGXCPU
from typing import Any, Literal

from goalward.errors import GoalwardError, UsageError
from goalward.feedback.inner.init import OUT_OF_MEMORY
from goalward.feedback.isolation import Isolation, Limits, run_isolated
from goalward.feedback.supervise import Ended

__all__ = ["CallError", "Check", "Limits", "Outcome", "Probe", "Sandbox", "SandboxError", "Verdict", "probe"]

Status = Literal["ok", "error", "timeout", "memory", "processes", "files", "output"]


class SandboxError(GoalwardError):
    """The sandbox itself failed, or there is none on this machine; no fault of the code that was to run."""


class CallError(GoalwardError):
    """The code that was called raised, ended, ran over a limit, or gave back what is no plain value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a program did.

    `status` is ok (exit status 0), error (any other end), or the limit that stopped it. `seconds` by the clock.
    """

    status: Status
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one test passed, and if not, why."""

    passed: bool
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A test that `Sandbox.check` runs: its source, the names it takes from the code, the modules it needs."""

    source: str
    names: Sequence[str]
    modules: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A place to run code in. Every run is a fresh one.

    packages: the code may import what is installed beside Goalward, not the standard library alone;
    unsafe: where nothing on this machine can shut code in, run it all the same, with the limits alone;
    isolation: one way in particular; None takes the first that works. "none" needs `unsafe`.
    """

    limits: Limits = field(default_factory=Limits)
    packages: bool = False
    unsafe: bool = False
    isolation: Isolation | None = None

    def run(self, code: str, *, stdin: str = "", files: Mapping[str, str] | None = None) -> Outcome:
        """Run `code` as a program in a folder that holds `files` (relative path to text).

        Raises SandboxError where there is no sandbox to be had, UsageError for a path that leads elsewhere.
        """
        ended = self._enter({"code": code, "stdin": stdin, "files": _checked(files or {}), "serve": False})
        stdout, stderr = (data.decode("utf-8", "replace") for data in (ended.stdout, ended.stderr))
        return Outcome(status=_status(ended), stdout=stdout, stderr=stderr, seconds=ended.seconds)

    def call(self, code: str, function: str, arguments: Sequence[Any]) -> Any:
        """What `function`, which `code` defines, gives for `arguments`; plain values in and out.

        Plain are None, numbers, text, bytes, and lists, tuples, sets and dicts of them. Raises CallError where
        the code is at fault, SandboxError where the sandbox is.
        """
        ended = self._enter(_serving(code), {"call": [function, list(arguments)]})
        kind, *result = ended.reports[-1]
        if kind == "value":
            return result[0]
        if ended.stopped is not None:
            raise CallError(f"{function} was stopped: {_LIMIT_NAMES[ended.stopped]}")
        said = result[0] if kind == "raised" else "the process ended"
        raise CallError(f"{function}: {_with_last_line(said, ended)}")

    def check(self, code: str, tests: Sequence[Check]) -> list[Verdict]:
        """Whether `code` passes each of `tests`; one verdict for each, in order.

        The tests run in another process than the code and see its functions and classes through stand-ins
        (`inner/remote.py`), so the code can neither see nor touch them. Tests that were not reached when the
        code ran over a limit have not passed. Raises SandboxError.
        """
        orders = [
            {"source": test.source, "names": list(test.names), "modules": list(test.modules)}
            for test in tests
        ]
        ended = self._enter(_serving(code), {"tests": orders})
        done = {number: (passed, note) for kind, number, passed, note in _tests(ended)}
        missing = f"stopped: {_LIMIT_NAMES[ended.stopped]}" if ended.stopped else "not reached"
        verdicts = []
        for number in range(len(tests)):
            passed, note = done.get(number, (False, missing))
            verdicts.append(
                Verdict(passed=passed is True, note="" if passed else _with_last_line(note, ended))
            )
        return verdicts

    def _enter(self, *frames: Mapping[str, Any]) -> Ended:
        isolation = self.isolation or _first_that_works(unsafe=self.unsafe)
        if isolation == "none" and not self.unsafe:
            raise UsageError(
                "isolation 'none' runs unread code with your rights; say unsafe=True if you mean it"
            )
        try:
            ended = run_isolated(isolation, frames, self.limits, packages=self.packages)
        except OSError as error:
            raise SandboxError(f"the sandbox cannot be started: {error}") from error
        if not ended.reports:
            reason = _last_line(ended.stderr) or "no reason given"
            raise SandboxError(f"the sandbox ({isolation}) did not start: {reason}")
        return ended


_LIMIT_NAMES = {
    "timeout": "out of time",
    "memory": "out of memory",
    "processes": "too many processes",
    "output": "too much output",
}


def _serving(code: str) -> dict[str, Any]:
    return {"code": code, "stdin": "", "files": {}, "serve": True}


def _checked(files: Mapping[str, str]) -> dict[str, str]:
    for name in files:
        path = Path(name)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise UsageError(f"{name!r} is no path inside the sandbox's folder")
    return dict(files)


def _status(ended: Ended) -> Status:
    if ended.stopped is not None:
        return ended.stopped
    kind, *rest = ended.reports[-1]
    if kind == "files":
        return "files"
    if kind != "exit":  # process 1 was killed, which the kernel does where the machine is out of memory
        return "memory"
    named: dict[int, Status] = {0: "ok", OUT_OF_MEMORY: "memory", -SIGXCPU: "timeout"}
    return named.get(rest[0], "error")


def _tests(ended: Ended) -> list[Any]:
    return [report for report in ended.reports if report[0] == "test"]


def _with_last_line(said: str, ended: Ended) -> str:
    last = _last_line(ended.stderr)
    return f"{said} ({last})" if last else said


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


# What the probe runs: it passes where the most important promises hold.
_TRIAL = """
import os, socket
problems = []
try:
    socket.socket()
    problems.append("the network can be reached")
except OSError:
    pass
if os.path.exists("/etc/passwd") or os.path.exists("/proc/1"):
    problems.append("the host's files can be read")
if os.getpid() > 10 or os.getuid() == 0:
    problems.append("the process is not by itself")
try:
    open("/outside", "w")
    problems.append("the root folder can be written")
except OSError:
    pass
print(", ".join(problems) or "shut in")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What works on this machine: the ways to shut code in, and why not, for those that do not work."""

    works: tuple[Isolation, ...]
    reasons: Mapping[str, str]


@cache
def probe() -> Probe:
    """Try each way once, really; later calls give the first call's answer."""
    works: list[Isolation] = []
    reasons: dict[str, str] = {}
    ways: tuple[Isolation, ...] = ("bubblewrap", "namespaces")
    for way in ways:
        if way == "bubblewrap" and shutil.which("bwrap") is None:
            reasons[way] = "bwrap is not installed"
            continue
        try:
            outcome = Sandbox(isolation=way).run(_TRIAL)
        except (SandboxError, KeyError) as error:
            reasons[way] = str(error)
            continue
        if outcome.status == "ok" and outcome.stdout == "shut in\n":
            works.append(way)
        else:
            reasons[way] = outcome.stdout.strip() or outcome.stderr.strip()[-300:] or outcome.status
    return Probe(works=tuple(works), reasons=reasons)


def _first_that_works(*, unsafe: bool) -> Isolation:
    found = probe()
    if found.works:
        return found.works[0]
    if unsafe:
        return "none"
    why = "; ".join(f"{way}: {reason}" for way, reason in found.reasons.items())
    raise SandboxError(
        f"Code that nobody has read is not run here, because nothing can shut it in ({why}).\n"
        "Install bubblewrap (sudo apt install bubblewrap), or say unsafe=True to run it with your own rights."
    )


def main() -> int:
    """Print what works here; the exit status is 0 where something does."""
    found = probe()
    for way in ("bubblewrap", "namespaces"):
        sys.stdout.write(f"{way}: {'works' if way in found.works else found.reasons[way]}\n")
    return 0 if found.works else 1


if __name__ == "__main__":
    sys.exit(main())
