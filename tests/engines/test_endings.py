import numpy as np
import pytest

from goalward.engines.endings import Ending, ending


def decode(tokens):
    return bytes(int(t) for t in tokens).decode(errors="replace")


def end(text, seen=0, limit=100, stop=()):
    tokens = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    return ending(tokens, seen, limit=limit, eos=frozenset({0, 1}), stop=stop, decode=decode)


def test_an_end_token_ends_and_is_counted_but_not_read():
    assert end("ab\0cd") == Ending(length=3, text="ab", stop="eos")
    assert end("ab\x01", limit=3) == Ending(length=3, text="ab", stop="eos")
    assert end("abcd") is None
    assert end("abcd", limit=4) == Ending(length=4, text="abcd", stop="length")


@pytest.mark.parametrize("seen", [0, 3, 4])
def test_a_stop_string_ends_with_the_token_that_completes_it(seen):
    assert end("éxabyz", seen=seen, stop=("xab", "never")) == Ending(length=5, text="é", stop="stop")


def test_what_comes_first_counts():
    assert end("a#b\0", stop=("#", "a#")).text == ""
    assert end("ab\0#", stop=("#",)).stop == "eos"
    assert end("ab#\0", stop=("#",)) == Ending(length=3, text="ab", stop="stop")
    assert end("ab#", stop=("#",), limit=3).stop == "stop"


def test_a_tail_that_begins_within_a_character_is_no_match():
    # 20 seen bytes, then the tail begins within the last of the two-byte characters.
    assert end("é" * 20 + "a", seen=40, stop=("\ufffd",)) is None
