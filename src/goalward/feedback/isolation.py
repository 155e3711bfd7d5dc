"""Starting a sandbox: what is shown of the host inside, and the command that shuts the rest out."""

import os
import random
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import Any, Literal

from goalward.errors import UsageError
from goalward.feedback.inner import wire
from goalward.feedback.supervise import Bounds, Ended, supervise

Isolation = Literal["bubblewrap", "namespaces", "none"]
"""Who shuts the code in: the `bwrap` command; the kernel, asked by ourselves; nobody."""

_OWN_PROCESSES = 2  # bwrap or our launcher, and process 1
_OWN_MEMORY = 48 << 20  # bytes that these take, at most
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
_OTHER = ("/etc/ld.so.cache", "/usr/share/zoneinfo")
_PACKAGES = ("purelib", "platlib")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use.

    seconds: by the clock, from the start of the code; cpu_seconds: of processor time, all processes together;
    memory_mb: resident, all together, and address space of each; processes: at one time, threads counted;
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


def run_isolated(
    isolation: Isolation, frames: Sequence[Mapping[str, Any]], limits: Limits, *, packages: bool
) -> Ended:
    """Start a sandbox, hand it `frames`, and return when it has ended.

    Raises UsageError where the frames hold no plain values or are too long, OSError where nothing starts.
    """
    try:
        orders = b"".join(pack(">I", len(data)) + data for data in map(wire.encode, frames))
    except (TypeError, wire.BrokenError, RecursionError) as error:
        raise UsageError(f"this cannot be handed to a sandbox: {error}") from error
    if len(orders) > wire.LONGEST:
        raise UsageError(f"more than {wire.LONGEST >> 20} MB to hand to a sandbox")
    # A user that nobody else is: then the kernel counts the processes of this sandbox alone.
    user = random.randrange(1 << 29, 1 << 30) if os.getuid() == 0 and isolation != "none" else None  # noqa: S311
    outside = (
        sorted({str(Path(sysconfig.get_path(name)).resolve()) for name in _PACKAGES}) if packages else []
    )
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
            return [*_bubblewrap(runtime, links, limits.files_mb), *python, "/goalward"]
        return [*python, str(_INNER.parent)]

    folder = tempfile.mkdtemp(prefix="goalward-unsafe-") if isolation == "none" else "/"
    home = folder if isolation == "none" else "/box"
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
                memory=(limits.memory_mb << 20) + _OWN_MEMORY,
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
    links: dict[str, str] = {}
    prefix = Path(sys.base_prefix).resolve()
    # A Python of the system has its libraries among the system's; any other brings them along.
    python = f"{prefix}/lib" if prefix != Path("/usr") else sysconfig.get_path("stdlib")
    shown = [Path(path) for path in (_python(), python, *_OTHER, *packages)]
    for folder in map(Path, _LIBRARIES):
        if folder.is_symlink():
            links[str(folder)] = str(folder.readlink())
        # Debian and its kin keep the shared libraries in a folder by themselves; elsewhere it is all or nothing.
        own = folder / (sysconfig.get_config_var("MULTIARCH") or ".")
        shown.append(own if own.is_dir() else folder)
    real = sorted({str(path.resolve()) for path in shown if path.exists()})
    top: list[str] = []
    for path in real:
        if not any(path.startswith(f"{other}/") for other in top):
            top.append(path)
    for path in ("/tmp", "/dev/shm"):  # noqa: S108
        if not any(other.startswith(f"{path}/") for other in top):
            links[path] = "/box"
    return top, links


def _bubblewrap(runtime: Sequence[str], links: Mapping[str, str], megabytes: int) -> list[str]:
    # Said outright, because bwrap makes folders on the way for its own user alone.
    folders = {str(parent) for path in (*runtime, *links, *_DEVICES) for parent in Path(path).parents} - {"/"}
    return [
        shutil.which("bwrap") or "bwrap",
        *("--die-with-parent", "--as-pid-1", "--new-session", "--cap-drop", "ALL"),
        *(["--unshare-user"] if os.getuid() else ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]),
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *(word for folder in sorted(folders) for word in ("--perms", "0755", "--dir", folder)),
        *(word for path in runtime for word in ("--ro-bind", path, path)),
        *(word for path, target in links.items() for word in ("--symlink", target, path)),
        *(word for path in _DEVICES for word in ("--dev-bind", path, path)),
        *("--ro-bind", str(_INNER), f"/goalward/{_INNER.name}"),
        *("--perms", "0777", "--size", str(megabytes << 20), "--tmpfs", "/box"),
        *("--remount-ro", "/", "--chdir", "/", "--"),
    ]
