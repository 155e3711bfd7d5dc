"""Giving up every power, for good: user id, capabilities, resources, and the system calls that code has no need of."""

import ctypes
import os
import resource
import struct

from goalward.feedback.inner.namespaces import checked, libc, mount

_SET_DUMPABLE, _SET_SECCOMP, _NO_NEW_PRIVILEGES = 4, 22, 38
_CAPABILITIES_VERSION = 0x20080522
_INTERRUPT_SIGNAL = 2
_CLONE_NAMESPACES = 0x7E020080  # every CLONE_NEW... flag
_EPERM, _ENOSYS = 1, 38
OPEN_FILES = 64
"""How many descriptors a process may hold."""
_NEWEST_CALL = 450  # newer ones than this list knows do not exist in here

# Name: (number on x86_64, number on aarch64); None where there is no such call.
_DENIED: dict[str, tuple[int, int | None]] = {
    # the network; socketpair stays, for AF_UNIX only
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept4": (288, 242),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "setpriority": (141, 140),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "set_mempolicy": (238, 237),
    "mbind": (237, 235),
    # mounts and namespaces
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "mount": (165, 40),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # parts of the kernel with a history
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "seccomp": (317, 277),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "modify_ldt": (154, None),
    "personality": (135, 92),
    # memory that no limit counts
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # the machine
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "adjtimex": (159, 171),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "clock_settime": (227, 112),
    "kexec_load": (246, 104),
    "clock_adjtime": (305, 266),
    "finit_module": (313, 273),
    "kexec_file_load": (320, 294),
    "quotactl_fd": (443, 443),
}
_DENIED_WITHOUT_NAMESPACES = {"setpgid": (109, 154), "setsid": (112, 157)}
_CLONE, _CLONE3, _SOCKETPAIR, _PRLIMIT, _IOCTL = (56, 220), (435, 435), (53, 199), (302, 261), (16, 29)
_AUDIT = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000
_AF_UNIX = 1
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_OVER, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they stand in what the kernel shows the filter


def filter_program(machine: str, *, isolated: bool) -> bytes:
    """The seccomp filter for `machine` (x86_64 or aarch64), as the kernel takes it.

    Without namespaces (`isolated` False) it also keeps every process in the group that will be killed.
    """
    column, audit = _AUDIT[machine]

    def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    def refuse(number: int, error: int = _EPERM) -> bytes:
        return step(_JUMP_EQUAL, number, 0, 1) + step(_RETURN, _ERROR | error)

    def look(call: tuple[int, int], argument: int, *tests: bytes) -> bytes:
        # Where it is this call: load its argument (low half), run the tests, else allow it.
        body = step(_LOAD, _ARGUMENTS + 8 * argument) + b"".join(tests) + step(_RETURN, _ALLOW)
        return step(_JUMP_EQUAL, call[column], 0, len(body) // 8) + body

    denied = {**_DENIED, **({} if isolated else _DENIED_WITHOUT_NAMESPACES)}
    numbers = [numbers[column] for numbers in denied.values()]
    return b"".join(
        (
            step(_LOAD, _ARCHITECTURE),
            step(_JUMP_EQUAL, audit, 1, 0) + step(_RETURN, _KILL),
            step(_LOAD, _NUMBER),
            step(_JUMP_OVER, _X32, 0, 1) + step(_RETURN, _KILL),
            step(_JUMP_OVER, _NEWEST_CALL + 1, 0, 1) + step(_RETURN, _ERROR | _ENOSYS),
            *(refuse(number) for number in numbers if number is not None),
            refuse(_CLONE3[column], _ENOSYS),  # its flags cannot be read here; libc then takes clone
            look(_CLONE, 0, step(_JUMP_SET, _CLONE_NAMESPACES, 0, 1), step(_RETURN, _ERROR | _EPERM)),
            look(_SOCKETPAIR, 0, step(_JUMP_EQUAL, _AF_UNIX, 1, 0), step(_RETURN, _ERROR | _EPERM)),
            look(_PRLIMIT, 0, step(_JUMP_EQUAL, 0, 1, 0), step(_RETURN, _ERROR | _EPERM)),
            look(_IOCTL, 1, refuse(_TIOCSTI), refuse(_TIOCLINUX)),
            step(_RETURN, _ALLOW),
        )
    )


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
    """Refuse the system calls of this file's list, for this process and all that come from it. Raises OSError."""
    program = filter_program(os.uname().machine, isolated=isolated)
    steps = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps))
    checked(libc.prctl(_SET_SECCOMP, 2, ctypes.c_char_p(header), 0, 0), "filtering system calls")
