"""Hostile bytes end in BrokenError, never in anything else."""

import random
import struct
from contextlib import suppress

import pytest

from goalward.feedback.inner.wire import BrokenError, decode, encode


@pytest.mark.parametrize(
    "data",
    [
        b"", b"?", b"i", b"i\0\0\0\5ab", b"l\xff\xff\xff\xff", b"d\0\0\0\1NN" + b"x", b"d\0\0\0\1l\0\0\0\0N",
        b"S\0\0\0\1l\0\0\0\0", b"s\0\0\0\1\xff", b"f\0", b"ho\0\0\0\1", b"l\0\0\0\1" * 500 + b"N", b"v" * 2000,
        b"v" + encode(["os", "system", "true"]), b"v" + encode(["decimal", "Decimal", "x"]), b"vN",
        b"v" + encode(["datetime", "date", 1, 1, 99]),
    ],
)  # fmt: skip
def test_broken_bytes(data: bytes) -> None:
    with pytest.raises(BrokenError):
        decode(data)


def test_random_bytes() -> None:
    dice = random.Random(0)
    whole = encode([1, "two", (3.0, None), {"k": {4}}, b"5"])
    for _ in range(20_000):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with suppress(BrokenError):
            decode(bytes(data))


def test_the_wire_knows_no_other_types() -> None:
    class Sly(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

        def to_bytes(self, *a: object, **k: object) -> bytes:  # type: ignore[override]
            return b"\x2a"

    sent = decode(encode([Sly(1)]))
    assert sent == [1] and type(sent[0]) is int
    with pytest.raises(TypeError, match="not a plain value"):
        encode(object())
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(BrokenError, match="deep"):
        encode(deep)
    assert struct.unpack(">I", encode("ab")[1:5]) == (2,)
