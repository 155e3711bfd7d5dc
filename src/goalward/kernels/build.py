"""Kernels in C++, compiled where they run: for the very CPU, by the compiler that is there.

A wheel with compiled code would be one for each platform, and none of them for the CPU at hand. The text is some
hundred lines; a compiler takes seconds for it, once. Where there is none, PyTorch's operations do the same work.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-shared",
    "-fPIC",
    "-pthread",
    # Nobody reads errno or the floating point flags; sums keep their order.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
)


@cache
def load(name: str) -> ctypes.CDLL | None:
    """The library made of NAME.cpp, compiled if it is not yet; None where there is no compiler, or it fails.

    A failure is a warning that says why.
    """
    compiler = find_compiler()
    if compiler is None:
        return None
    try:
        library = _built(name, compiler)
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        warnings.warn(
            f"{compiler} cannot compile goalward's {name}.cpp, so PyTorch computes it, which is slower:"
            f" {said.strip().splitlines()[0] if said.strip() else error}",
            stacklevel=2,
        )
        return None


def find_compiler() -> str | None:
    """The path of a C++ compiler: $CXX, c++, g++ or clang++. An empty $CXX means none."""
    wanted = os.environ.get("CXX")
    names = ("c++", "g++", "clang++") if wanted is None else (wanted,)
    return next((found for name in names if name and (found := shutil.which(name))), None)


def _built(name: str, compiler: str) -> Path:
    source = _HERE / f"{name}.cpp"
    target = _folder() / f"{name}-{_key(source, compiler)}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            made = Path(scratch) / target.name
            command = [compiler, *_FLAGS, str(source), "-o", str(made)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)  # noqa: S603
            made.replace(target)
    return target


def _key(source: Path, compiler: str) -> str:
    """Of all that the result hangs on: the text, the compiler, and the CPU that it compiles for."""
    parts = [path.read_bytes() for path in (source, *sorted(_HERE.glob("*.h")))]
    parts += [
        " ".join(_FLAGS).encode(),
        compiler.encode(),
        str(Path(compiler).stat().st_mtime_ns).encode(),
        _cpu(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _cpu() -> bytes:
    """What the CPU can do: a home directory may be shared by machines that differ."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return " ".join(os.uname()).encode()
    kinds = ("flags", "Features", "model name")
    return "\n".join(
        sorted({line for line in info.read_text().splitlines() if line.startswith(kinds)})
    ).encode()


def _folder() -> Path:
    """Where compiled kernels stay: a folder of this user's alone, as what lies in it is run."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "goalward" / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass  # a home that cannot be written to: for this process alone, then
    return _scratch()


@cache
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="goalward-kernels-"))
