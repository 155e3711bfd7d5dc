"""Graders from a file that need nothing but the text: strings, patterns, JSON, length, repetition."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from goalward.errors import UsageError
from goalward.feedback.extras import extra
from goalward.feedback.grader import Grader
from goalward.feedback.graders import EachRollout
from goalward.feedback.template import OUTPUT, Template, answer_json, parse_template
from goalward.feedback.verdict import no_verdict
from goalward.feedback.workers import InWorkers
from goalward.schema import Place
from goalward.types import Feedback, Rollout, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class StringCheck:
    """1 where `input` equals (eq), differs from (ne) or contains (like; ilike whatever the case) `reference`."""

    input: str
    reference: str
    operation: Literal["eq", "ne", "like", "ilike"]
    name: str = ""

    def grader(self, place: Place) -> Grader:
        """Raises UsageError for a template that cannot be read."""
        given = parse_template(self.input, place.at("input"))
        wanted = parse_template(self.reference, place.at("reference"))
        return EachRollout(partial(_string_check, self.operation, given, wanted))


def _string_check(operation: str, first: Template, second: Template, task: Task, rollout: Rollout) -> float:
    given, wanted = first.render(task, rollout), second.render(task, rollout)
    if operation in ("eq", "ne"):
        return float((given == wanted) == (operation == "eq"))
    if operation == "ilike":
        given, wanted = given.casefold(), wanted.casefold()
    return float(wanted in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    """1 where `pattern` (Python's `re`) is found somewhere in `input`; write ^ and $ to match the whole."""

    pattern: str
    input: str = OUTPUT
    name: str = ""

    def grader(self, place: Place) -> Grader:
        """Raises UsageError for a pattern or a template that cannot be read. Runs in the workers."""
        try:
            pattern = re.compile(self.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(f"{place.at('pattern')}: no regular expression: {error}") from error
        found = partial(_found, pattern, parse_template(self.input, place.at("input")))
        return InWorkers(EachRollout(found), ready=_nothing)


def _found(pattern: re.Pattern[str], text: Template, task: Task, rollout: Rollout) -> float:
    return float(pattern.search(text.render(task, rollout)) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSchema:
    """1 where `input` is JSON, whole, and fits `schema`; else 0 with a note that says why.

    The schema is of draft 2020-12 unless its `$schema` says otherwise. It may refer to its own parts alone.
    """

    schema: Mapping[str, Any]
    input: str = OUTPUT
    name: str = ""

    def grader(self, place: Place) -> Grader:
        """Raises UsageError for a schema or a template that cannot be read. Runs in the workers."""
        jsonschema = extra("jsonschema", "json_schema")
        kind = jsonschema.validators.validator_for(self.schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(self.schema)
        except jsonschema.SchemaError as error:
            raise UsageError(f"{place.at('schema', *error.absolute_path)}: {error.message:.200}") from error
        fits = partial(_fits, self.schema, parse_template(self.input, place.at("input")))
        return InWorkers(EachRollout(fits), ready=_ready_for_schemas)


def _ready_for_schemas() -> None:
    import jsonschema  # noqa: F401


def _fits(schema: Mapping[str, Any], text: Template, task: Task, rollout: Rollout) -> Feedback:
    import jsonschema
    import referencing

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    # A registry of its own: else a schema could send the validator to the network.
    validator = kind(schema, registry=referencing.Registry())
    error = next(validator.iter_errors(answer_json(text.render(task, rollout))), None)
    if error is None:
        return Feedback(score=1.0)
    where = ".".join(str(key) for key in error.absolute_path)
    return Feedback(score=0.0, note=f"{where}: {error.message}"[:200] if where else error.message[:200])


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """1 for a completion of `min` to `max` tokens or characters; outside, `slope` units farther it has become 0.

    In between it falls in a straight line; with a slope of 0 it falls at once.
    """

    min: int = 0
    max: int | None = None
    unit: Literal["tokens", "characters"] = "tokens"
    slope: int = 0
    name: str = ""

    def grader(self, place: Place) -> Grader:
        """Raises UsageError for limits that no length, or every length, keeps."""
        if self.min < 0 or self.slope < 0:
            raise UsageError(f"{place.at('min' if self.min < 0 else 'slope')}: must not be below 0")
        if self.max is None and self.min == 0:
            raise UsageError(f"{place}: give `min`, `max` or both")
        if self.max is not None and self.max < self.min:
            raise UsageError(f"{place.at('max')}: {self.max} is below min, {self.min}")
        return EachRollout(self._score)

    def _score(self, task: Task, rollout: Rollout) -> float | Feedback:
        if self.unit == "tokens" and rollout.text and not rollout.completion.size:
            return no_verdict("length: a recorded text has no tokens; use unit = 'characters'")
        length = rollout.completion.size if self.unit == "tokens" else len(rollout.text)
        over = length - self.max if self.max is not None else 0
        outside = max(self.min - length, over, 0)
        return float(outside == 0) if self.slope == 0 else max(0.0, 1 - outside / self.slope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """The share of different ones among the completion's runs of `n` words: 1 without repetition, towards 0 with.

    1 too where there are fewer than n words. Words are what white space parts.
    """

    n: int = 4
    name: str = ""

    def grader(self, place: Place) -> Grader:
        """Raises UsageError for an `n` that is not from 1 to 100."""
        if not 1 <= self.n <= 100:
            raise UsageError(f"{place.at('n')}: from 1 to 100 words, found {self.n}")
        return EachRollout(self._score)

    def _score(self, task: Task, rollout: Rollout) -> float:
        return variety(rollout.text, self.n)


def variety(text: str, n: int) -> float:
    """The share of different ones among the runs of `n` words in `text`; 1 where there are fewer words."""
    words = text.split()
    runs = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    return len(set(runs)) / len(runs) if runs else 1.0


def _nothing() -> None:
    """What a grader needs that imports nothing."""
