"""Tests in one process, the code under test in another.

The code's process only ever learns which function to call and with what; it sends back plain values, which are
made anew on the tests' side, or handles to objects that stay where they are. So neither `__eq__`, nor patched
builtins, nor leaving the process can reach a verdict. The rule that keeps it so: what an object of the code says
about *itself and a value of the test* never counts. Equality with a plain value is False, order and arithmetic
with one are refused, `in` compares on the tests' side.
"""

from __future__ import annotations

import builtins
import operator
from types import FunctionType

from goalward.feedback.inner.wire import BrokenError, Handle, decode, encode, receive, send

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take a fifth of a whole run
    from collections.abc import Callable, Iterator
    from typing import Any

_OBJECT, _REFERENCE, _FUNCTION = b"o", b"r", b"f"


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


def serve_code(reads: int, writes: int, names: dict[str, Any]) -> None:
    """Answer for the globals `names` of the code, until the tests hang up. Runs in the code's process."""
    objects: list[object] = []

    def handle(value: object) -> Handle:
        if isinstance(value, _Callback):
            return _FUNCTION, value.number
        objects.append(value)
        return _OBJECT, len(objects) - 1

    def value(handle: Handle) -> Any:
        kind, number = handle
        return objects[number] if kind == _REFERENCE else _Callback(peer, number)

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
        **{name: getattr(operator, name) for name in (*_COMPARE, *_ARITHMETIC, *_ITEMS)},
    }
    peer = Peer(reads, writes, answer=lambda name, *rest: questions[name](*rest), handle=handle, value=value)
    peer.serve()


class _Callback:
    """A function of the test, as the code sees it."""

    def __init__(self, peer: Peer, number: int) -> None:
        self._peer, self.number = peer, number

    def __call__(self, *arguments: object) -> Any:
        return self._peer.ask(self.number, list(arguments))


class Code:
    """The code under test, as the tests see it."""

    def __init__(self, reads: int, writes: int) -> None:
        self._functions: list[FunctionType] = []
        self._peer = Peer(reads, writes, answer=self._call_back, handle=self._handle, value=self._value)

    def globals(self, names: list[str]) -> dict[str, Any]:
        """Those of `names` that the code defines; plain data as it is, everything else as a stand-in."""
        present = self._peer.ask("names", names)
        return {name: self._peer.ask("global", name) for name in names if name in present}

    def _handle(self, value: object) -> Handle:
        if type(value) is Remote:
            return _REFERENCE, _number(value)
        # Nothing but the tests' own functions: a built-in one such as eval would be a way in.
        if type(value) is FunctionType:
            self._functions.append(value)
            return _FUNCTION, len(self._functions) - 1
        raise TypeError(f"the test cannot hand a {type(value).__name__} to the code")

    def _value(self, handle: Handle) -> Any:
        kind, number = handle
        if kind == _FUNCTION:
            return self._functions[number]
        return Remote(self._peer, number)

    def _call_back(self, number: int, arguments: list[Any]) -> object:
        return self._functions[number](*arguments)


class Remote:
    """An object in the code's process. See the rule at the top of this file."""

    __slots__ = ("_Remote__ask", "_Remote__number")

    def __init__(self, peer: Peer, number: int) -> None:
        self.__ask: Callable[..., Any]
        self.__number: int
        object.__setattr__(self, "_Remote__ask", peer.ask)
        object.__setattr__(self, "_Remote__number", number)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it; what it changed in place in its arguments is changed here too."""
        result, changed = self.__ask("call", self, list(arguments), named)
        for index, new in changed:
            _change(arguments[index], new)
        return result

    def __getattr__(self, name: str) -> Any:
        return self.__ask("getattr", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self.__ask("setattr", self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(other) is Remote and self.__ask("eq", self, other) is True

    def __hash__(self) -> int:
        return int(self.__ask("hash", self))

    def __bool__(self) -> bool:
        return self.__ask("bool", self) is True

    def __len__(self) -> int:
        return int(self.__ask("len", self))

    def __str__(self) -> str:
        return str(self.__ask("str", self))

    def __repr__(self) -> str:
        return str(self.__ask("repr", self))

    def __getitem__(self, key: object) -> Any:
        return self.__ask("getitem", self, key)

    def __setitem__(self, key: object, value: object) -> None:
        self.__ask("setitem", self, key, value)

    def __delitem__(self, key: object) -> None:
        self.__ask("delitem", self, key)

    def __iter__(self) -> Iterator[Any]:
        iterator = self.__ask("iter", self)
        return iterator if type(iterator) is Remote else iter(iterator)

    def __next__(self) -> Any:
        return self.__ask("next", self)

    def __instancecheck__(self, instance: object) -> bool:
        return type(instance) is Remote and self.__ask("isinstance", instance, self) is True


def _number(remote: Remote) -> int:
    return int(object.__getattribute__(remote, "_Remote__number"))


def _change(old: Any, new: Any) -> None:
    """What the code did to an argument of the test: changes in place are part of a function's work."""
    if type(old) is list and type(new) is list:
        old[:] = new
    elif type(old) in (dict, set) and type(new) is type(old):
        old.clear()
        old.update(new)


_COMPARE = ("eq", "lt", "le", "gt", "ge")
_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor")
_ITEMS = ("getitem", "setitem", "delitem")


def _between_remotes(name: str) -> Callable[[Remote, object], Any]:
    def method(self: Remote, other: object) -> Any:
        if type(other) is not Remote:
            return NotImplemented
        return object.__getattribute__(self, "_Remote__ask")(name, self, other)

    return method


for _name in (*_COMPARE[1:], *_ARITHMETIC):
    setattr(Remote, f"__{_name.strip('_')}__", _between_remotes(_name))
