"""Watching one sandbox from outside: its output, its clock, its memory, and its end."""

import os
import selectors
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from goalward.feedback.inner.wire import LONGEST, BrokenError, decode

Stopped = Literal["timeout", "memory", "processes", "output"]

_LOOK_EVERY = 0.02  # seconds between two looks at memory, processor time and processes
_START_WITHIN = 30.0  # seconds from the start of the sandbox to the start of the code in it
_GONE_WITHIN = 5.0  # seconds for the kernel to take a killed sandbox apart
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the whole tree of processes may use; seconds and bytes."""

    seconds: float
    cpu_seconds: float
    memory: int
    processes: int
    output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How it went: what process 1 reported, what the code wrote, and what stopped it, if anything did."""

    reports: list[list[Any]]
    stdout: bytes
    stderr: bytes
    stopped: Stopped | None
    seconds: float


def supervise(
    command: Callable[[int], Sequence[str]],
    *,
    orders: bytes,
    environment: Mapping[str, str],
    folder: str,
    bounds: Bounds,
    isolated: bool,
) -> Ended:
    """Run a command in `folder`, give it `orders`, and return when every process of it has ended.

    `command` makes the command from the number of the descriptor that process 1 is to report by. `isolated`:
    the command has its own namespace of process ids. Raises OSError where the command cannot be started.
    """
    reads, writes = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603
            command(writes),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            pass_fds=(writes,),
            start_new_session=True,
        )
    except BaseException:
        os.close(reads)
        raise
    finally:
        os.close(writes)
    try:
        return _watch(process, reads, memoryview(orders), bounds, isolated=isolated)
    finally:
        _end(process, isolated=isolated)
        os.close(reads)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _watch(
    process: subprocess.Popen[bytes], report: int, orders: memoryview, bounds: Bounds, *, isolated: bool
) -> Ended:
    assert process.stdin and process.stdout and process.stderr
    stdin, stdout, stderr = (stream.fileno() for stream in (process.stdin, process.stdout, process.stderr))
    received = {stdout: bytearray(), stderr: bytearray(), report: bytearray()}
    began = time.monotonic()
    started: float | None = None
    stopped: Stopped | None = None
    look_at = began + _LOOK_EVERY
    with selectors.DefaultSelector() as selector:
        for fd in received:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        os.set_blocking(stdin, False)
        selector.register(stdin, selectors.EVENT_WRITE)
        while any(fd in selector.get_map() for fd in received):
            for key, _ in selector.select(_LOOK_EVERY):
                if key.fd == stdin:
                    orders = _write(stdin, orders)
                    if not orders:
                        selector.unregister(stdin)
                elif not _read(key.fd, received[key.fd]):
                    selector.unregister(key.fd)
            now = time.monotonic()
            if started is None and received[report]:
                started = now
            if stopped is None:
                if len(received[stdout]) + len(received[stderr]) > bounds.output:
                    stopped = "output"
                elif len(received[report]) > 2 * LONGEST:
                    stopped = "memory"
                elif now > (began + _START_WITHIN if started is None else started + bounds.seconds):
                    stopped = "timeout"
                elif now > look_at:
                    look_at = now + _LOOK_EVERY
                    stopped = _too_much(process.pid, bounds)
                if stopped is not None:
                    _end(process, isolated=isolated)
    return Ended(
        reports=_frames(received[report]),
        stdout=bytes(received[stdout][: bounds.output]),
        stderr=bytes(received[stderr][: bounds.output]),
        stopped=stopped,
        seconds=time.monotonic() - (started or began),
    )


def _write(fd: int, data: memoryview) -> memoryview:
    try:
        return data[os.write(fd, data) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return memoryview(b"")


def _read(fd: int, into: bytearray) -> bool:
    """Read what is there; False at the end."""
    try:
        part = os.read(fd, 1 << 16)
    except BlockingIOError:
        return True
    into += part
    return bool(part)


def _frames(data: bytearray) -> list[list[Any]]:
    """The whole reports in `data`; a last one that is cut short is left out."""
    frames, at = [], 0
    while at + 4 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 4 + length > len(data):
            break
        with suppress(BrokenError):
            frames.append(decode(bytes(data[at + 4 : at + 4 + length])))
        at += 4 + length
    return frames


def _too_much(pid: int, bounds: Bounds) -> Stopped | None:
    there = tree(pid)
    if len(there) > bounds.processes:  # first: a crowd has much memory too
        return "processes"
    usage = [_usage(one) for one in there]
    if sum(memory for memory, _ in usage) > bounds.memory:
        return "memory"
    return "timeout" if sum(seconds for _, seconds in usage) > bounds.cpu_seconds else None


def tree(pid: int) -> list[int]:
    """`pid` and all that come from it, as far as they are alive."""
    found, new = [pid], [pid]
    while new:
        new = [child for parent in new for child in _children(parent)]
        found += new
    return found


def _children(pid: int) -> list[int]:
    # Every thread has children of its own.
    with suppress(OSError):
        return [
            int(child)
            for thread in os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 (hot: fifty times a second)
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split()
        ]
    return []


def _usage(pid: int) -> tuple[int, float]:
    """Resident memory in bytes, and processor seconds of the process and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    return int(fields[21]) * _PAGE, sum(int(field) for field in fields[11:15]) / _TICKS


def _end(process: subprocess.Popen[bytes], *, isolated: bool) -> None:
    """Kill everything that `process` started, and return when it has gone."""
    if process.returncode is not None:
        return
    if isolated:
        # Process 1 of the sandbox is the only child of `process`. With it the kernel kills all others of its
        # namespace, and `process` learns of its end only when that is done.
        for pid in _children(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GONE_WITHIN)
                return
    # `process` has not been waited for, so its number still names this group and no other.
    for pid in reversed(tree(process.pid)):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
