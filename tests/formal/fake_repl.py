"""What leanprover-community/repl does, in the small: its protocol outside, Lean's command line inside.

python fake_repl.py LIBRARY
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import goalward.formal as room

MAIN = Path(room.__path__[0]) / "lean_main.py"


def lean(library: str, text: str) -> list[dict]:
    command = [sys.executable, "-I", "-S", str(MAIN), str(4 << 30), "60", library]
    options = ["-j1", "-s8192", "-DElab.async=false", "-DmaxErrors=0", "--stdin", "--json"]
    done = subprocess.run([*command, *options], input=text, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


def answer(library: str, request: dict, environments: list[str]) -> dict:
    before = ""
    if "env" in request:
        if request["env"] >= len(environments):
            return {"message": "Unknown environment."}
        before = environments[request["env"]]
    text = before + request["cmd"]
    lines = before.count("\n")
    messages = [
        {
            "severity": "info" if row["severity"] == "information" else row["severity"],
            "pos": {"line": row["pos"]["line"] - lines, "column": row["pos"]["column"]},
            "endPos": None,
            "data": row["data"],
        }
        for row in lean(library, text)
        if row["pos"]["line"] > lines
    ]
    environments.append(text + "\n")
    found = {"env": len(environments) - 1}
    return {**found, "messages": messages} if messages else found


def main() -> None:
    environments: list[str] = []
    block: list[str] = []
    for line in sys.stdin:
        if line.strip():
            block.append(line)
            continue
        if not block:
            continue
        request = json.loads("".join(block))
        block = []
        if "HANG" in request["cmd"]:
            time.sleep(60)
        if "CRASH" in request["cmd"]:
            sys.exit("Stack overflow detected. Aborting.")
        print(json.dumps(answer(sys.argv[1], request, environments), indent=1) + "\n", flush=True)


if __name__ == "__main__":
    main()
