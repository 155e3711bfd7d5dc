"""The line between two processes that ask each other and answer while they wait: the tests', and the code's.

A frame is ("ask", question), ("answer", value) or ("raise", (name of a built-in exception, text)), in the language of
`wire`. Questions of the tests begin with one of the names below; those of the code are (number of a function of the
tests, arguments). What is no plain value crosses as a handle; its three kinds are named here.
"""

from __future__ import annotations

import builtins

from goalward.feedback.inner.wire import BrokenError, Handle, decode, encode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take a fifth of a whole run
    from collections.abc import Callable
    from typing import Any

OBJECT, REFERENCE, FUNCTION = b"o", b"r", b"f"
"""An object of the code, on its way to the tests; the same, on its way back; a function of the tests, either way."""

COMPARE = ("eq", "lt", "le", "gt", "ge")
ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor")
ITEMS = ("getitem", "setitem", "delitem")


class RemoteError(Exception):
    """The code raised what is no built-in exception, or ended."""


class Peer:
    """One end of the line. Either end asks and waits; while it waits it answers."""

    def __init__(
        self,
        reads: int,
        writes: int,
        *,
        answer: Callable[..., object],
        handle: Callable[[object], Handle],
        value: Callable[[Handle], Any],
    ) -> None:
        self._reads, self._writes = reads, writes
        self._answer, self._handle, self._value = answer, handle, value

    def ask(self, *question: object) -> Any:
        """What the other end answers. Raises what it raised, where that is a built-in exception, or RemoteError."""
        try:
            self._send("ask", question)
            return self._listen()
        except (EOFError, OSError):
            raise RemoteError("the code ended its process") from None
        except BrokenError as error:
            raise RemoteError(str(error)) from None

    def serve(self) -> None:
        """Answer until the other end hangs up."""
        try:
            self._listen()
        except EOFError:
            return

    def _send(self, kind: str, content: object) -> None:
        send(self._writes, encode((kind, content), self._handle))

    def _listen(self) -> Any:
        while True:
            frame = decode(receive(self._reads), self._value)
            if not (isinstance(frame, tuple) and len(frame) == 2):
                raise BrokenError("no answer")
            kind, content = frame
            if kind == "answer":
                return content
            if kind == "raise":
                raise _exception(*content)
            self._reply(content)

    def _reply(self, question: Any) -> None:
        try:
            self._send("answer", self._answer(*question))
        except (EOFError, OSError):
            raise
        except BaseException as error:  # noqa: BLE001 (also SystemExit: the other end hears of it)
            known = next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
            try:
                # The argument rather than the text, which for a KeyError has quotes around it.
                only = error.args[0] if len(error.args) == 1 else error
                text = str(only)[:500]
            except Exception:  # noqa: BLE001 (the code's own __str__)
                text = ""
            self._send("raise", (known.__name__, text))


def _exception(name: object = None, text: object = "") -> Exception:
    kind = getattr(builtins, str(name), None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text)
        except TypeError:
            pass
    return RemoteError(f"{name}: {text}")
