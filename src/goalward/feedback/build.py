"""A grader by its name, or from a file."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from goalward.errors import UsageError, suggestion, unknown_name
from goalward.feedback.agreement import Likelihood, Vote, VoteSettings
from goalward.feedback.checks import JsonSchema, Length, Regex, Repetition, StringCheck
from goalward.feedback.code import CodeTests, PythonGrader
from goalward.feedback.functions import function_grader
from goalward.feedback.grader import Grader
from goalward.feedback.graders import (
    EachRollout,
    Random,
    essay,
    essay_answer,
    essay_format,
    exact,
    gym,
    math,
    numeric,
    ready_for_gym,
    ready_for_math,
    tags,
)
from goalward.feedback.model_judge import LabelModel, ScoreModel
from goalward.feedback.multi import Multi
from goalward.feedback.similarity import TextSimilarity
from goalward.feedback.theorems import proof
from goalward.feedback.workers import InWorkers
from goalward.schema import Place, read, read_toml

GRADERS: dict[str, Callable[[], Grader]] = {
    "essay": essay,
    "essay_format": lambda: EachRollout(essay_format),
    "essay_answer": lambda: EachRollout(essay_answer),
    "strict": lambda: EachRollout(essay_answer),
    "tags": lambda: EachRollout(tags),
    "exact": lambda: EachRollout(exact),
    "numeric": lambda: EachRollout(numeric),
    "math": lambda: InWorkers(EachRollout(math), ready_for_math),
    "gym": lambda: InWorkers(EachRollout(gym), ready_for_gym),
    "repetition": lambda: Repetition().grader(Place("repetition")),
    "code_tests": CodeTests,
    "proof": lambda: EachRollout(proof),
    "random": Random,
    "vote": lambda: Vote(equal=EachRollout(numeric)),
    "soft_vote": lambda: Vote(equal=EachRollout(numeric), soft=True),
    "likelihood": Likelihood,
}


COMPARE = frozenset({"essay", "essay_answer", "strict", "exact", "numeric", "math", "gym", "code_tests"})
"""Names in GRADERS that judge by what the task knows of the right answer."""


class Configured(Protocol):
    """What a type in a grader file is: a frozen dataclass whose fields are the file's keys, less `type`."""

    def grader(self, place: Place) -> Grader:
        """Raises UsageError, at `place` or below it, for values that make no sense."""
        ...


TYPES: dict[str, type[Configured]] = {
    "string_check": StringCheck,
    "text_similarity": TextSimilarity,
    "score_model": ScoreModel,
    "label_model": LabelModel,
    "regex": Regex,
    "json_schema": JsonSchema,
    "length": Length,
    "repetition": Repetition,
    "code_tests": CodeTests,
    "python": PythonGrader,
}
"""The types of grader files, beside `multi`, `vote` and the names of GRADERS, which have no keys."""


def build_grader(spec: str | Mapping[str, Any], base: Path | None = None) -> Grader:
    """The grader that `spec` names: a key of GRADERS, a .json or .toml file, or `path/file.py:function`.

    A table is what would stand in a file.

    A relative path is looked for in the working directory and then in `base` (the recipe's folder).
    Raises UsageError where there is no such name, file or function, or the file is not what it should be.
    """
    if isinstance(spec, str):
        return _build(spec, base, ())
    return _from_table(spec, Place(f"grader {spec.get('type', '')}".strip()), ((base or Path()) / "recipe",))


def without_labels(grader: Grader) -> bool:
    """Whether `grader`, or any grader inside it, judges by agreement or certainty: no label is to reach it."""
    inner = getattr(grader, "graders", {})
    return isinstance(grader, Vote | Likelihood) or any(map(without_labels, inner.values()))


def _build(spec: str, base: Path | None, inside: tuple[Path, ...]) -> Grader:
    if spec in GRADERS:
        return GRADERS[spec]()
    if spec.endswith((".json", ".toml")):
        return _from_file(_found(Path(spec), base), inside)
    file, colon, function = spec.rpartition(":")
    if spec.endswith(".py"):
        raise UsageError(f"{spec!r} names a file without its function; write {spec}:function")
    if not colon or not file.endswith(".py"):
        raise unknown_name("grader", spec, GRADERS)
    return function_grader(_found(Path(file), base), function)


def _found(path: Path, base: Path | None) -> Path:
    return base / path if base is not None and not path.is_file() and (base / path).is_file() else path


def _from_file(path: Path, inside: tuple[Path, ...]) -> Grader:
    """`inside`: the files that led here, outermost first."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no such grader file")
    whole = path.resolve()
    if whole in inside:
        raise UsageError(f"{path}: grader files that name each other in a circle")
    table = read_toml(path) if path.suffix == ".toml" else _read_json(path)
    return _from_table(table, Place(str(path)), (*inside, whole))


def _from_table(table: Any, place: Place, inside: tuple[Path, ...]) -> Grader:
    if not isinstance(table, Mapping):
        raise UsageError(f"{place}: a grader is a table with a `type`, found {table!r:.80}")
    kinds = [*TYPES, "multi", "vote", *(name for name in GRADERS if name not in (*TYPES, "vote"))]
    kind = table.get("type", "")
    if not isinstance(kind, str) or kind not in kinds:
        problem = f"there is no grader type {kind!r}" if "type" in table else "is missing"
        raise UsageError(f"{place.at('type')}: {problem}; {suggestion(kind, kinds)}")
    knobs = {key: value for key, value in table.items() if key != "type"}
    if kind == "multi":
        multi = read(Multi, knobs, place)
        inner = {
            name: _inner(grader, place.at("graders", name), inside) for name, grader in multi.graders.items()
        }
        return multi.combined(inner, place)
    if kind == "vote":
        vote = read(VoteSettings, knobs, place)
        return vote.with_equal(_inner(vote.equal, place.at("equal"), inside), place)
    if kind in TYPES:
        return _configured(TYPES[kind], knobs, place).grader(place)
    for key in knobs.keys() - {"name"}:
        raise UsageError(f"{place.at(key)}: the grader type {kind!r} has no keys but `name`")
    return GRADERS[kind]()


def _configured(cls: type[Configured], knobs: Mapping[str, Any], place: Place) -> Configured:
    try:
        return read(cls, knobs, place)
    except UsageError as error:  # what a type finds out by itself knows of no file
        raise error if str(error).startswith(place.file) else UsageError(f"{place}: {error}") from error


def _inner(grader: Any, place: Place, inside: tuple[Path, ...]) -> Grader:
    if not isinstance(grader, str):
        return _from_table(grader, place, inside)
    try:
        return _build(grader, inside[-1].parent, inside)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(
            path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_table, parse_constant=_refuse
        )
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from error


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return table


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
