"""Tests in one process, the code under test in another.

The code's process only ever learns which function to call and with what; it sends back plain values, which are
made anew on the tests' side, or handles to objects that stay where they are. So neither `__eq__`, nor patched
builtins, nor leaving the process can reach a verdict. The rule that keeps it so: what an object of the code says
about *itself and a value of the test* never counts. Equality with a plain value is False, order and arithmetic
with one are refused, `in` compares on the tests' side.
"""

from __future__ import annotations

from types import FunctionType

from goalward.feedback.inner.peer import ARITHMETIC, COMPARE, FUNCTION, REFERENCE, Peer
from goalward.feedback.inner.wire import Handle

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take a fifth of a whole run
    from collections.abc import Callable, Iterator
    from typing import Any


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
            return REFERENCE, _number(value)
        # Nothing but the tests' own functions: a built-in one such as eval would be a way in.
        if type(value) is FunctionType:
            self._functions.append(value)
            return FUNCTION, len(self._functions) - 1
        raise TypeError(f"the test cannot hand a {type(value).__name__} to the code")

    def _value(self, handle: Handle) -> Any:
        kind, number = handle
        if kind == FUNCTION:
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


def _between_remotes(name: str) -> Callable[[Remote, object], Any]:
    def method(self: Remote, other: object) -> Any:
        if type(other) is not Remote:
            return NotImplemented
        return object.__getattribute__(self, "_Remote__ask")(name, self, other)

    return method


for _name in (*COMPARE[1:], *ARITHMETIC):
    setattr(Remote, f"__{_name.strip('_')}__", _between_remotes(_name))
