"""Which system calls the kernel refuses the code in the sandbox, as a seccomp filter. Nothing here calls anything."""

import struct

_NEWEST = 450  # newer calls than this list knows do not exist in here

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
# What would take a process out of the group that is killed, where nothing else holds it.
_DENIED_WITHOUT_NAMESPACES = {"setpgid": (109, 154), "setsid": (112, 157)}
# Calls that are refused for some arguments only.
_CLONE, _CLONE3, _SOCKETPAIR, _PRLIMIT, _IOCTL = (56, 220), (435, 435), (53, 199), (302, 261), (16, 29)
_NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW... flag
_AF_UNIX = 1
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # typing into somebody's terminal

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Which of the two numbers above, and what the kernel calls the machine."""
_X32 = 0x40000000  # from here on x86_64 has every call a second time

# An instruction of the filter, and its answers.
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
# Where in what it is shown: the call's number, the machine, and the arguments, eight bytes each.
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16


def filter_program(machine: str, *, isolated: bool) -> bytes:
    """The seccomp filter for `machine` (x86_64 or aarch64), as the kernel takes it: instructions of eight bytes.

    Without namespaces (`isolated` False) it also keeps every process in the group that will be killed.
    """
    column, name = _MACHINES[machine]
    denied = {**_DENIED, **({} if isolated else _DENIED_WITHOUT_NAMESPACES)}
    numbers = [number for both in denied.values() if (number := both[column]) is not None]
    return b"".join(
        (
            _step(_LOAD, _MACHINE),
            _unless(_IF_EQUAL, name, _KILL),
            _step(_LOAD, _NUMBER),
            _when(_IF_AT_LEAST, _X32, _KILL),
            _when(_IF_AT_LEAST, _NEWEST + 1, _ERROR | _ENOSYS),
            *(_when(_IF_EQUAL, number, _ERROR | _EPERM) for number in numbers),
            # Its flags are behind a pointer, where no filter can look; libc then takes clone.
            _when(_IF_EQUAL, _CLONE3[column], _ERROR | _ENOSYS),
            _look(_CLONE[column], 0, _when(_IF_ANY_BIT, _NEW_NAMESPACES, _ERROR | _EPERM)),
            _look(_SOCKETPAIR[column], 0, _unless(_IF_EQUAL, _AF_UNIX, _ERROR | _EPERM)),
            _look(_PRLIMIT[column], 0, _unless(_IF_EQUAL, 0, _ERROR | _EPERM)),  # 0: its own limits
            _look(
                _IOCTL[column],
                1,
                _when(_IF_EQUAL, _TIOCSTI, _ERROR | _EPERM) + _when(_IF_EQUAL, _TIOCLINUX, _ERROR | _EPERM),
            ),
            _step(_RETURN, _ALLOW),
        )
    )


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; a test skips `yes` of the next ones where it holds, else `no`."""
    return struct.pack("=HBBI", code, yes, no, value)


def _when(test: int, value: int, answer: int) -> bytes:
    """Where what was loaded passes the test, the answer; else go on."""
    return _step(test, value, yes=0, no=1) + _step(_RETURN, answer)


def _unless(test: int, value: int, answer: int) -> bytes:
    """Where what was loaded does not pass the test, the answer; else go on."""
    return _step(test, value, yes=1, no=0) + _step(_RETURN, answer)


def _look(number: int, argument: int, tests: bytes) -> bytes:
    """Where it is the call `number`: load its argument (the low half), run the tests, and allow what they let pass."""
    body = _step(_LOAD, _ARGUMENTS + 8 * argument) + tests + _step(_RETURN, _ALLOW)
    return _step(_IF_EQUAL, number, yes=0, no=len(body) // 8) + body
