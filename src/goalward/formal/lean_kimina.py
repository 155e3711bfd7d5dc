"""Lean on another machine: a Kimina Lean Server (project-numina), asked over HTTP.

POST /verify takes {"codes": [{"custom_id", "proof"}], "timeout"} and gives {"results": [{"custom_id", "error",
"response"}]}, where a response has the REPL's messages.
"""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from goalward.errors import GoalwardError
from goalward.formal.lean_backends import CORE_AXIOMS, Ran
from goalward.formal.lean_repl import read_rows

_TRIES = 3
_WAIT = 60.0  # seconds, besides the proof's own: for a free process, and to read the header
_LONGEST = 1 << 28  # bytes of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class KiminaHttp:
    """One server.

    url: up to and without /verify; header: what every file starts with; the server keeps processes that have read
    its imports; key: sent as a bearer token where the server wants one.
    """

    url: str
    header: str
    version: str = "Lean by Kimina"
    axioms: frozenset[str] = CORE_AXIOMS
    key: str = field(default="", repr=False)
    workers: int = 8

    def run(self, source: str, seconds: float) -> Ran:
        """See Backend. Raises GoalwardError where the server cannot be asked."""
        began = time.monotonic()
        file = {"custom_id": "file", "proof": f"{self.header}\n{source}"}
        reply = self._post({"codes": [file], "timeout": max(1, round(seconds))}, seconds + _WAIT)
        spent = time.monotonic() - began
        try:
            (result,) = reply["results"]
            error, response = result.get("error"), result.get("response") or {}
            error = error or response.get("message")
        except (KeyError, TypeError, ValueError, AttributeError):
            raise GoalwardError(
                f"{self.url}/verify: not what a Kimina server answers: {reply!r:.200}"
            ) from None
        if error:
            # Neither is a verdict; the server has no other way to tell them apart.
            ended = "timeout" if "timed out" in str(error) else "crash"
            return Ran(ended=ended, messages=(), note=str(error)[:200], seconds=spent)  # type: ignore[arg-type]
        return Ran(ended="done", messages=read_rows(response.get("messages")), note="", seconds=spent)

    def _post(self, body: object, timeout: float) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(  # noqa: S310 (checked: http or https)
            f"{self.url}/verify", data=json.dumps(body).encode(), headers=headers
        )
        problem = ""
        for attempt in range(_TRIES):
            time.sleep(attempt)
            try:
                with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
                    return json.loads(response.read(_LONGEST))
            except urllib.error.HTTPError as error:
                with error:
                    problem = f"answered {error.code} {error.reason}"
                if error.code < 500 and error.code != 429:
                    break
            except (OSError, HTTPException, ValueError) as error:
                problem = f"{type(error).__name__}: {error}"
        raise GoalwardError(f"{self.url}/verify: {problem}")
