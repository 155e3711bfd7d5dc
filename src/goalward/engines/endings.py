"""Where a completion ends. No tensors here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from goalward.types import IntArray, Stop

Decode = Callable[[Sequence[int] | IntArray], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How many tokens a completion has, its text without end token or stop string, and why it ended."""

    length: int
    text: str
    stop: Stop


def ending(
    tokens: IntArray, seen: int, *, limit: int, eos: frozenset[int], stop: tuple[str, ...], decode: Decode
) -> Ending | None:
    """How `tokens` end, or None where they go on. The first `seen` are known not to end it.

    An end token counts as part of the completion, and so do the tokens that complete a stop string.
    """
    new = tokens[seen:].tolist()
    at = next((seen + i for i, token in enumerate(new) if token in eos), None)
    said = tokens[:at]
    found = _stop(said, seen, stop, decode) if stop else None
    if found is not None:
        return found
    if at is not None:
        return Ending(length=at + 1, text=decode(said), stop="eos")
    if len(tokens) >= limit:
        return Ending(length=limit, text=decode(tokens), stop="length")
    return None


def _stop(tokens: IntArray, seen: int, stop: tuple[str, ...], decode: Decode) -> Ending | None:
    """The fewest tokens whose text holds a stop string."""
    # A stop string that ends in a new token began at most its own bytes earlier; three bytes more,
    # for the tail may begin within a character.
    reach = max(len(string.encode()) for string in stop) + 3
    tail = decode(tokens[max(seen - reach, 0) :])
    if not any(string in tail for string in stop):
        return None
    for length in range(seen + 1, len(tokens) + 1):
        text = decode(tokens[:length])
        cuts = [text.index(string) for string in stop if string in text]
        if cuts:
            return Ending(length=length, text=text[: min(cuts)], stop="stop")
    return None
