"""The grading process: takes batches of attempts, judges each in a forked child, and outlives what the child meets.

Fork is safe here, where it would not be in the trainer: this process has one thread, no torch and no GPU. A child
costs milliseconds, so that every batch starts from a clean one, and one that is stuck is simply killed.
"""

import ctypes
import gc
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path

from goalward.feedback.grader import Grader
from goalward.feedback.judge import judge_group
from goalward.feedback.verdict import failure
from goalward.types import Feedback, Group

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG

MEMORY = 2 << 30
"""Bytes that judging may take on top of what the process holds; beyond it an attempt meets a MemoryError."""


def serve(requests: Connection) -> None:
    """Answer requests until the other side is gone.

    A request is a pickle of (a function that makes ready, seconds for one attempt, how many, a pickle of
    (grader, groups of one attempt)). The answer is a pickle of one entry for each: a pickle of its
    Feedback, or a str that says why there is none.
    """
    done: set[Callable[[], object]] = set()
    while True:
        try:
            ready, seconds, count, body = pickle.loads(requests.recv_bytes())  # noqa: S301 (our own process)
        except (EOFError, OSError):
            return
        if ready not in done:  # before the fork, so that every child has it and no attempt pays for it
            with suppress(ImportError):  # judging then says so
                ready()
            gc.collect()
            gc.freeze()  # a child that collects garbage would copy all that it shares with this process
            done.add(ready)
        verdicts: list[bytes | str] = []
        while len(verdicts) < count:
            verdicts += _in_child(requests, body, len(verdicts), count, seconds)
        requests.send_bytes(pickle.dumps(verdicts))


def _in_child(requests: Connection, body: bytes, start: int, count: int, seconds: float) -> list[bytes | str]:
    """Judge from `start` on in a child: to the end, or up to and with the first attempt that ends it."""
    verdicts, answers = Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        requests.close()  # else the trainer would not notice that this process is gone
        _judge(answers, body, start, count, seconds)
    answers.close()
    with suppress(OSError):  # here and in the child: whichever comes first
        os.setpgid(child, child)
    done: list[bytes | str] = []
    reason = ""
    while start + len(done) < count and not reason:
        ready = wait([verdicts, requests], timeout=seconds)
        if requests in ready:  # nothing is sent meanwhile: the trainer is gone
            os.killpg(child, signal.SIGKILL)
            sys.exit()
        try:
            if ready:
                done.append(verdicts.recv_bytes())
            else:
                reason = f"time limit of {seconds:g} s"
        except (EOFError, OSError):
            reason = "died"
    with suppress(ProcessLookupError):  # what the child started goes with it
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    verdicts.close()
    if reason == "died":
        code = os.waitstatus_to_exitcode(status)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        reason = f"grading this attempt ended the grading process ({how})"
    return [*done, reason] if reason else done


def _judge(answers: Connection, body: bytes, start: int, count: int, seconds: float) -> None:
    """The child: send one verdict after another, and never return."""
    try:
        os.setpgid(0, 0)
        if _LIBC is not None:
            _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        _limit(resource.RLIMIT_CPU, int(seconds * (count - start)) + 10)  # the same, elsewhere
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_AS, _held() + MEMORY)
        for feedback in _feedback(body, start, count):
            answers.send_bytes(pickle.dumps(feedback))
    finally:
        os._exit(0)


def _feedback(body: bytes, start: int, count: int) -> Iterator[Feedback]:
    grader: Grader
    groups: Sequence[Group]
    try:
        grader, groups = pickle.loads(body)  # noqa: S301 (our own process)
    except Exception as error:  # noqa: BLE001 (somebody's module that cannot be imported here)
        yield from [failure(error)] * (count - start)
        return
    for group in groups[start:]:
        yield from judge_group(group, grader)


def _limit(what: int, value: int) -> None:
    with suppress(ValueError, OSError):  # not above a limit that stands already; macOS has no limit of memory
        resource.setrlimit(what, (value, value))


def _held() -> int:
    """The address space of this process, in bytes; as good as without a limit where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 1 << 40
    return pages * resource.getpagesize()


def main() -> None:
    """Serve the connection whose number is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's to handle; it then hangs up
    serve(Connection(int(sys.argv[1])))
