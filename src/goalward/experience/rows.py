"""Rows of recorded experience: what a run writes to rollouts.jsonl, or plain prompt, response and reward.

Every value is checked, since a log may come from anywhere. No torch here.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from goalward.errors import UsageError, suggestion
from goalward.tasks.rows import conversation
from goalward.types import Feedback, IntArray, Message, Rollout, Stop, Task

LONGEST = 131_072
"""The most tokens in one prompt or completion. More is a broken row, or text that no model here reads."""

_PLAIN = ("prompt", "response", "reward")
_OWN = ("task", "messages", "prompt", "completion", "text", "stop", "score")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One row, checked. `rollout` is None where the row has text only, which a policy must tokenise."""

    task: Task
    rollout: Rollout | None
    response: str
    feedback: Feedback


def read_row(row: Mapping[str, Any], where: str) -> Recorded:
    """Check one row; `where` names its place. Raises UsageError saying what is wrong with which column."""
    return _own(row, where) if isinstance(row.get("completion"), list) else _plain(row, where)


def _plain(row: Mapping[str, Any], where: str) -> Recorded:
    _need(row, _PLAIN, where)
    response = row["response"]
    if not isinstance(response, str):
        raise _mistyped(where, "response", "text", response)
    if len(response) > 8 * LONGEST:
        raise UsageError(f"{where}: 'response' has {len(response):,} characters; at most {8 * LONGEST:,}")
    prompt = row["prompt"]
    messages: tuple[Message, ...] = (
        ({"role": "user", "content": prompt},)
        if isinstance(prompt, str)
        else conversation(prompt, "prompt", where)
    )
    name = row.get("task", json.dumps(messages, ensure_ascii=False))
    return Recorded(
        task=Task(id=_text(name, "task", where), messages=messages, reference=_reference(row, where)),
        rollout=None,
        response=response,
        feedback=Feedback(score=_number(row["reward"], "reward", where)),
    )


def _own(row: Mapping[str, Any], where: str) -> Recorded:
    _need(row, _OWN, where)
    prompt, completion = (_tokens(row[column], column, where) for column in ("prompt", "completion"))
    if not prompt.size or not completion.size:
        raise UsageError(f"{where}: {'completion' if prompt.size else 'prompt'!r} has no tokens")
    stop = row["stop"]
    if stop not in get_args(Stop):
        raise UsageError(f"{where}: 'stop' should be one of {', '.join(get_args(Stop))}, found {stop!r}")
    text = _text(row["text"], "text", where)
    return Recorded(
        task=Task(
            id=_text(row["task"], "task", where),
            messages=conversation(row["messages"], "messages", where),
            reference=_reference(row, where),
        ),
        rollout=Rollout(
            prompt=prompt,
            completion=completion,
            sampled=_sampled(row.get("sampled"), completion.size, where),
            logprobs=_logprobs(row.get("logprobs"), completion.size, where),
            text=text,
            stop=stop,
            version=int(_number(row.get("version", 0), "version", where) or 0),
        ),
        response=text,
        feedback=Feedback(
            score=_number(row["score"], "score", where),
            parts=_parts(row.get("parts"), where),
            note=_text(row.get("note") or "", "note", where),
            error=None if row.get("error") is None else _text(row["error"], "error", where),
        ),
    )


def _need(row: Mapping[str, Any], columns: tuple[str, ...], where: str) -> None:
    for column in columns:
        if column not in row:
            other = [name for name in row if name not in columns]
            raise UsageError(
                f"{where}: there is no column {column!r}; {suggestion(column, other)}\n"
                f"A row has {', '.join(_PLAIN)}, or is one of a run's rollouts.jsonl."
            )


def _tokens(value: object, column: str, where: str) -> IntArray:
    if not isinstance(value, list):
        raise _mistyped(where, column, "a list of token ids", value)
    if len(value) > LONGEST:
        raise UsageError(f"{where}: {column!r} has {len(value):,} tokens; at most {LONGEST:,}")
    for token in value:
        if type(token) is not int or not 0 <= token < 2**31:
            raise UsageError(f"{where}: {column!r} should hold token ids, found {_shown(token)}")
    return np.asarray(value, np.int32)


def _sampled(value: object, size: int, where: str) -> Any:
    if value is None:
        return np.ones(size, np.bool_)
    if not isinstance(value, list) or len(value) != size or any(type(each) is not bool for each in value):
        raise UsageError(f"{where}: 'sampled' should be null or {size} times true or false")
    return np.asarray(value, np.bool_)


def _logprobs(value: object, size: int, where: str) -> Any:
    """[C], NaN where a run wrote null for what is not finite; None for recorded text."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != size:
        raise UsageError(f"{where}: 'logprobs' should be null or {size} numbers, one a token")
    numbers = [_number(each, "logprobs", where) for each in value]
    if any(each is not None and each > 1e-3 for each in numbers):
        raise UsageError(f"{where}: 'logprobs' are logarithms of probabilities, and none is above 0")
    return np.asarray([math.nan if each is None else each for each in numbers], np.float32)


def _parts(value: object, where: str) -> dict[str, float]:
    if not isinstance(value or {}, dict):
        raise _mistyped(where, "parts", "a table of numbers", value)
    found = {str(k): _number(v, f"parts.{k}", where) for k, v in (value or {}).items()}  # type: ignore[attr-defined]  # a dict, as was just asked
    return {key: number for key, number in found.items() if number is not None}


def _number(value: object, column: str, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mistyped(where, column, "a number or null", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UsageError(f"{where}: {column!r} should be a finite number, found {_shown(value)}")
    return number


def _reference(row: Mapping[str, Any], where: str) -> str | None:
    value = row.get("reference")
    return None if value is None else _text(value, "reference", where)


def _text(value: object, column: str, where: str) -> str:
    if not isinstance(value, str):
        raise _mistyped(where, column, "text", value)
    return value


def _mistyped(where: str, column: str, wanted: str, value: object) -> UsageError:
    return UsageError(f"{where}: {column!r} should be {wanted}, found {_shown(value)}")


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:37]}..."
