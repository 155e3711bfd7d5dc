"""Text with places to fill in: `{{ item.answer }}`, `{{ sample.output_text }}`, as OpenAI's graders write them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goalward.errors import GoalwardError, UsageError, suggestion, unknown_name
from goalward.feedback.verdict import NoMatchError
from goalward.schema import Place
from goalward.types import Rollout, Task

OUTPUT = "{{ sample.output_text }}"
_SAMPLE = ("output_text", "output_json")
_PLACE = re.compile(r"\{\{([^{}]*)\}\}")
_STEP = re.compile(r"\.([^\s.\[\]]+)|\[(\d{1,9})\]")


@dataclass(frozen=True, slots=True)
class Reference:
    """One `{{ ... }}`: where the value is looked up, and the steps to it."""

    namespace: str
    steps: tuple[str | int, ...]

    def __str__(self) -> str:
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.steps)
        return self.namespace + "".join(steps)

    def value(self, task: Task, rollout: Rollout) -> Any:
        """Raises GoalwardError for an item key that is not there, NoMatchError for a key that the answer lacks."""
        if self.namespace == "item":
            item = {**task.info, "reference": task.reference}
            if task.messages:
                item["question"] = task.question
            return self._walk(item, self.steps, GoalwardError)
        if self.steps == ("output_text",):
            return rollout.text
        return self._walk(answer_json(rollout.text), self.steps[1:], NoMatchError)

    def _walk(self, value: Any, steps: tuple[str | int, ...], error: type[GoalwardError]) -> Any:
        for step in steps:
            if isinstance(step, str) and isinstance(value, Mapping):
                if step not in value:
                    raise error(f"{self}: there is no key {step!r}; {suggestion(step, map(str, value))}")
            elif not (isinstance(step, int) and isinstance(value, list | tuple)):
                raise error(f"{self}: {step!r} is looked for in {_kind(value)}")
            elif step >= len(value):
                raise error(f"{self}: the list has {len(value)} entries, counted from 0")
            value = value[step]
        if value is None:
            raise error(f"{self} has no value")
        return value


@dataclass(frozen=True, slots=True)
class Template:
    """Text and references in turn."""

    parts: tuple[str | Reference, ...]

    def render(self, task: Task, rollout: Rollout) -> str:
        """The text with every value put in; what is put in is never expanded again.

        Text goes in as it is, anything else as JSON. Raises as `Reference.value`.
        """
        return "".join(
            part if isinstance(part, str) else _text(part.value(task, rollout)) for part in self.parts
        )


def parse_template(text: str, place: Place) -> Template:
    """Raises UsageError, at `place`, for a reference that cannot be one."""
    parts: list[str | Reference] = []
    end = 0
    for match in _PLACE.finditer(text):
        parts += [text[end : match.start()], _reference(match.group(1).strip(), place)]
        end = match.end()
    parts.append(text[end:])
    if any(isinstance(part, str) and "{{" in part for part in parts):
        raise UsageError(f"{place}: '{{{{' without its '}}}}'")
    return Template(tuple(part for part in parts if part != ""))


def answer_json(text: str) -> Any:
    """The completion read as JSON. Raises NoMatchError where it is none."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NoMatchError("the answer is not JSON") from None


def _reference(text: str, place: Place) -> Reference:
    namespace = re.match(r"[^.\[]*", text).group()  # type: ignore[union-attr]  # it matches nothing at least
    if namespace not in ("item", "sample"):
        raise UsageError(f"{place}: {unknown_name('namespace', namespace, ('item', 'sample'))}")
    steps: list[str | int] = []
    end = len(namespace)
    while match := _STEP.match(text, end):
        steps.append(match[1] if match[2] is None else int(match[2]))
        end = match.end()
    if end < len(text) or not steps:
        raise UsageError(f"{place}: {text!r} should be written as item.key, item.key.inner or item.list[0]")
    if namespace == "sample" and steps[0] not in _SAMPLE:
        raise UsageError(f"{place}: {unknown_name('sample key', steps[0], _SAMPLE)}")
    if steps[0] == "output_text" and len(steps) > 1 and namespace == "sample":
        raise UsageError(f"{place}: sample.output_text is text; for what is inside, use sample.output_json")
    return Reference(namespace, tuple(steps))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _kind(value: Any) -> str:
    kinds: dict[type, str] = {dict: "a table", list: "a list", str: "text"}
    return kinds.get(type(value), f"the value {value!r:.40}")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
