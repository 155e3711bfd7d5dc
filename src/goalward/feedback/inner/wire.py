"""Plain values as bytes and back. Reading makes nothing but built-in values, whoever wrote the bytes.

JSON would not keep tuples, sets, bytes and NaN apart; pickle runs code; marshal trusts its input; and importing
the `json` package costs as much as starting Python.

A value is a letter and what follows it; numbers of things are four bytes, big end first:
    N T F       None, True, False
    f c         a float in eight bytes; a complex number in twice eight
    i s b       how many bytes, and they: an integer (two's complement), text (UTF-8), bytes
    l t S Z     how many values, and they: a list, tuple, set or frozen set
    d           how many pairs, and they: key, value, key, value
    v           a list of module, type and arguments: a value of the standard library (`_VALUES`)
    h           one letter and a number: a handle
"""

from __future__ import annotations

import os
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take a fifth of a whole run
    from collections.abc import Callable
    from typing import Any

LONGEST = 4 << 20  # bytes in one frame
_DEEPEST = 60

Handle = tuple[bytes, int]
"""A value that stays where it is: a one-letter kind and a number that its owner understands."""


class BrokenError(Exception):
    """The bytes are no frame, or one that is too long or too deep."""


def _no_handles(value: object) -> Handle:
    raise TypeError(f"a {type(value).__name__} is not a plain value")


def _no_handles_here(handle: Handle) -> Any:
    raise BrokenError("a handle where there should be none")


def encode(value: object, handle: Callable[[object], Handle] = _no_handles) -> bytes:
    """`value` as bytes; what is no plain value goes through `handle`. Raises TypeError, BrokenError or RecursionError."""
    parts: list[bytes] = []
    _write(value, parts, handle, 0)
    return b"".join(parts)


def decode(data: bytes, value: Callable[[Handle], Any] = _no_handles_here) -> Any:
    """The value that `encode` was given; handles go through `value`. Raises BrokenError."""
    try:
        result, end = _read(memoryview(data), 0, value, 0)
    except (struct.error, IndexError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise BrokenError(f"no frame: {type(error).__name__}") from None
    if end != len(data):
        raise BrokenError("bytes left over")
    return result


def send(fd: int, data: bytes) -> None:
    """Write one frame: its length in four bytes, then `data`. Raises BrokenError where it is too long, or OSError."""
    if len(data) > LONGEST:
        raise BrokenError(f"a value of more than {LONGEST >> 20} MB")
    view = memoryview(struct.pack(">I", len(data)) + data)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd: int) -> bytes:
    """One frame, and not a byte beyond it. Raises EOFError at the end, BrokenError where it is too long."""
    (length,) = struct.unpack(">I", _exactly(fd, 4))
    if length > LONGEST:
        raise BrokenError(f"a value of more than {LONGEST >> 20} MB")
    return _exactly(fd, length)


def _exactly(fd: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.read(fd, min(count, 1 << 16))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


# Value types of the standard library, made again from the arguments named here.
_VALUES: dict[tuple[str, str], Callable[[Any], tuple[Any, ...]]] = {
    ("decimal", "Decimal"): lambda v: (str(v),),
    ("fractions", "Fraction"): lambda v: (v.numerator, v.denominator),
    ("datetime", "date"): lambda v: (v.year, v.month, v.day),
    ("datetime", "timedelta"): lambda v: (v.days, v.seconds, v.microseconds),
    ("datetime", "time"): lambda v: (v.hour, v.minute, v.second, v.microsecond),
    ("datetime", "datetime"): lambda v: (v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond),
}
_SEQUENCES: dict[bytes, type] = {b"l": list, b"t": tuple, b"S": set, b"Z": frozenset}


def _write(value: Any, parts: list[bytes], handle: Callable[[object], Handle], depth: int) -> None:
    if depth > _DEEPEST:
        raise BrokenError(f"a value more than {_DEEPEST} levels deep")
    if value is None or value is True or value is False:
        parts.append({None: b"N", True: b"T", False: b"F"}[value])
    elif isinstance(value, int):
        # The base class's own methods: a subclass with methods of its own is sent as the number it holds.
        data = int.to_bytes(value, int.bit_length(value) // 8 + 1, "big", signed=True)
        parts.append(b"i" + struct.pack(">I", len(data)) + data)
    elif isinstance(value, float):
        parts.append(b"f" + struct.pack(">d", value))
    elif isinstance(value, complex):
        parts.append(b"c" + struct.pack(">dd", value.real, value.imag))
    elif isinstance(value, str):
        data = str.encode(value, "utf-8", "surrogatepass")
        parts.append(b"s" + struct.pack(">I", len(data)) + data)
    elif isinstance(value, (bytes, bytearray)):
        parts.append(b"b" + struct.pack(">I", len(value)) + bytes(value))
    elif isinstance(value, dict):
        parts.append(b"d" + struct.pack(">I", dict.__len__(value)))
        for key, item in dict.items(value):
            _write(key, parts, handle, depth + 1)
            _write(item, parts, handle, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        tag, base = next((tag, base) for tag, base in _SEQUENCES.items() if isinstance(value, base))
        items = list(base.__iter__(value))  # type: ignore[attr-defined]
        parts.append(tag + struct.pack(">I", len(items)))
        for item in items:
            _write(item, parts, handle, depth + 1)
    elif type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        _write(value.item(), parts, handle, depth + 1)
    else:
        name = (type(value).__module__, type(value).__name__)
        if name in _VALUES and getattr(value, "tzinfo", None) is None:
            parts.append(b"v")
            _write([*name, *_VALUES[name](value)], parts, handle, depth + 1)
        else:
            kind, number = handle(value)
            parts.append(b"h" + kind + struct.pack(">I", number))


def _read(data: memoryview, at: int, handle: Callable[[Handle], Any], depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST + 1:
        raise BrokenError(f"a value more than {_DEEPEST} levels deep")
    tag, at = bytes(data[at : at + 1]), at + 1
    if tag in (b"N", b"T", b"F"):
        return {b"N": None, b"T": True, b"F": False}[tag], at
    if tag == b"f":
        return struct.unpack_from(">d", data, at)[0], at + 8
    if tag == b"c":
        return complex(*struct.unpack_from(">dd", data, at)), at + 16
    if tag == b"h":
        return handle((bytes(data[at : at + 1]), struct.unpack_from(">I", data, at + 1)[0])), at + 5
    if tag == b"v":
        (module, name, *arguments), at = _read(data, at, handle, depth + 1)
        if (module, name) not in _VALUES:
            raise BrokenError("no such value type")
        __import__(module)
        return getattr(sys.modules[module], name)(*arguments), at
    (count,) = struct.unpack_from(">I", data, at)
    at += 4
    if tag in (b"i", b"s", b"b"):
        if at + count > len(data):
            raise BrokenError("cut short")
        part = bytes(data[at : at + count])
        if tag == b"i":
            return int.from_bytes(part, "big", signed=True), at + count
        return part if tag == b"b" else part.decode("utf-8", "surrogatepass"), at + count
    if tag == b"d":
        pairs = {}
        for _ in range(count):
            key, at = _read(data, at, handle, depth + 1)
            pairs[key], at = _read(data, at, handle, depth + 1)
        return pairs, at
    items = []
    kind = _SEQUENCES[tag]
    for _ in range(count):
        item, at = _read(data, at, handle, depth + 1)
        items.append(item)
    return kind(items), at
