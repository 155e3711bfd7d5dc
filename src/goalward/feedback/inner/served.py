"""The code's side of the line: it does to its own objects what the tests ask for, and says what came of it."""

from __future__ import annotations

import operator

from goalward.feedback.inner.peer import ARITHMETIC, COMPARE, FUNCTION, ITEMS, OBJECT, REFERENCE, Peer
from goalward.feedback.inner.wire import Handle, encode

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take a fifth of a whole run
    from collections.abc import Callable
    from typing import Any


def serve_code(reads: int, writes: int, names: dict[str, Any]) -> None:
    """Answer for the globals `names` of the code, until the tests hang up. Runs in the code's process."""
    objects: list[object] = []

    def handle(value: object) -> Handle:
        if isinstance(value, _Callback):
            return FUNCTION, value.number
        objects.append(value)
        return OBJECT, len(objects) - 1

    def value(handle: Handle) -> Any:
        kind, number = handle
        return objects[number] if kind == REFERENCE else _Callback(peer, number)

    def call(function: Any, arguments: list[Any], named: dict[str, Any]) -> tuple[Any, list[tuple[int, Any]]]:
        before = [encode(argument, lambda _: (b"-", 0)) for argument in arguments]
        result = function(*arguments, **named)
        after = [encode(argument, lambda _: (b"-", 0)) for argument in arguments]
        changed = [n for n, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        return result, [(n, arguments[n]) for n in changed]

    questions: dict[str, Callable[..., object]] = {
        "names": lambda wanted: [name for name in wanted if name in names],
        "global": lambda name: names[name],
        "call": call,
        "getattr": getattr,
        "setattr": setattr,
        "isinstance": isinstance,
        "len": len,
        "bool": bool,
        "str": str,
        "repr": repr,
        "hash": hash,
        "iter": iter,
        "next": next,
        **{name: getattr(operator, name) for name in (*COMPARE, *ARITHMETIC, *ITEMS)},
    }
    peer = Peer(reads, writes, answer=lambda name, *rest: questions[name](*rest), handle=handle, value=value)
    peer.serve()


class _Callback:
    """A function of the test, as the code sees it."""

    def __init__(self, peer: Peer, number: int) -> None:
        self._peer, self.number = peer, number

    def __call__(self, *arguments: object) -> Any:
        return self._peer.ask(self.number, list(arguments))
