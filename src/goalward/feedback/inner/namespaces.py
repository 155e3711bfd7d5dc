"""Leaving the host without help: new namespaces and a root folder that holds the Python runtime, read-only.

What `bwrap` does, for machines that do not have it. Works for root, and for an ordinary account where the kernel
lets it make user namespaces.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take a fifth of a whole run
    from collections.abc import Mapping, Sequence

_NEW_NAMESPACES = (
    0x0002_0000  # mounts
    | 0x0200_0000  # cgroup
    | 0x0400_0000  # host name
    | 0x0800_0000  # System V IPC
    | 0x2000_0000  # process ids
    | 0x4000_0000  # network
)
_NEW_USER = 0x1000_0000
_RECURSIVE, _PRIVATE, _BIND = 0x4000, 1 << 18, 0x1000
_NOSUID, _NODEV = 2, 4
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR = 442
_HERE, _AT_RECURSIVE = -100, 0x8000

libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
libc.syscall.restype = ctypes.c_long


def checked(result: int, what: str) -> None:
    """Raise OSError that says `what` failed and why, where a C function returned -1."""
    if result == -1:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Mount, as the system call of that name does. Raises OSError."""
    encoded = kind.encode() if kind else None
    checked(libc.mount(source.encode(), target.encode(), encoded, flags, data.encode()), f"mount {target}")


def enter(runtime: Sequence[str], links: Mapping[str, str], devices: Sequence[str]) -> None:
    """Go to a new place where only `runtime` can be read; return there as process 1.

    The process that called stays behind, waits for process 1 and ends with it. Capabilities are still held;
    `confine` gives them up. Raises OSError where the kernel does not let us.
    """
    user, group = os.getuid(), os.getgid()
    new_user = 0 if user == 0 else _NEW_USER
    checked(libc.unshare(_NEW_NAMESPACES | new_user), "new namespaces")
    if new_user:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount("none", "/", None, _RECURSIVE | _PRIVATE)
    mount("tmpfs", "/tmp", "tmpfs", _NOSUID | _NODEV, "mode=755,size=1m,nr_inodes=1000")  # noqa: S108
    os.chdir("/tmp")  # noqa: S108
    os.mkdir("old")
    checked(libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"old"), "pivot_root")
    os.chdir("/")
    for path in runtime:
        _bind(path)
        _read_only(path, recursive=True)
    for path in devices:
        _bind(path)
    for path, target in links.items():
        _make_folder(os.path.dirname(path))
        os.symlink(target, path)
    _make_folder("/box")
    checked(libc.umount2(b"/old", _DETACH), "leaving the old root")
    os.rmdir("old")
    _read_only("/", recursive=False)
    child = os.fork()
    if child:
        os.closerange(0, 64)
        os.waitpid(child, 0)
        os._exit(0)


def _bind(path: str) -> None:
    source = "/old" + path
    if os.path.isdir(source):
        _make_folder(path)
    else:
        _make_folder(os.path.dirname(path))
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    mount(source, path, None, _BIND | _RECURSIVE)


def _make_folder(path: str) -> None:
    os.makedirs(path, mode=0o755, exist_ok=True)


def _read_only(path: str, *, recursive: bool) -> None:
    # mount_setattr only adds flags, so it never meets the flags that a user namespace may not take away.
    wanted = (ctypes.c_uint64 * 4)(1 | _NOSUID, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    result = libc.syscall(
        _MOUNT_SETATTR, _HERE, path.encode(), flags, ctypes.byref(wanted), ctypes.sizeof(wanted)
    )
    checked(result, f"making {path} read-only")
