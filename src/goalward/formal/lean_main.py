"""The process that Lean runs in: limits first, no network, then Lean itself. Standard library only; run by its path.

    python -I -S lean_main.py BYTES CPU_SECONDS PROGRAM [ARGUMENT ...]

A PROGRAM that ends in .so is Lean's shared library, whose `lean_main` is the whole command line of Lean; anything
else is a command, which takes this process's place.
"""

import ctypes
import os
import resource
import signal
import sys

_NO_NEW_PRIVILEGES, _LINE_BUFFERED = 38, 1
_NEW_USER, _NEW_NETWORK = 0x1000_0000, 0x4000_0000
_LONGEST_OUTPUT = 1 << 28


def main() -> None:
    """Do what the command line says; the exit status is Lean's."""
    memory, seconds, program, *arguments = sys.argv[1:]
    libc = ctypes.CDLL(None)
    _limit(resource.RLIMIT_AS, int(memory))
    _limit(resource.RLIMIT_CPU, int(seconds))
    _limit(resource.RLIMIT_FSIZE, _LONGEST_OUTPUT)
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        # Where the kernel allows neither, the network stays: Lean's terms and tactics have no words for it.
        if libc.unshare(_NEW_NETWORK) != 0:
            libc.unshare(_NEW_USER | _NEW_NETWORK)
    if not program.endswith(".so"):
        os.execvp(program, [program, *arguments])  # noqa: S606 (the user's own toolchain)
    # Line by line, so that what was said before a crash is known.
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, _LINE_BUFFERED, 0)
    words = [b"lean", *map(os.fsencode, arguments)]
    status = ctypes.CDLL(program).lean_main(len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None))
    os._exit(status)


def _limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle; it ends this process
    main()
