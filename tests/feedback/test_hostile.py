"""Nothing in hostile.py succeeds, nothing of it survives, and the verdict is right all the same."""

import ctypes
import os
import socket
import sysconfig
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import hostile
import pytest

from goalward.feedback.inner import calls
from goalward.feedback.sandbox import Check, Limits, Sandbox, probe
from goalward.feedback.supervise import tree

WAYS = probe().works
SECRET = f"s3cret-{os.urandom(8).hex()}"
SMALL = Limits(seconds=1, cpu_seconds=2, memory_mb=192, processes=12, files=100, files_mb=8, output_kb=64)
COLUMN = {"x86_64": 0, "aarch64": 1}[os.uname().machine]
NUMBERS = {
    "SOCKETPAIR": calls._SOCKETPAIR,
    "CLONE": calls._CLONE,
    "CAPSET": (126, 91),
    "CAPGET": (125, 90),
    "PIVOT_ROOT": (155, 41),
    "UMOUNT": (166, 39),
    "MOUNT": (165, 40),
    "OPEN_BY_HANDLE": (304, 265),
    "UNSHARE": (272, 97),
    "SECCOMP": (317, 277),
    "PTRACE": (101, 117),
    "VM_READ": (310, 270),
    "VM_WRITE": (311, 271),
    "SHMGET": (29, 194),
}

pytestmark = pytest.mark.skipif(
    not WAYS, reason=f"THE SANDBOX IS NOT TESTED: nothing can shut code in here: {probe().reasons}"
)
each_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Things on the host that must not be reached: a secret, a folder, and servers that count their visitors."""
    folder = tmp_path_factory.mktemp("host")
    folder.chmod(0o777)
    (folder / "secret").write_text(SECRET)
    (folder / "goalward-secret").write_text(SECRET)
    visitors: list[object] = []
    servers = [socket.socket(socket.AF_INET), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    name = f"{os.getpid()}"
    for server, address in zip(
        servers, (("127.0.0.1", 0), f"{folder}/socket", f"\0goalward-{name}"), strict=True
    ):
        server.bind(address)
        server.listen()

    def count(server: socket.socket) -> None:
        while True:
            try:
                visitors.append(server.accept())
            except OSError:
                return

    for server in servers:
        threading.Thread(target=count, args=(server,), daemon=True).start()
    os.environ["GOALWARD_TEST_SECRET"] = SECRET
    yield {
        "FOLDER": str(folder),
        "PORT": str(servers[0].getsockname()[1]),
        "ABSTRACT": name,
        "PROJECT": str(Path(__file__).parents[2]),
        "PACKAGES": sysconfig.get_path("purelib"),
        "DENIED": str([n[COLUMN] for n in calls._DENIED.values() if n[COLUMN] is not None]),
        **{key: str(value[COLUMN]) for key, value in NUMBERS.items()},
    }
    del os.environ["GOALWARD_TEST_SECRET"]
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
    assert not visitors
    assert sorted(path.name for path in folder.iterdir()) == ["goalward-secret", "secret", "socket"]
    assert (folder / "secret").read_text() == SECRET


@pytest.fixture(autouse=True)
def nothing_survives() -> Iterator[None]:
    """Whatever loses its parents comes to this process, which sees it."""
    adopt = partial(ctypes.CDLL(None).prctl, 36)  # PR_SET_CHILD_SUBREAPER
    before = set(tree(os.getpid()))
    adopt(1)
    yield
    adopt(0)
    assert set(tree(os.getpid())) <= before


def filled(code: str, host: dict[str, str]) -> str:
    for name in sorted(host, key=len, reverse=True):
        code = code.replace(name, host[name])
    return hostile.PRELUDE + code


ATTEMPTS = {**hostile.NETWORK, **hostile.FILES, **hostile.POWERS}


@each_way
@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_way_out(name: str, way: str, host: dict[str, str]) -> None:
    outcome = Sandbox(isolation=way).run(filled(ATTEMPTS[name], host))
    assert "ESCAPED" not in outcome.stdout
    assert outcome.stdout.endswith("held\n"), (outcome.status, outcome.stdout[-500:], outcome.stderr[-500:])
    assert outcome.status == "ok", outcome.stderr
    assert SECRET not in outcome.stdout + outcome.stderr


@each_way
@pytest.mark.parametrize("name", hostile.EXHAUSTION)
def test_limits_hold(name: str, way: str) -> None:
    if "other" in name and COLUMN:
        pytest.skip("x86 only")
    status, code = hostile.EXHAUSTION[name]
    began = time.monotonic()
    outcome = Sandbox(isolation=way, limits=SMALL).run(code)
    assert time.monotonic() - began < 15
    # bwrap cannot limit the number of files; process 1 then counts them, and ends it all.
    assert outcome.status in (status, "files") if "many" in name else outcome.status == status, (
        outcome.status,
        outcome.stderr[-500:],
    )
    assert "ESCAPED" not in outcome.stdout
    assert len(outcome.stdout) + len(outcome.stderr) <= 2 * SMALL.output_kb * 1024


TESTS = [
    Check(source="assert add(1, 2) == 3", names=["add"]),
    Check(source="assert abs(add(20, 22) - 42) < 1e-9 and not add(20, 22) != 42", names=["add"]),
    Check(source="import math\nassert math.isclose(add(20, 22), 42)", names=["add", "math"]),
    Check(source="assert 3 in [add(1, 2)] and add(1, 2) in (3,) and {3: 1}[add(1, 2)]", names=["add"]),
]


@each_way
@pytest.mark.parametrize("name", hostile.FORGERIES)
def test_no_verdict_is_forged(name: str, way: str) -> None:
    verdicts = Sandbox(isolation=way, limits=SMALL).check(hostile.FORGERIES[name], TESTS)
    assert [verdict.passed for verdict in verdicts] == [False] * len(TESTS)
    assert all(verdict.note for verdict in verdicts)


@each_way
def test_the_same_tests_pass_honest_code(way: str) -> None:
    verdicts = Sandbox(isolation=way, limits=SMALL).check("def add(a, b): return a + b", TESTS)
    assert [verdict.note for verdict in verdicts] == [""] * len(TESTS)
