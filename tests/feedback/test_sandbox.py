import math
import signal
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from goalward.errors import UsageError
from goalward.feedback import sandbox as module
from goalward.feedback.sandbox import CallError, Check, Limits, Probe, Sandbox, SandboxError, probe
from goalward.feedback.supervise import tree

WAYS = probe().works
needs_sandbox = pytest.mark.skipif(
    not WAYS, reason=f"NOT TESTED: nothing can shut code in: {probe().reasons}"
)
ways = pytest.mark.parametrize("isolation", [*WAYS, "none"])


def made(isolation: Any, **limits: Any) -> Sandbox:
    return Sandbox(isolation=isolation, unsafe=isolation == "none", limits=Limits(**limits))


@ways
def test_a_program_runs_as_programs_do(isolation: str) -> None:
    code = (
        "import sys, os\nname = input()\nprint('hello', name, __name__, open('a/b').read(), sorted(os.listdir()))\n"
        "print('beware', file=sys.stderr)\nsys.exit(3)"
    )
    outcome = made(isolation).run(code, stdin="Ada\nrest", files={"a/b": "text"})
    assert (outcome.status, outcome.stdout) == ("error", "hello Ada __main__ text ['a']\n")
    assert outcome.stderr == "beware\n"
    assert 0 < outcome.seconds < 10


@ways
def test_the_traceback_is_the_programs_own(isolation: str) -> None:
    outcome = made(isolation).run("def f():\n    return 1 / 0\nf()")
    assert outcome.status == "error"
    assert outcome.stderr.splitlines() == [
        "Traceback (most recent call last):",
        '  File "main.py", line 3, in <module>',
        '  File "main.py", line 2, in f',
        "ZeroDivisionError: division by zero",
    ]


@ways
def test_what_honest_programs_use_works(isolation: str) -> None:
    code = """
import asyncio, concurrent.futures, multiprocessing, subprocess, sys, tempfile, threading, random, datetime, zoneinfo
asyncio.run(asyncio.sleep(0))
with concurrent.futures.ThreadPoolExecutor(2) as pool: assert list(pool.map(abs, [-1])) == [1]
with multiprocessing.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
tempfile.TemporaryFile().write(b'x')
assert subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True, text=True).stdout == '1\\n'
zoneinfo.ZoneInfo('Europe/Paris')
print('é', end='')
"""
    outcome = made(isolation).run(code)
    assert (outcome.status, outcome.stdout) == ("ok", "é"), outcome.stderr


@ways
def test_every_run_starts_anew(isolation: str) -> None:
    place = made(isolation)
    assert place.run("open('left', 'w').close()").status == "ok"
    assert place.run("import os; print(os.listdir())").stdout == "[]\n"


@ways
def test_limits_without_malice(isolation: str) -> None:
    place = made(isolation, seconds=1, memory_mb=128, files_mb=4, output_kb=16)
    assert place.run("while True: pass").status == "timeout"
    assert place.run("x = bytearray(200 << 20)").status == "memory"
    assert place.run("open('f', 'wb').write(bytes(9 << 20))").status == "error"
    assert place.run("while True: print(1)").status == "output"
    if isolation == "none":  # the kernel counts for us where there are namespaces
        crowd = "import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(9)"
        assert made(isolation, processes=8).run(crowd).status == "processes"
    assert place.run("print(1)").stdout == "1\n"


def test_without_isolation_the_group_still_dies_and_the_network_is_still_refused() -> None:
    place = made("none", seconds=1)
    code = "import os, time\nif os.fork() == 0:\n    if os.fork() == 0: time.sleep(987654)\n    os._exit(0)\nos.wait()"
    assert place.run(code).status == "ok"
    assert place.run(f"{code}\ntime.sleep(9)").status == "timeout"
    assert place.run("import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(987654)").status == "timeout"
    assert "PermissionError" in place.run("import os\nos.setsid()").stderr
    assert "PermissionError" in place.run("import socket\nsocket.socket()").stderr
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "goalward.feedback.inner.init" not in lines


VALUES = [
    None, True, -1, 2**70, -(2**63), 1.5, float("inf"), 2 + 1j, "é\ud800", b"\0\xff", [1, [2, ()]], (1, (2,)),
    {"a": {1: None}}, {1, 2}, frozenset({3}), Decimal("1.10"), date(2024, 2, 29), 10**5000,
]  # fmt: skip


@ways
def test_values_come_back_as_they_went(isolation: str) -> None:
    returned = made(isolation).call("def same(*v): return list(v)", "same", VALUES)
    assert returned == VALUES
    assert [type(value) for value in returned] == [type(value) for value in VALUES]
    assert math.isnan(made(isolation).call("def f(): return float('nan')", "f", []))


@ways
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def f(): raise KeyError('k')", "KeyError: 'k'"),
        ("def f(): return object()", "not a plain value"),
        ("def f(): return f", "not a plain value"),
        ("g = 1", "no function f"),
        ("f = 1", "no function f"),
        ("1 / 0", "ZeroDivisionError"),
        ("def f(", "SyntaxError"),
        ("import os\ndef f(): os._exit(0)", "ended its process"),
        ("import sys\ndef f(): sys.exit(0)", "SystemExit"),
        ("def f():\n    while True: pass", "out of time"),
        ("def f(): return 'x' * (5 << 20)", "4 MB"),
    ],
)
def test_a_call_that_fails_says_why(isolation: str, code: str, said: str) -> None:
    with pytest.raises(CallError, match=said):
        made(isolation, seconds=1).call(code, "f", [])


CLASSES = """
class Stack:
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item)
    def pop(self): return self.items.pop()
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __getitem__(self, i): return self.items[i]
class Vector:
    def __init__(self, x): self.x = x
    def __add__(self, other): return Vector(self.x + other.x)
    def __eq__(self, other): return self.x == other.x
    def __lt__(self, other): return self.x < other.x
    def __repr__(self): return f'Vector({self.x})'
def sort(items): items.sort()
def keep(function, items): return filter(function, items)
def squares(n):
    for i in range(n): yield i * i
def refuse(x): raise ValueError(f'no {x}')
def sqrt(x): return x ** 0.5
LIMIT = 7
"""


@needs_sandbox
@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("s = Stack(); s.push(1); s.push('a')\nassert len(s) == 2 and s.pop() == 'a' and list(s) == [1] and s[0] == 1", ["Stack"]),
        ("assert Vector(1) + Vector(2) == Vector(3) and Vector(1) < Vector(2) and (Vector(1) + Vector(1)).x == 2", ["Vector"]),
        ("assert str(Vector(1)) == 'Vector(1)' and isinstance(Vector(1), Vector) and not isinstance(3, Vector)", ["Vector"]),
        ("items = [3, 1, 2]; assert sort(items) is None; assert items == [1, 2, 3]", ["sort"]),
        ("assert list(keep(lambda x: x > 1, [1, 2, 3])) == [2, 3]", ["keep"]),
        ("assert list(squares(3)) == [0, 1, 4] and 4 in squares(3) and 5 not in squares(3)", ["squares"]),
        ("try: refuse(4)\nexcept ValueError as e: assert str(e) == 'no 4'\nelse: assert False", ["refuse"]),
        ("def check(f): assert f(4) == 2 and abs(f(2) - 1.41421356) < 1e-6\ncheck(sqrt)", ["sqrt", "check"]),
        ("assert LIMIT == 7", ["LIMIT"]),
        ("v = Vector(1); v.x = 5; assert v.x == 5", ["Vector"]),
    ],
)  # fmt: skip
def test_tests_reach_functions_classes_and_what_they_change(source: str, names: list[str]) -> None:
    (verdict,) = Sandbox().check(CLASSES, [Check(source=source, names=names)])
    assert verdict.passed, verdict.note


@needs_sandbox
def test_verdicts_before_a_time_out_are_kept() -> None:
    tests = [Check(source=f"assert f({n}) == {n}", names=["f"]) for n in range(3)]
    code = "def f(n):\n    while n == 1: pass\n    return n"
    verdicts = Sandbox(limits=Limits(seconds=1)).check(code, tests)
    assert [verdict.passed for verdict in verdicts] == [True, False, False]
    assert "out of time" in verdicts[1].note


@needs_sandbox
def test_packages_only_where_they_are_asked_for() -> None:
    assert Sandbox().run("import numpy").status == "error"
    outcome = Sandbox(packages=True).run("import numpy; print(numpy.ones((3, 3)).sum())")
    assert outcome.stdout == "9.0\n", outcome.stderr
    assert Sandbox(packages=True).call("import numpy\ndef f(): return numpy.float32(0.5)", "f", []) == 0.5


@ways
@pytest.mark.parametrize("code", ["import time; time.sleep(987654)", "while True: pass"])
def test_nothing_outlives_the_host(isolation: str, code: str) -> None:
    make = f"Sandbox(isolation={isolation!r}, unsafe={isolation == 'none'}, limits=Limits(seconds=60))"
    script = f"from goalward.feedback.sandbox import Limits, Sandbox; {make}.run({code!r})"
    host = subprocess.Popen([sys.executable, "-c", script])
    inside: list[int] = []
    deadline = time.monotonic() + 20
    while len(inside) < 3 - (isolation == "none") and time.monotonic() < deadline:
        time.sleep(0.05)
        inside = tree(host.pid)[1:]
    time.sleep(0.1)
    host.send_signal(signal.SIGKILL)
    host.wait()
    while any(map(alive, inside)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert inside and not [pid for pid in inside if alive(pid)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@needs_sandbox
def test_no_descriptor_is_left_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        Sandbox().run("print(1)")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_where_nothing_works_it_refuses_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "probe", lambda: Probe(works=(), reasons={"bubblewrap": "not installed"}))
    with pytest.raises(SandboxError, match=r"not installed.*\n.*apt install bubblewrap.*unsafe=True"):
        Sandbox().run("print(1)")
    assert Sandbox(unsafe=True).run("print(1)").stdout == "1\n"


def test_no_isolation_must_be_said_twice() -> None:
    with pytest.raises(UsageError, match="unsafe=True"):
        Sandbox(isolation="none").run("print(1)")


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", ""])
def test_files_stay_in_the_folder(name: str) -> None:
    with pytest.raises(UsageError, match="no path inside"):
        Sandbox().run("", files={name: ""})


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"memory_mb": -1}, {"files": 0}, {"seconds": math.nan}])
def test_limits_make_sense(limits: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="more than 0"):
        Limits(**limits)


@needs_sandbox
def test_the_probe_tells_what_works() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "goalward.feedback.sandbox"], capture_output=True, text=True, check=False
    )
    assert printed.returncode == 0
    assert f"{WAYS[0]}: works" in printed.stdout
