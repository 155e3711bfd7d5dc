"""Sparse TOML tables to frozen dataclasses, with errors that name the key, the file and the nearest name."""

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from goalward.errors import UsageError, unknown_name

T = TypeVar("T")
Table = dict[str, Any]


def read_toml(path: Path) -> Table:
    """Parse a TOML file; raises UsageError with the file and the line."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such recipe") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error


def parse_override(text: str) -> Table:
    """Turn "a.b=value" into {"a": {"b": value}}; a value that is not TOML is taken as a string."""
    key, equals, value = text.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise UsageError(
            f"{text!r}: an override is written key=value, for example seed=1 or model.name=pocket"
        )
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for name in reversed(path):
        parsed = {name: parsed}
    return parsed  # type: ignore[no-any-return]  # the loop has wrapped it at least once


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Table:
    """`base` with `over` laid on top, table by table.

    A table that names another task or algorithm than the one below starts from that one's own defaults.
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            renamed = key in ("task", "algorithm") and "name" in value and value["name"] != below.get("name")
            merged[key] = dict(value) if renamed else merge(below, value)
        else:
            merged[key] = value
    return merged


def without(table: Mapping[str, Any], removed: Mapping[str, Any]) -> Table:
    """`table` less the leaves that `removed` names."""
    left = {}
    for key, value in table.items():
        if key not in removed:
            left[key] = value
        elif isinstance(value, Mapping) and isinstance(removed[key], Mapping):
            left[key] = without(value, removed[key])
    return left


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table stands, for messages: "grpo.toml: stages.sft.optimizer"."""

    file: str
    path: tuple[str, ...] = ()

    def at(self, *keys: object) -> "Place":
        """A place below this one."""
        return Place(self.file, (*self.path, *(str(key) for key in keys)))

    def __str__(self) -> str:
        return f"{self.file}: {'.'.join(self.path)}" if self.path else self.file


def read(cls: type[T], table: Any, place: Place) -> T:
    """Build the dataclass `cls` from `table`.

    Raises UsageError for a key that is not a field (with the nearest one), a missing or a mistyped value.
    """
    _check_keys(cls, table, place)
    try:
        # JSON is what gives strict types and still takes a list for a tuple.
        return TypeAdapter(cls).validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        path = [part for part in first["loc"] if not str(part)[:1].isupper()]  # less the names of types
        message = first["msg"][:1].lower() + first["msg"][1:]
        found = "" if first["type"] == "missing" else f", found {first['input']!r}"
        raise UsageError(f"{place.at(*path)}: {message.removeprefix('value error, ')}{found}") from error


def choose(what: str, name: Any, known: Iterable[str], place: Place) -> str:
    """`name` if it is known, else a UsageError with the nearest `what` that is."""
    names = list(known)
    if name in names:
        return str(name)
    raise UsageError(f"{place}: {unknown_name(what, name, names)}")


def _check_keys(cls: Any, table: Any, place: Place) -> None:
    if not isinstance(table, Mapping):
        raise UsageError(f"{place}: expected a table, found {table!r}")
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    for key, value in table.items():
        choose("key", key, names, place.at(key))
        inner = next((t for t in (hints[key], *get_args(hints[key])) if dataclasses.is_dataclass(t)), None)
        if inner is None:
            continue
        if isinstance(value, list):
            for index, entry in enumerate(value):
                _check_keys(inner, entry, place.at(key, index))
        elif not isinstance(value, Mapping):
            continue
        elif issubclass(get_origin(hints[key]) or object, Mapping):
            for name, entry in value.items():
                _check_keys(inner, entry, place.at(key, name))
        else:
            _check_keys(inner, value, place.at(key))
