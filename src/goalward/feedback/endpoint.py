"""Asking a model over an OpenAI-compatible HTTP endpoint: retries, a cache on disk, a cap on cost and on time."""

import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from goalward.errors import GoalwardError, UsageError
from goalward.runs.files import write_atomic
from goalward.schema import Place
from goalward.types import Feedback

OPENAI = "https://api.openai.com/v1"
_PASSING = {408, 409, 425, 429}  # statuses that another try may change, besides 500 and above
_LONGEST = 10_000_000  # bytes of a reply


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """Where a judge is asked, and what it may take.

    base_url: up to and with `/v1`; without it the environment's OPENAI_BASE_URL, else OpenAI's own;
    api_key_env: the environment variable that holds the key; other servers may want none;
    concurrency: requests under way at once; tries: of one request; timeout: seconds for one try;
    max_seconds: for one batch of attempts, such as a training step's; what is not judged by then has an error;
    max_cost: dollars that this grader may spend in one run of the program, reckoned by the reply's token counts
    and input_price and output_price (dollars for a million tokens); requests under way may go beyond it;
    cache: the folder that keeps replies by request, for ever; "" keeps none.
    """

    base_url: str = ""
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 8
    tries: int = 5
    timeout: float = 60.0
    max_seconds: float = 600.0
    max_cost: float | None = None
    input_price: float | None = None
    output_price: float | None = None
    cache: str = "~/.cache/goalward/judge"

    def endpoint(self, place: Place) -> "Endpoint":
        """Raises UsageError for settings that make no sense, and where OpenAI is asked without a key."""
        for key in ("concurrency", "tries", "timeout", "max_seconds"):
            if getattr(self, key) <= 0:
                raise UsageError(f"{place.at(key)}: must be above 0, found {getattr(self, key)}")
        if self.max_cost is not None and (self.input_price is None or self.output_price is None):
            raise UsageError(f"{place.at('max_cost')}: a cap on cost needs input_price and output_price")
        url = (self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise UsageError(f"{place.at('base_url')}: {url!r} is no http:// or https:// address")
        key = os.environ.get(self.api_key_env, "").strip()
        if not (key.isascii() and key.isprintable()):  # else a later error would print it
            raise UsageError(f"{place.at('api_key_env')}: {self.api_key_env} holds what cannot be a key")
        if url == OPENAI and not key:
            raise UsageError(
                f"{place.at('api_key_env')}: the environment has no {self.api_key_env}; set it, or base_url"
            )
        return Endpoint(settings=self, url=f"{url}/chat/completions", key=key)


@dataclass(slots=True)
class Ledger:
    """Dollars spent so far; threads share it."""

    spent: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One model server, with what has been spent on it."""

    settings: EndpointSettings
    url: str
    key: str = field(repr=False)
    ledger: Ledger = field(default_factory=Ledger)

    def ask(self, request: str, read: Callable[[str], Feedback], deadline: float) -> Feedback:
        """What `read` makes of the reply to `request` (the body, JSON), from the cache if it is there.

        `read` raises GoalwardError for a reply that it cannot read; such a reply is not kept. `deadline` is by
        `time.monotonic`. Raises GoalwardError where no reply was to be had.
        """
        kept = self._kept(request)
        if kept is not None and kept.exists():
            return read(kept.read_text(encoding="utf-8"))
        content = self._content(self._post(request.encode(), deadline))
        feedback = read(content)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(kept, content.encode(errors="replace"))
        return feedback

    def _kept(self, request: str) -> Path | None:
        if not self.settings.cache:
            return None
        name = sha256(f"{self.url}\n{request}".encode()).hexdigest()
        return Path(self.settings.cache).expanduser() / name[:2] / f"{name}.txt"

    def _content(self, reply: Any) -> str:
        try:
            self._pay(reply)
            message = reply["choices"][0]["message"]
            content = message.get("content")
            refusal = message.get("refusal")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise GoalwardError(f"the judge's reply is no chat completion: {reply!r:.200}") from None
        if not isinstance(content, str) or not content:
            raise GoalwardError(f"the judge gave no answer: {refusal!r:.200}")
        return content

    def _pay(self, reply: Mapping[str, Any]) -> None:
        settings = self.settings
        if settings.max_cost is None:
            return
        usage = reply["usage"]
        cost = usage["prompt_tokens"] * (settings.input_price or 0)
        cost += usage["completion_tokens"] * (settings.output_price or 0)
        with self.ledger.lock:
            self.ledger.spent += cost / 1e6

    def _post(self, body: bytes, deadline: float) -> Any:
        for attempt in range(self.settings.tries):
            if self.settings.max_cost is not None and self.ledger.spent >= self.settings.max_cost:
                raise GoalwardError(f"the judge's max_cost of ${self.settings.max_cost:g} is spent")
            try:
                return self._post_once(body, deadline)
            except urllib.error.HTTPError as error:
                with error:
                    problem = f"the judge's server answered {error.code}: {_said(error)}"
                    wait = _seconds(error.headers.get("Retry-After"))
                if error.code not in _PASSING and error.code < 500:
                    raise GoalwardError(problem) from None
            except (OSError, HTTPException, ValueError) as error:  # ValueError: a body that is no JSON
                problem, wait = f"the judge's server: {type(error).__name__}: {error}", None
            if wait is None:
                wait = min(30.0, 0.5 * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311 (no secret)
            if attempt + 1 < self.settings.tries:
                time.sleep(max(0.0, min(wait, deadline - time.monotonic())))
        raise GoalwardError(f"{problem} (tried {self.settings.tries} times)")

    def _post_once(self, body: bytes, deadline: float) -> Any:
        left = deadline - time.monotonic()
        if left <= 0:
            raise GoalwardError(f"the judge's max_seconds of {self.settings.max_seconds:g} s are over")
        ends = time.monotonic() + min(left, self.settings.timeout)
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url, data=body, headers=headers)  # noqa: S310 (checked: http or https)
        read = b""
        with _OPENER.open(request, timeout=ends - time.monotonic()) as response:
            while piece := response.read1(65536):
                read += piece
                if time.monotonic() > ends or len(read) > _LONGEST:
                    raise TimeoutError("the reply takes too long")
        return json.loads(read)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: following one would hand the key to another server."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _said(error: urllib.error.HTTPError) -> str:
    try:
        text = error.read(10_000).decode(errors="replace")
    except OSError:
        return str(error.reason)
    try:
        return str(json.loads(text)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:200] or str(error.reason)


def _seconds(header: str | None) -> float | None:
    try:
        return min(300.0, max(0.0, float(header))) if header else None
    except ValueError:
        return None
