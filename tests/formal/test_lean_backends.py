"""A command, a REPL and a Kimina server of one's own: their protocols outside, the extra's Lean inside.

No test here meets a whole toolchain; the header stands for what such a one imports.
"""

import json
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fake_repl import MAIN
from fake_repl import lean as ask_lean

from goalward.errors import GoalwardError, UsageError
from goalward.formal.lean import Job, Lean
from goalward.formal.lean_backends import LeanCli
from goalward.formal.lean_find import LeanSettings, find_lean, library, prelude
from goalward.formal.lean_kimina import KiminaHttp
from goalward.formal.lean_repl import LeanRepl

# The excluded middle rests on something that core Lean has.
CORE = (
    prelude()
    .replace("axiom Classical.em", "axiom propext (p : Prop) : Or p (Not p)\ntheorem Classical.em")
    .replace("Or p (Not p)\n\ntheorem False.elim", "Or p (Not p) := propext p\n\ntheorem False.elim")
)
SWAP = "∀ (p q : Prop), And p q → And q p"
JOBS = [
    Job(statement=SWAP, body="fun p q h => And.intro h.right h.left"),
    Job(statement=SWAP, body="fun p q\n  h => h"),
    Job(statement="∀ (p : Prop), Or p (Not p)", body="Classical.em"),
    Job(statement="False", body="sorry"),
]


def right(oracle: Lean) -> None:
    first, second, third, fourth = oracle.check(JOBS)
    assert [v.status for v in (first, second, third, fourth)] == ["ok", "rejected", "ok", "rejected"], (
        first,
        third,
    )
    assert first.axioms == () and third.axioms == ("propext",)
    assert any(message.startswith("2:8: Type mismatch") for message in second.messages)


@pytest.fixture(scope="session")
def real(lean: Lean) -> str:
    """The path of Lean's library, where there is one."""
    return str(library())


class TestCommand:
    @pytest.fixture
    def command(self, real: str) -> str:
        return shlex.join([sys.executable, "-I", "-S", str(MAIN), str(32 << 30), "60", real])

    def test_a_toolchain_of_ones_own(self, command: str, tmp_path: Path):
        settings = LeanSettings(command=command, header=CORE, folder=str(tmp_path), workers=1)
        oracle = find_lean(settings)
        assert oracle.backend.version == "Lean 4.35.0"
        right(oracle)

    def test_an_axiom_of_the_header_is_not_allowed(self, command: str):
        with pytest.raises(UsageError, match=r"does not judge as Lean should: it rests on Classical\.em"):
            find_lean(LeanSettings(command=command, header=prelude(), workers=1))

    def test_a_header_that_does_not_do(self, command: str):
        with pytest.raises(UsageError, match="does not take the header"):
            find_lean(LeanSettings(command=command, header="import Mathlib", workers=1))

    def test_no_such_program(self):
        with pytest.raises(UsageError, match="there is no program 'no-lake' on this machine"):
            find_lean(LeanSettings(command="no-lake env lean"))

    def test_a_program_that_is_no_lean(self):
        with pytest.raises(UsageError, match="true --version: not what Lean answers"):
            find_lean(LeanSettings(command="true"))

    def test_no_such_folder(self, command: str):
        with pytest.raises(GoalwardError, match="/nowhere: Lean cannot be started there"):
            find_lean(LeanSettings(command=command, folder="/nowhere"))

    def test_a_program_that_accepts_everything_is_found_out(self, tmp_path: Path):
        # It answers each question as a Lean without a kernel would.
        script = tmp_path / "liar.py"
        script.write_text(
            "import json, re, sys\n"
            "if '--version' in sys.argv: print('Lean (version 4.0.0, liar)'); sys.exit()\n"
            "for n, line in enumerate(sys.stdin, 1):\n"
            "    if line.startswith('#print axioms '):\n"
            "        name = line.split()[2].removeprefix('_root_.')\n"
            "        text = f\"'{name}' does not depend on any axioms\"\n"
            "        print(json.dumps({'severity': 'information', 'pos': {'line': n, 'column': 0}, 'data': text}))\n"
        )
        with pytest.raises(UsageError, match="does not judge as Lean should: it accepts what is no proof"):
            find_lean(LeanSettings(command=f"{sys.executable} {script}"))

    def test_what_it_started_ends_with_it(self, tmp_path: Path):
        mark = tmp_path / "child"
        script = f"import subprocess, time; p = subprocess.Popen(['sleep', '100']); open({str(mark)!r}, 'w').write(str(p.pid)); time.sleep(100)"
        cli = LeanCli(command=(sys.executable, "-c", script), header="")
        assert cli.run("", 1.0).ended == "timeout"
        stat = Path(f"/proc/{mark.read_text()}/stat")
        for _ in range(100):  # the kernel may take a moment
            if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return
            time.sleep(0.05)
        pytest.fail("it still runs")

    def test_it_has_limits_and_no_network(self):
        script = (
            "import resource as r, socket, sys; print([r.getrlimit(x)[0] for x in (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_CORE)],"
            " [n for _, n in socket.if_nameindex()], file=sys.stderr); sys.exit(3)"
        )
        ran = LeanCli(command=(sys.executable, "-c", script), header="", memory_mb=3000).run("", 5.0)
        assert ran.ended == "crash"
        assert f"[{3000 << 20}, 25, 0]" in ran.note
        if "eth" in ran.note:
            pytest.skip("this kernel lets nobody leave the network")


class TestRepl:
    @pytest.fixture
    def command(self, real: str) -> tuple[str, ...]:
        return (sys.executable, str(MAIN.parents[3] / "tests" / "formal" / "fake_repl.py"), real)

    @pytest.fixture
    def pool(self, command: tuple[str, ...]) -> Iterator[LeanRepl]:
        pool = LeanRepl(command=command, header=CORE)
        yield pool
        pool.close()

    def test_it_is_found(self, command: tuple[str, ...]):
        oracle = find_lean(LeanSettings(repl=shlex.join(command), header=CORE, workers=1))
        assert oracle.backend.version.endswith("(REPL)")
        right(oracle)
        assert isinstance(oracle.backend, LeanRepl)
        oracle.backend.close()

    def test_the_header_is_read_once(self, pool: LeanRepl):
        right(Lean(backend=pool))
        session = pool._idle.queue[0]
        right(Lean(backend=pool))
        assert pool._idle.queue == [session] and session.uses >= 2 and session.env == 0

    @pytest.mark.parametrize(("word", "status"), [("HANG", "timeout"), ("CRASH", "crash")])
    def test_what_one_proof_does_costs_that_proof_alone(self, pool: LeanRepl, word: str, status: str):
        oracle = Lean(backend=pool, seconds=2.0)
        bomb = Job(statement="True", body=word)
        verdicts = oracle.check([JOBS[0], bomb, JOBS[1]])
        assert [v.status for v in verdicts] == ["ok", status, "rejected"]
        assert ("Stack overflow" in verdicts[1].messages[0]) == (word == "CRASH")

    def test_a_header_that_does_not_do(self, command: tuple[str, ...]):
        with pytest.raises(GoalwardError, match="the REPL does not take the header: "):
            LeanRepl(command=command, header="prelude\ninductive True : Nope\n").run("", 5.0)

    def test_a_program_that_is_no_repl(self):
        with pytest.raises(UsageError, match="does not take the header"):
            find_lean(LeanSettings(repl=f"{sys.executable} -c 'print(1)'", header="import Mathlib"))


@dataclass(slots=True)
class Kimina:
    """A server as project-numina writes it: imports are read apart, positions count from where they end."""

    library: str
    requests: list[dict] = field(default_factory=list)
    failures: int = 0
    reply: object = None

    def verify(self, body: dict) -> object:
        results = []
        for code in body["codes"]:
            if "HANG" in code["proof"]:
                error = f"Lean REPL command timed out in {body['timeout']} seconds"
                results.append({"custom_id": code["custom_id"], "error": error, "response": None})
                continue
            rows = ask_lean(self.library, f"{CORE}\n{code['proof']}")
            messages = [
                {
                    "severity": "info" if row["severity"] == "information" else row["severity"],
                    "pos": {"line": row["pos"]["line"] + 1000, "column": row["pos"]["column"]},
                    "data": row["data"],
                }
                for row in rows
            ]
            response = {"messages": messages, "env": 0, "time": 0.1}
            results.append({"custom_id": code["custom_id"], "error": None, "response": response})
        return {"results": results}


class TestKimina:
    @pytest.fixture
    def server(self, real: str) -> Iterator[tuple[Kimina, str]]:
        kimina = Kimina(real)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                kimina.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
                kimina.failures -= 1
                self.send_response(503 if kimina.failures >= 0 else 200)
                self.end_headers()
                self.wfile.write(json.dumps(kimina.reply or kimina.verify(body)).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with HTTPServer(("127.0.0.1", 0), Handler) as http:
            thread = threading.Thread(target=http.serve_forever)
            thread.start()
            yield kimina, f"http://127.0.0.1:{http.server_port}"
            http.shutdown()
            thread.join()

    def test_it_is_found_and_asked_as_its_readme_says(
        self, server: tuple[Kimina, str], monkeypatch: pytest.MonkeyPatch
    ):
        kimina, url = server
        monkeypatch.setenv("LEAN_SERVER_API_KEY", "secret")
        oracle = find_lean(LeanSettings(server=f"{url}/", header="-- import Mathlib", workers=1))
        right(oracle)
        request = kimina.requests[-1]
        assert request["path"] == "/verify" and request["key"] == "Bearer secret" and request["timeout"] >= 10
        (code,) = request["codes"]
        assert code["proof"].startswith("-- import Mathlib\ntheorem anchor_") and "secret" not in repr(oracle)

    def test_a_proof_that_takes_too_long(self, server: tuple[Kimina, str]):
        _, url = server
        oracle = Lean(backend=KiminaHttp(url=url, header="", workers=1))
        verdicts = oracle.check([JOBS[0], Job(statement="True", body="HANG")])
        assert [v.status for v in verdicts] == ["ok", "timeout"]

    def test_a_busy_server_is_asked_again(self, server: tuple[Kimina, str]):
        kimina, url = server
        kimina.failures = 1
        assert Lean(backend=KiminaHttp(url=url, header="")).check(JOBS[:1])[0].status == "ok"
        assert len(kimina.requests) == 2

    def test_another_kind_of_server(self, server: tuple[Kimina, str]):
        kimina, url = server
        kimina.reply = {"hello": 1}
        with pytest.raises(GoalwardError, match="not what a Kimina server answers"):
            Lean(backend=KiminaHttp(url=url, header="")).check(JOBS[:1])

    def test_no_server(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("goalward.formal.lean_kimina._TRIES", 1)
        with pytest.raises(UsageError, match=r"http://127.0.0.1:9/verify: "):
            find_lean(LeanSettings(server="http://127.0.0.1:9"))


def test_settings_that_make_no_sense():
    for settings, why in (
        ({"command": "lean", "repl": "repl"}, "already"),
        ({"header": "import Mathlib"}, "has its own"),
        ({"server": "localhost"}, "no http"),
        ({"seconds": 0}, "above 0"),
    ):
        with pytest.raises(UsageError, match=why):
            LeanSettings(**settings)


def test_without_lean_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("goalward.formal.lean_find.library", lambda: None)
    with pytest.raises(UsageError, match=r"there is no Lean here: pip install 'goalward\[lean\]'"):
        find_lean()
