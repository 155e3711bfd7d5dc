"""Giving up every power, for good: user id, capabilities, resources, and the system calls that code has no need of."""

import ctypes
import os
import resource
import struct

from goalward.feedback.inner.calls import filter_program
from goalward.feedback.inner.namespaces import checked, libc, mount

_SET_DUMPABLE, _SET_SECCOMP, _NO_NEW_PRIVILEGES = 4, 22, 38
_CAPABILITIES_VERSION = 0x20080522
_INTERRUPT_SIGNAL = 2
OPEN_FILES = 64
"""How many descriptors a process may hold."""


def make_work_folder(megabytes: int, files: int, user: int | None) -> None:
    """Mount the only folder that can be written, /box, of a limited size, for `user`. Raises OSError."""
    owner = f",uid={user},gid={user}" if user is not None else ""
    mount("tmpfs", "/box", "tmpfs", 2 | 4, f"size={megabytes}m,nr_inodes={files + 1},mode=700{owner}")


def drop(user: int | None) -> None:
    """Become `user` (None: stay who we are), without groups, capabilities or a way to get any. Raises OSError."""
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no new privileges")
    header, none = struct.pack("=Ii", _CAPABILITIES_VERSION, 0), bytes(24)
    checked(libc.capset(header, none), "dropping capabilities")
    # After the change of user, which resets it.
    checked(libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0), "hiding memory")
    # Python's own handler would let the code interrupt process 1, which no other signal from inside can reach.
    libc.signal(_INTERRUPT_SIGNAL, None)


def limit(*, memory: int, cpu_seconds: int, processes: int | None, file_size: int) -> None:
    """Set the limits of each process, in bytes and seconds; `processes` None leaves their number alone."""
    for what, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        if value is not None:
            resource.setrlimit(what, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))


def filter_calls(*, isolated: bool) -> None:
    """Refuse the system calls that `calls` lists, for this process and all that come from it. Raises OSError."""
    program = filter_program(os.uname().machine, isolated=isolated)
    steps = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps))
    checked(libc.prctl(_SET_SECCOMP, 2, ctypes.c_char_p(header), 0, 0), "filtering system calls")
