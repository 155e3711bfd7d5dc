"""Process 1 of the sandbox: gives up every power, starts the untrusted code, and alone reports to the host.

The code runs in a child that is forked before the tests arrive and that holds neither the pipe they come through
nor the one the verdict leaves by.
"""

from __future__ import annotations

import ctypes
import os
import sys
from _thread import start_new_thread
from select import select
from types import CodeType, ModuleType

from goalward.feedback.inner import confine, namespaces
from goalward.feedback.inner.remote import Code, Remote
from goalward.feedback.inner.served import serve_code
from goalward.feedback.inner.wire import decode, encode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take a fifth of a whole run
    from typing import Any, NoReturn

_REPORT = 3  # the pipe to the host: a number within the limits set below, whatever the host's was
_OWN_THREADS = 2  # of this process
_LOOK_EVERY = 0.02  # seconds
OUT_OF_MEMORY = 86
"""The exit status of code that ends with a MemoryError."""


def main() -> NoReturn:
    """Run one job: settings from the command line, orders on standard input, reports on the pipe they name."""
    settings = decode(bytes.fromhex(sys.argv[1]))
    isolated: bool = settings["isolation"] != "none"
    os.dup2(settings["report"], _REPORT)
    os.closerange(_REPORT + 1, 1 << 20)
    _settle(settings, isolated=isolated)
    job = decode(receive(0))
    child, code = _start(job, settings["packages"], isolated=isolated)
    tests = decode(receive(0)) if job["serve"] else None  # only now that the code has a process of its own
    # bwrap can limit the size of a folder, not the number of its files.
    files = settings["files"] if settings["isolation"] == "bubblewrap" else None
    start_new_thread(_keep_watch, (files, isolated))
    if tests is not None:
        _judge(tests, code)
    else:
        _report("exit", _wait(child))
    _end(isolated=isolated)


def _settle(settings: dict[str, Any], *, isolated: bool) -> None:
    """Leave the host, then give up every power but that of setting up the system calls' filter."""
    if settings["isolation"] == "namespaces":
        namespaces.enter(settings["runtime"], settings["links"], settings["devices"])
        confine.make_work_folder(settings["megabytes"], settings["files"], settings["user"])
    confine.drop(settings["user"])
    if isolated:
        os.chdir("/box")
    confine.limit(
        memory=settings["memory"],
        cpu_seconds=settings["cpu_seconds"],
        processes=settings["processes"] + _OWN_THREADS if isolated else None,
        file_size=settings["megabytes"] << 20,
    )


def _start(job: dict[str, Any], packages: list[str], *, isolated: bool) -> tuple[int, Code]:
    """Start the untrusted code in a child; its process id, and the line to it. The child does not return."""
    stdin = _standard_input(job["stdin"])
    confine.filter_calls(isolated=isolated)
    _write_files(job["files"])
    sys.path += packages
    to_code, from_code = os.pipe(), os.pipe()
    _report("started")
    child = os.fork()
    if child == 0:
        _become_the_code(job, stdin, to_code[0], from_code[1], isolated=isolated)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (1, 2):
        os.dup2(null, fd)
    for fd in (to_code[0], from_code[1], stdin, null):
        os.close(fd)
    return child, Code(from_code[0], to_code[1])


def _report(*what: object) -> None:
    """Tell the host. Raises what `send` and `encode` raise."""
    send(_REPORT, encode(list(what)))


def _end(*, isolated: bool) -> NoReturn:
    """Kill every other process here; without namespaces the group, which holds this process too."""
    try:  # noqa: SIM105 (contextlib is slow to import)
        os.kill(-1 if isolated else 0, 9)
    except ProcessLookupError:
        pass
    os._exit(0)


def _keep_watch(files: int | None, isolated: bool) -> None:
    """End when the host does, which keeps its end of the orders' pipe open, or when there are too many files."""
    while not select([0], [], [], _LOOK_EVERY)[0] or os.read(0, 1):
        if files is not None:
            there = os.statvfs("/box")
            if there.f_files - there.f_ffree > files + 1:
                _report("files")
                break
    _end(isolated=isolated)


def _standard_input(text: str) -> int:
    """A file in memory that can be read but not written any more."""
    fd = os.memfd_create("stdin", os.MFD_ALLOW_SEALING)
    data = memoryview(text.encode("utf-8", "surrogatepass"))
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)
    seal_everything = 0xF
    namespaces.checked(namespaces.libc.fcntl(fd, 1033, ctypes.c_int(seal_everything)), "sealing the input")
    return fd


def _write_files(files: dict[str, str]) -> None:
    for name, text in files.items():
        folder = os.path.dirname(name)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)


def _wait(child: int) -> int:
    """The exit status of `child`, as `os.waitstatus_to_exitcode` gives it; every other process is reaped."""
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status)


def _become_the_code(job: dict[str, Any], stdin: int, reads: int, writes: int, *, isolated: bool) -> NoReturn:
    """Run the untrusted code as the main program of this process, or as a module that serves its functions."""
    if isolated:
        os.setsid()
    os.dup2(stdin, 0)
    if not job["serve"]:
        os.closerange(3, confine.OPEN_FILES)
    else:
        os.dup2(reads, 3)
        os.closerange(4, writes)
        os.closerange(writes + 1, confine.OPEN_FILES)
        reads = 3
    name = "solution" if job["serve"] else "__main__"
    module = ModuleType(name)
    sys.modules[name] = module
    sys.argv = [f"{name.strip('_')}.py"]
    sys.path.insert(0, os.getcwd())
    try:
        try:
            exec(_compiled(job["code"], sys.argv[0]), module.__dict__)  # noqa: S102 (what the sandbox is for)
        except SystemExit:
            if not job["serve"]:
                raise
        if job["serve"]:
            serve_code(reads, writes, module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001
        trace = error.__traceback__
        error = error.with_traceback(trace.tb_next if trace else None)  # without our own frame
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(OUT_OF_MEMORY if isinstance(error, MemoryError) else 1)
    sys.exit(0)


def _compiled(code: str, file: str) -> CodeType:
    return compile(code, file, "exec", dont_inherit=True)


def _judge(orders: dict[str, Any], code: Code) -> None:
    """Run the tests, or make the one call, and report each result as it comes."""
    if "call" in orders:
        name, arguments = orders["call"]
        send(_REPORT, _outcome_of_call(code, name, arguments))
        return
    for number, test in enumerate(orders["tests"]):
        passed, note = _passes(test, code)
        _report("test", number, passed, note)


def _outcome_of_call(code: Code, name: str, arguments: list[Any]) -> bytes:
    try:
        function = code.globals([name]).get(name)
        if type(function) is not Remote:
            return encode(["raised", f"there is no function {name}"])
        return encode(["value", function(*arguments)])
    except Exception as error:  # noqa: BLE001 (whatever happened in there is the answer)
        return encode(["raised", _in_words(error)])


def _passes(test: dict[str, Any], code: Code) -> tuple[bool, str]:
    try:
        scope: dict[str, Any] = {"__name__": "tests", **code.globals(test["names"])}
        for module in test["modules"]:
            scope[module] = __import__(module)
        exec(_compiled(test["source"], "test.py"), scope)  # noqa: S102
    except BaseException as error:  # noqa: BLE001 (also SystemExit: a test that leaves has not passed)
        return False, _in_words(error)
    return True, ""


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300].rstrip(": ")
