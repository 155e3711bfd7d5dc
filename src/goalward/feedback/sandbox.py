"""Running code that nobody has read: no network, no secrets, no files but its own, limits on everything.

`docs/sandbox.md` says what is kept from what, by which means, and what is not promised. To see what works on this
machine: `python -m goalward.feedback.sandbox`.
"""

import os
import random
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from signal import SIGKILL, SIGXCPU
from struct import pack
from typing import Any, Literal

from goalward.errors import GoalwardError, UsageError
from goalward.feedback.inner import wire
from goalward.feedback.inner.init import OUT_OF_MEMORY
from goalward.feedback.supervise import Bounds, Ended, supervise

Isolation = Literal["bubblewrap", "namespaces", "none"]
"""Who shuts the code in: the `bwrap` command; the kernel, asked by ourselves; nobody."""

Status = Literal["ok", "error", "timeout", "memory", "processes", "output"]

_OWN_PROCESSES = 3  # bwrap or our launcher, process 1, the code itself
_RUNTIME = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")
_INNER = Path(wire.__file__).parent
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
# Packages that hold no code of ours are made up, so that the sandbox sees one folder of the library and no more.
_START = """
import sys, types
for name, path in (("goalward", []), ("goalward.feedback", [sys.argv[2]])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = path
from goalward.feedback.inner.init import main
main()
"""


class SandboxError(GoalwardError):
    """The sandbox itself failed, or there is none on this machine; no fault of the code that was to run."""


class CallError(GoalwardError):
    """The code that was called raised, ended, ran over a limit, or gave back what is no plain value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use.

    seconds: by the clock, from the start of the code; cpu_seconds: of processor time, all processes together;
    memory_mb: resident, all together, and address space of each; processes: besides the first, threads counted;
    files, files_mb: all that it writes; output_kb: standard output and error together.
    """

    seconds: float = 10.0
    cpu_seconds: float = 10.0
    memory_mb: int = 512
    processes: int = 16
    files: int = 1000
    files_mb: int = 64
    output_kb: int = 1024

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 < getattr(self, name) < 1e9:
                raise UsageError(f"a sandbox's {name} should be more than 0, found {getattr(self, name)}")


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
            {"source": test.source, "names": list(test.names), "modules": list(test.modules)} for test in tests
        ]
        ended = self._enter(_serving(code), {"tests": orders})
        done = {number: (passed, note) for kind, number, passed, note in _tests(ended)}
        missing = f"stopped: {_LIMIT_NAMES[ended.stopped]}" if ended.stopped else "not reached"
        verdicts = []
        for number in range(len(tests)):
            passed, note = done.get(number, (False, missing))
            verdicts.append(Verdict(passed=passed is True, note="" if passed else _with_last_line(note, ended)))
        return verdicts

    def _enter(self, *frames: Mapping[str, Any]) -> Ended:
        isolation = self.isolation or _first_that_works(unsafe=self.unsafe)
        if isolation == "none" and not self.unsafe:
            raise UsageError("isolation 'none' runs unread code with your rights; say unsafe=True if you mean it")
        try:
            ended = _run(isolation, frames, self.limits, packages=self.packages)
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


def _run(isolation: Isolation, frames: Sequence[Mapping[str, Any]], limits: Limits, *, packages: bool) -> Ended:
    try:
        orders = b"".join(pack(">I", len(data)) + data for data in map(wire.encode, frames))
    except (TypeError, wire.Broken, RecursionError) as error:
        raise UsageError(f"this cannot be handed to a sandbox: {error}") from error
    if len(orders) > wire.LONGEST:
        raise UsageError(f"more than {wire.LONGEST >> 20} MB to hand to a sandbox")
    # A user that nobody else is: then the kernel counts the processes of this sandbox alone.
    user = random.randrange(1 << 29, 1 << 30) if os.getuid() == 0 and isolation != "none" else None  # noqa: S311
    outside = sorted({sysconfig.get_path(name) for name in ("purelib", "platlib")}) if packages else []
    runtime, links = _runtime(outside)
    settings: dict[str, Any] = {
        "isolation": isolation,
        "user": user,
        "runtime": runtime,
        "links": links,
        "devices": list(_DEVICES),
        "packages": outside,
        "memory": limits.memory_mb << 20,
        "megabytes": limits.files_mb,
        "files": limits.files,
        "processes": limits.processes,
        "cpu_seconds": int(limits.cpu_seconds) + 1,
    }

    def command(report: int) -> list[str]:
        argument = wire.encode({**settings, "report": report}).hex()
        python = [_python(), "-I", "-S", "-B", "-X", "utf8", "-c", _START, argument]
        if isolation == "bubblewrap":
            return [*_bubblewrap(runtime, links), *python, "/library"]
        return [*python, str(_INNER.parent)]

    folder = tempfile.mkdtemp(prefix="goalward-unsafe-") if isolation == "none" else "/"
    home = folder if isolation == "none" else "/work"
    try:
        return supervise(
            command,
            orders=orders,
            environment={
                "PATH": "/usr/bin:/bin",
                "HOME": home,
                "TMPDIR": home,
                "LANG": "C.UTF-8",
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
            },
            folder=folder,
            bounds=Bounds(
                seconds=limits.seconds,
                cpu_seconds=limits.cpu_seconds,
                memory=limits.memory_mb << 20,
                processes=limits.processes + _OWN_PROCESSES,
                output=limits.output_kb << 10,
            ),
            isolated=isolation != "none",
        )
    finally:
        if isolation == "none":
            shutil.rmtree(folder, ignore_errors=True)


def _python() -> str:
    # Not the virtual environment's: that one is a link, and brings its packages along.
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def _runtime(packages: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """What of the host can be read inside: folders and files, and links (path to target) that lead to them."""
    wanted = [*_RUNTIME, f"{Path(sys.base_prefix).resolve()}/lib", *packages]
    paths = [Path(path) for path in wanted if os.path.lexists(path)]
    links = {str(path): os.readlink(path) for path in paths if path.is_symlink()}
    real = sorted({str(path) for path in paths if not path.is_symlink()} | {_python()})
    top: list[str] = []
    for path in real:
        if not any(path.startswith(f"{other}/") for other in top):
            top.append(path)
    for path in ("/tmp", "/dev/shm"):  # noqa: S108
        if not any(other.startswith(f"{path}/") for other in top):
            links[path] = "/work"
    return top, links


def _bubblewrap(runtime: Sequence[str], links: Mapping[str, str]) -> list[str]:
    powers = ["CAP_SYS_ADMIN"]  # to mount /work; given up before any code runs
    if os.getuid() == 0:
        powers += ["CAP_SETUID", "CAP_SETGID"]
    # Said outright, because bwrap makes folders on the way for its own user alone.
    folders = {str(parent) for path in (*runtime, *links, *_DEVICES) for parent in Path(path).parents} - {"/"}
    return [
        *("bwrap", "--die-with-parent", "--as-pid-1", "--new-session", "--cap-drop", "ALL"),
        *(word for power in powers for word in ("--cap-add", power)),
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *(["--unshare-user"] if os.getuid() else []),
        *(word for folder in sorted(folders) for word in ("--perms", "0755", "--dir", folder)),
        *(word for path in runtime for word in ("--ro-bind", path, path)),
        *(word for path, target in links.items() for word in ("--symlink", target, path)),
        *(word for path in _DEVICES for word in ("--dev-bind", path, path)),
        *("--ro-bind", str(_INNER), f"/library/{_INNER.name}"),
        *("--dir", "/work", "--remount-ro", "/", "--chdir", "/", "--"),
    ]


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
    if kind != "exit":  # process 1 was killed, which the kernel does where the machine is out of memory
        return "memory"
    named: dict[int, Status] = {0: "ok", OUT_OF_MEMORY: "memory", -SIGXCPU: "timeout", -SIGKILL: "error"}
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
    if not found.works:
        with suppress(SandboxError):
            _first_that_works(unsafe=False)
    return 0 if found.works else 1


if __name__ == "__main__":
    sys.exit(main())
