"""Whatever the text: a verdict or an error, one for each attempt, and nothing raised."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goalward.errors import UsageError
from goalward.feedback import workers
from goalward.feedback.answers import boxed_answer, final_number, tagged_answer
from goalward.feedback.build import GRADERS, TYPES, build_grader
from goalward.feedback.expression import parse_expression
from goalward.feedback.grade import recorded
from goalward.feedback.judge import judge
from goalward.feedback.template import parse_template
from goalward.schema import Place
from goalward.types import Feedback, Group, Task

TAGS = (
    "<answer>",
    "</answer>",
    "<reasoning>",
    "</reasoning>\n",
    "####",
    "A:",
    "answer is",
    "{{ item.reference }}",
)
LATEX = (r"\boxed{", r"\frac{", r"\sqrt{", "}", "^", "!", "$", "%")
JSON = ('{"a": ', "[", "]", '"', "null", "{{", "}}")
PIECES = st.sampled_from([*TAGS, *LATEX, *JSON, *"()19,.-/=ex \n\x00\ud800\u202eé١²½∞"])
TEXTS = st.one_of(
    st.text(st.characters(), max_size=200),  # lone surrogates too
    st.lists(PIECES, max_size=30).map("".join),
    st.tuples(PIECES, st.integers(1, 20_000)).map(lambda pair: pair[0] * pair[1]),
    st.builds("<answer>{}</answer>".format, st.lists(PIECES, max_size=12).map("".join)),
)
SETTINGS = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
INPUT = {"input": "{{ sample.output_text }}", "reference": "{{ item.reference }}"}
CONFIGURED: dict[str, list[dict[str, Any]]] = {
    "string_check": [
        {**INPUT, "operation": "ilike"},
        {**INPUT, "operation": "eq", "input": "{{ sample.output_json.a }}"},
    ],
    "text_similarity": [
        {**INPUT, "evaluation_metric": name}
        for name in ("fuzzy_match", "bleu", "gleu", "meteor", "rouge_2", "rouge_l")
    ],
    "regex": [{"pattern": r"(\w+\s?)+$"}],
    "json_schema": [{"schema": {"type": "object", "patternProperties": {"^(a+)+$": {}}}}],
    "length": [{"max": 10, "unit": "characters", "slope": 5}],
    "repetition": [{"n": 3}],
}


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    """Workers that wait half a second, so that a hopeless text costs no more."""
    with workers.Workers(count=2, seconds=0.5) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "shared", lambda: made)
        yield


def judged(grader: Any, texts: list[str], reference: str) -> tuple[Feedback, ...]:
    task = Task(id="t", messages=({"role": "user", "content": "?"},), reference=reference)
    (group,) = judge([Group(task=task, rollouts=tuple(map(recorded, texts)))], grader)
    return group.feedback


def is_verdict_or_error(feedback: Feedback) -> bool:
    if feedback.score is None:
        return bool(feedback.error or feedback.note)  # or no verdict, for a reason
    return feedback.error is None and math.isfinite(feedback.score)


@pytest.mark.parametrize("name", sorted(GRADERS))
@SETTINGS
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=4), reference=st.one_of(st.sampled_from(["18", "x^2"]), TEXTS)
)
def test_built_in(name: str, texts: list[str], reference: str) -> None:
    feedback = judged(build_grader(name), texts, reference)
    assert len(feedback) == len(texts)
    assert all(map(is_verdict_or_error, feedback))


@pytest.mark.parametrize(
    ("kind", "table"), [(kind, table) for kind in CONFIGURED for table in CONFIGURED[kind]]
)
@SETTINGS
@given(texts=st.lists(TEXTS, min_size=1, max_size=4), reference=TEXTS)
def test_from_a_file(kind: str, table: dict[str, Any], texts: list[str], reference: str) -> None:
    from goalward.schema import read

    grader = read(TYPES[kind], table, Place("test")).grader(Place("test"))
    feedback = judged(grader, texts, reference)
    assert len(feedback) == len(texts)
    assert all(map(is_verdict_or_error, feedback))


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_finding_answers(text: str) -> None:
    tagged_answer(text), boxed_answer(text), final_number(text)


@pytest.mark.parametrize("parse", [lambda text: parse_template(text, Place("f")), parse_expression])
@settings(max_examples=300, deadline=None)
@given(
    text=st.one_of(
        st.text(),
        st.lists(st.sampled_from([*"ab12.+-*/^(), {}[]", "min", "{{", "}}", "item."])).map("".join),
    )
)
def test_what_a_file_may_hold_is_read_or_refused(parse: Callable[[str], Any], text: str) -> None:
    try:
        parse(text)
    except UsageError as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(a=st.floats(-10, 10), b=st.floats(-10, 10))
def test_formulas_are_arithmetic(a: float, b: float) -> None:
    values = {"a": a, "b": b}
    assert parse_expression("2 * a - b * (a + 1) / 4")(values) == pytest.approx(2 * a - b * (a + 1) / 4)
    assert parse_expression("-a ^ 2 + max(a, b, 0) - abs(b)")(values) == pytest.approx(
        -(a**2) + max(a, b, 0) - abs(b)
    )
    assert parse_expression("2 ^ 3 ^ 2 / 2 ^ -1 + floor(a) * ceil(b)")(values) == 1024 + math.floor(
        a
    ) * math.ceil(b)
