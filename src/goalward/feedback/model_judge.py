"""Graders that ask another model: for a number (`score_model`) or for a label (`label_model`)."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from goalward.errors import GoalwardError, UsageError
from goalward.feedback.endpoint import Endpoint, EndpointSettings
from goalward.feedback.grader import Grader
from goalward.feedback.template import Template, parse_template
from goalward.feedback.verdict import NoMatchError, failure
from goalward.schema import Place
from goalward.types import Feedback, Group, Rollout, Task

Role = Literal["system", "developer", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMessage:
    """One message to the judge; `content` may hold templates."""

    role: Role
    content: str
    type: Literal["message"] = "message"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How the judge samples; what is left out is the server's default."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_completions_tokens: int | None = None
    reasoning_effort: str | None = None

    def request(self) -> dict[str, Any]:
        """The keys of a chat completion; graders as OpenAI writes them say `max_completions_tokens`."""
        named = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "seed": self.seed,
            "max_completion_tokens": self.max_completions_tokens,
            "reasoning_effort": self.reasoning_effort,
        }
        return {key: value for key, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreModel:
    """The number, within `range`, that `model` gives when asked `input`."""

    model: str
    input: tuple[PromptMessage, ...]
    range: tuple[float, float] = (0.0, 1.0)
    sampling_params: SamplingParams = field(default_factory=SamplingParams)
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    name: str = ""

    def grader(self, place: Place) -> Grader:
        """Raises UsageError for templates, a range or an endpoint that cannot be."""
        low, high = self.range
        if not low < high:
            raise UsageError(f"{place.at('range')}: the first number must be below the second")
        asked = f'a JSON object {{"steps": <your reasoning, short>, "result": <a number from {low:g} to {high:g}>}}'
        return _judge(self, place, asked, {"type": "number"}, lambda value: _number(value, low, high), low)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelModel:
    """1 where the label that `model` gives when asked `input` is one of `passing_labels`, else 0."""

    model: str
    input: tuple[PromptMessage, ...]
    labels: tuple[str, ...]
    passing_labels: tuple[str, ...]
    sampling_params: SamplingParams = field(default_factory=SamplingParams)
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    name: str = ""

    def grader(self, place: Place) -> Grader:
        """Raises UsageError for templates, labels or an endpoint that cannot be."""
        if len(set(self.labels)) < 2:
            raise UsageError(f"{place.at('labels')}: at least two different labels")
        strangers = [label for label in self.passing_labels if label not in self.labels]
        if strangers or not self.passing_labels:
            problem = f"{strangers[0]!r} is none of the labels" if strangers else "name at least one"
            raise UsageError(f"{place.at('passing_labels')}: {problem}")
        listed = " or ".join(json.dumps(label, ensure_ascii=False) for label in self.labels)
        asked = f'a JSON object {{"steps": <your reasoning, short>, "result": <{listed}>}}'
        kind = {"type": "string", "enum": list(self.labels)}
        return _judge(self, place, asked, kind, self._verdict, 0.0)

    def _verdict(self, label: Any) -> float:
        if label not in self.labels:
            raise GoalwardError(f"the judge gave {label!r:.100}, which is none of the labels")
        return float(label in self.passing_labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelJudge:
    """A Grader that asks `endpoint` about every attempt, many at once; what fails is an error of that attempt.

    body: the request but for its messages; messages: (role, template) in turn; verdict: the reply's result to
    a score; lowest: the score of an attempt that cannot be put in the templates (no JSON, a key that it lacks).
    """

    endpoint: Endpoint
    body: Mapping[str, Any]
    messages: Sequence[tuple[Role, Template]]
    verdict: Callable[[Any], float]
    lowest: float

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each rollout."""
        return self.grade_all([group])[0]

    def grade_all(self, groups: Sequence[Group]) -> list[list[Feedback]]:
        """One list for each group. Attempts with the same text are asked about once."""
        asked = [[self._request(group.task, rollout) for rollout in group.rollouts] for group in groups]
        requests = list(dict.fromkeys(one for row in asked for one in row if isinstance(one, str)))
        deadline = time.monotonic() + self.endpoint.settings.max_seconds
        with ThreadPoolExecutor(self.endpoint.settings.concurrency) as threads:
            answers = dict(
                zip(requests, threads.map(lambda one: self._ask(one, deadline), requests), strict=True)
            )
        return [[answers[one] if isinstance(one, str) else one for one in row] for row in asked]

    def _request(self, task: Task, rollout: Rollout) -> str | Feedback:
        try:
            messages = [
                {"role": role, "content": template.render(task, rollout)} for role, template in self.messages
            ]
        except NoMatchError as fault:
            return Feedback(score=self.lowest, note=str(fault))
        except GoalwardError as error:
            return failure(error)
        return json.dumps({**self.body, "messages": messages})

    def _ask(self, request: str, deadline: float) -> Feedback:
        try:
            return self.endpoint.ask(request, self._read, deadline)
        except Exception as error:  # noqa: BLE001 (a network and a disk; what fails is counted and shown)
            return failure(error)

    def _read(self, content: str) -> Feedback:
        try:  # a server that knows no response_format may put words or a fence around it
            reply = json.loads(content[content.find("{") : content.rfind("}") + 1])
            result = reply["result"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise GoalwardError(f"the judge did not answer as asked: {content!r:.200}") from None
        steps = reply.get("steps", "")
        return Feedback(score=self.verdict(result), note=steps[:300] if isinstance(steps, str) else "")


def _judge(
    config: ScoreModel | LabelModel,
    place: Place,
    asked: str,
    kind: Mapping[str, Any],
    verdict: Callable[[Any], float],
    lowest: float,
) -> ModelJudge:
    if not config.input:
        raise UsageError(f"{place.at('input')}: at least one message")
    how: Role = "system"
    schema = {
        "type": "object",
        "properties": {"steps": {"type": "string"}, "result": kind},
        "required": ["steps", "result"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    return ModelJudge(
        endpoint=config.endpoint.endpoint(place.at("endpoint")),
        body={"model": config.model, **config.sampling_params.request(), "response_format": form},
        messages=[
            (how, Template((f"You are a grader. Reply with {asked} and nothing else.",))),
            *(
                (message.role, parse_template(message.content, place.at("input", index, "content")))
                for index, message in enumerate(config.input)
            ),
        ],
        verdict=verdict,
        lowest=lowest,
    )


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise GoalwardError(f"the judge gave {value!r:.100}, not a number")
    if not low <= value <= high:
        raise GoalwardError(f"the judge gave {value:g}, which is not from {low:g} to {high:g}")
    return float(value)
