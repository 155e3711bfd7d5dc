"""Graders from a file: what each type says of an attempt, and what a malformed file is told."""

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from goalward.errors import UsageError
from goalward.feedback.build import GRADERS, TYPES, build_grader
from goalward.feedback.extras import extra
from goalward.feedback.grade import grade_file, recorded
from goalward.feedback.judge import judge_group
from goalward.types import Feedback, Group, Rollout, Task

OUT = "{{ sample.output_text }}"
REFERENCE = "{{ item.reference }}"


def write(folder: Path, table: Any, name: str = "grader.toml") -> str:
    path = folder / name
    path.write_text(tomli_w.dumps(table) if name.endswith(".toml") else json.dumps(table))
    return str(path)


def grade(
    folder: Path, table: Any, text: str | Rollout, reference: str | None = "Bern", **info: Any
) -> Feedback:
    task = Task(id="t", messages=({"role": "user", "content": "Capital?"},), reference=reference, info=info)
    rollout = recorded(text) if isinstance(text, str) else text
    (feedback,) = judge_group(Group(task=task, rollouts=(rollout,)), build_grader(write(folder, table)))
    return feedback


def check(operation: str, **more: str) -> dict[str, Any]:
    return {"type": "string_check", "input": OUT, "reference": REFERENCE, "operation": operation, **more}


@pytest.mark.parametrize(
    ("operation", "text", "score"),
    [
        ("eq", "Bern", 1),
        ("eq", "bern", 0),
        ("eq", "Bern ", 0),
        ("ne", "Bern", 0),
        ("ne", "Basel", 1),
        ("like", "It is Bern.", 1),
        ("like", "It is bern.", 0),
        ("ilike", "IT IS BERN.", 1),
        ("ilike", "Basel", 0),
    ],
)
def test_string_check(tmp_path: Path, operation: str, text: str, score: int) -> None:
    assert grade(tmp_path, check(operation), text) == Feedback(score=score)


def test_json_and_toml_files_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.json", "a.toml"):
        write(tmp_path, check("eq", name="capital"), name)
        build_grader(name, tmp_path)  # beside the recipe
        monkeypatch.chdir(tmp_path)
        build_grader(name)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ item.city }}", "Bern"),
        ("{{item.city}}, {{  item.list[1]  }}", "Bern, b"),
        ("{{ item.nested.deep[0].x }}", "7"),
        ("{{ item.nested }}", '{"deep": [{"x": 7}]}'),
        ("{{ item.flag }}{{ item.number }}", "true0.5"),
        ("{{ item.question }}", "Capital?"),
        ("{{ item.trap }}", "{{ item.city }}"),
        (r"no place: {x} }} \frac{1}{2}", r"no place: {x} }} \frac{1}{2}"),
        ("", ""),
    ],
)
def test_templates(tmp_path: Path, template: str, value: str) -> None:
    info = {
        "city": "Bern",
        "list": ["a", "b"],
        "nested": {"deep": [{"x": 7}]},
        "flag": True,
        "number": 0.5,
        "trap": "{{ item.city }}",
    }
    assert grade(tmp_path, check("eq", reference=template), value, **info) == Feedback(score=1.0)
    assert grade(tmp_path, check("eq", input=template, reference=OUT), value, **info) == Feedback(score=1.0)


@pytest.mark.parametrize(
    ("text", "score", "note"),
    [
        ('{"a": {"b": "Bern"}}', 1, ""),
        ('{"a": {"b": "Basel"}}', 0, ""),
        ('{"a": {"c": "Bern"}}', 0, "sample.output_json.a.b: there is no key 'b'"),
        ('{"a": "Bern"}', 0, "sample.output_json.a.b: 'b' is looked for in text"),
        ('{"a": {"b": null}}', 0, "sample.output_json.a.b has no value"),
        ('{"a": {"b": NaN}}', 0, "the answer is not JSON"),
        ("Bern", 0, "the answer is not JSON"),
        ("[" * 100_000, 0, "the answer is not JSON"),
        ("9" * 100_000, 0, "the answer is not JSON"),
    ],
)
def test_an_answer_that_is_not_the_json_asked_for_is_no_match(
    tmp_path: Path, text: str, score: int, note: str
) -> None:
    for operation in ("eq", "ne") if note else ("eq",):
        feedback = grade(tmp_path, check(operation, input="{{ sample.output_json.a.b }}"), text)
        assert (feedback.score, feedback.error) == (score, None)
        assert feedback.note.startswith(note)


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("{{ item.citi }}", "item.citi: there is no key 'citi'; did you mean 'city'?"),
        ("{{ item.list[2] }}", "item.list[2]: the list has 2 entries, counted from 0"),
        ("{{ item.list.x }}", "item.list.x: 'x' is looked for in a list"),
        ("{{ item.none }}", "item.none has no value"),
    ],
)
def test_an_item_key_that_is_not_there_is_an_error(tmp_path: Path, template: str, error: str) -> None:
    info = {"city": "Bern", "list": ["a", "b"], "none": None}
    assert grade(tmp_path, check("eq", reference=template), "Bern", **info) == Feedback(
        score=None, error=error
    )


def test_grading_a_file_names_the_line_of_the_missing_key(tmp_path: Path) -> None:
    rows = [{"response": "a", "reference": "a", "level": "a"}, {"response": "a", "reference": "a"}]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("\n".join(map(json.dumps, rows)))
    grader = build_grader(write(tmp_path, check("eq", reference="{{ item.level }}"), "grader.json"))
    report = grade_file(answers, grader)
    assert (report.correct, report.errors) == (1, 1)
    assert report.row_errors[2].startswith("item.level: there is no key 'level'")


@pytest.mark.parametrize("metric", ["fuzzy_match", "bleu", "gleu", "meteor", "rouge_1", "rouge_2", "rouge_l"])
def test_text_similarity_orders_texts(tmp_path: Path, metric: str) -> None:
    table = {"type": "text_similarity", "input": OUT, "reference": REFERENCE, "evaluation_metric": metric}
    wanted = "the cat sat on the mat in the evening sun"
    texts = (wanted, "the cat sat on the mat in the rain", "dogs bark loudly", "")
    scores = [grade(tmp_path, table, text, wanted).score for text in texts]
    assert scores[0] == pytest.approx(1, abs=0.001)
    assert scores[0] > scores[1] > scores[2] >= scores[3] == 0  # type: ignore[operator]


def test_text_similarity_by_hand() -> None:
    from goalward.feedback.similarity import similarity

    assert similarity("rouge_1", "the cat sat", "the cat ran fast") == pytest.approx(2 * 2 / (3 + 4))
    assert similarity("rouge_2", "the cat sat", "the cat ran fast") == pytest.approx(2 * 1 / (2 + 3))
    assert similarity("rouge_l", "the dog cat", "the cat") == pytest.approx(2 * 2 / (3 + 2))
    assert similarity("fuzzy_match", "abcd", "abXd") == pytest.approx(2 * 3 / 8)
    assert similarity("gleu", "a b c", "a b d") == pytest.approx(3 / 6)  # of 3 + 2 + 1 n-grams a, b and "a b"
    assert similarity("meteor", "cats", "cat") == similarity("meteor", "cat", "cat")  # by stem
    assert similarity("meteor", "car", "automobile") == 0  # no synonyms


@pytest.mark.parametrize(
    ("pattern", "text", "score"),
    [(r"^\d+$", "18", 1), (r"^\d+$", "18 ", 0), ("(?i)bern", "In BERN", 1), (r"\bx\b", "xx", 0)],
)
def test_regex(tmp_path: Path, pattern: str, text: str, score: int) -> None:
    assert grade(tmp_path, {"type": "regex", "pattern": pattern}, text) == Feedback(score=score)


def test_a_regex_bomb_is_an_error_of_its_attempt(tmp_path: Path) -> None:
    grader = build_grader(write(tmp_path, {"type": "regex", "pattern": "^(a+)+$"}))
    group = Group(task=Task(id="t", messages=()), rollouts=tuple(map(recorded, ("aaa", "a" * 50 + "!", "b"))))
    good, bomb, bad = judge_group(group, grader)
    assert (good.score, bad.score) == (1, 0)
    assert bomb == Feedback(score=None, error="time limit of 5 s")


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("text", "score", "note"),
    [
        ('{"n": 1}', 1, ""),
        (' {"n": 1}\n', 1, ""),
        ('{"n": "1"}', 0, "n: '1' is not of type 'integer'"),
        ("{}", 0, "'n' is a required property"),
        ('so: {"n": 1}', 0, "the answer is not JSON"),
        ("[" * 5000 + "]" * 5000, 0, "the answer is not JSON"),
    ],
)
def test_json_schema(tmp_path: Path, text: str, score: int, note: str) -> None:
    feedback = grade(tmp_path, {"type": "json_schema", "schema": SCHEMA}, text)
    assert feedback == Feedback(score=score, note=note)


def test_json_schema_never_goes_to_the_network(tmp_path: Path) -> None:
    feedback = grade(tmp_path, {"type": "json_schema", "schema": {"$ref": "http://127.0.0.1:9/x.json"}}, "{}")
    assert feedback.score is None
    assert feedback.error is not None and "Unresolvable" in feedback.error


def of_tokens(count: int) -> Rollout:
    tokens = np.zeros(count, dtype=np.int32)
    return Rollout(
        prompt=tokens, completion=tokens, sampled=tokens == 0, logprobs=None, text="x" * count, stop="eos"
    )


@pytest.mark.parametrize(
    ("table", "count", "score"),
    [
        ({"max": 10}, 10, 1),
        ({"max": 10}, 11, 0),
        ({"min": 5, "max": 10}, 4, 0),
        ({"max": 10, "slope": 4}, 11, 0.75),
        ({"max": 10, "slope": 4}, 14, 0),
        ({"min": 8, "slope": 8}, 2, 0.25),
        ({"max": 10, "unit": "characters"}, 11, 0),
    ],
)
def test_length(tmp_path: Path, table: dict[str, Any], count: int, score: float) -> None:
    assert grade(tmp_path, {"type": "length", **table}, of_tokens(count)) == Feedback(score=score)


def test_length_in_tokens_needs_tokens(tmp_path: Path) -> None:
    assert "recorded text has no tokens" in (
        grade(tmp_path, {"type": "length", "max": 3}, "text").error or ""
    )


@pytest.mark.parametrize(
    ("text", "score"),
    [("a b c d e", 1), ("a b a b a b", 0.4), ("a", 1), ("", 1), ("a " * 1001, 0.001)],
)
def test_repetition(tmp_path: Path, text: str, score: float) -> None:
    assert grade(tmp_path, {"type": "repetition", "n": 2}, text).score == score


MULTI = {
    "type": "multi",
    "graders": {
        "right": check("eq"),
        "number": "numeric",
        "short": {"type": "length", "max": 4, "unit": "characters"},
        "unused": {"type": "exact"},
    },
    "calculate_output": "0.75 * right + min(number, short) / 4",
}


def test_multi(tmp_path: Path) -> None:
    feedback = grade(tmp_path, MULTI, "18.0", "18")
    assert feedback == Feedback(score=0.25, parts={"right": 0.0, "number": 1.0, "short": 1.0, "unused": 0.0})
    assert grade(tmp_path, MULTI, "18", "18").score == 1


def test_an_error_inside_multi_is_an_error_of_the_whole(tmp_path: Path) -> None:
    feedback = grade(tmp_path, MULTI, "18", "eighteen")
    assert feedback.score is None
    assert feedback.error == "number: the reference 'eighteen' holds no number"


@pytest.mark.parametrize(
    ("formula", "error"),
    [
        ("1 / right", "calculate_output divides by zero: 1 / right"),
        ("log(right)", "calculate_output has no value here: log(right)"),
        ("sqrt(right - 1)", "calculate_output has no value here: sqrt(right - 1)"),
        ("(right - 1) ^ 0.5", "calculate_output has no value here: (right - 1) ^ 0.5"),
        ("exp(9 ^ 9)", "calculate_output has no value here: exp(9 ^ 9)"),
        ("9 ^ 9 ^ 9", "calculate_output has no value here: 9 ^ 9 ^ 9"),
        ("1e308 * 10", "calculate_output has no value here: 1e308 * 10"),
    ],
)
def test_a_formula_without_a_value_is_an_error(tmp_path: Path, formula: str, error: str) -> None:
    table = {**MULTI, "calculate_output": formula}
    feedback = grade(tmp_path, table, "no", "18")
    assert (feedback.score, feedback.error) == (None, error)


def test_files_within_files_are_found_beside_the_outer_one(tmp_path: Path) -> None:
    write(tmp_path, check("eq"), "inner.json")
    table = {"type": "multi", "graders": {"a": "inner.json"}, "calculate_output": "2 * a"}
    assert grade(tmp_path, table, "Bern") == Feedback(score=2.0, parts={"a": 1.0})


def malformed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**check("eq"), **changes}.items() if value is not None}


def multi(**changes: Any) -> dict[str, Any]:
    return {**MULTI, **changes}


JUDGE = {
    "type": "label_model",
    "model": "m",
    "input": [{"role": "user", "content": OUT}],
    "labels": ["good", "bad"],
    "passing_labels": ["good"],
    "endpoint": {"base_url": "http://127.0.0.1:9/v1"},
}
SCORE = {
    "type": "score_model",
    "model": "m",
    "input": [{"role": "user", "content": OUT}],
    "endpoint": {"base_url": "http://127.0.0.1:9/v1"},
}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        # the file itself
        ("{", "grader.json: not valid JSON: Expecting property name"),
        ("", "grader.json: not valid JSON"),
        ('{"type": "exact", "type": "math"}', "grader.json: not valid JSON: the key 'type' stands twice"),
        ('{"type": "length", "max": NaN}', "grader.json: not valid JSON: NaN is no JSON"),
        ("[" * 100_000, "grader.json: not valid JSON"),
        (b"\xff\xfe{}", "grader.json: not valid JSON"),
        ("[1]", "grader.json: a grader is a table with a `type`, found [1]"),
        ('"numeric"', "grader.json: a grader is a table with a `type`, found 'numeric'"),
        # the type
        ({}, "grader.json: type: is missing; known: string_check"),
        ({"type": 3}, "grader.json: type: there is no grader type 3; known: "),
        (
            {"type": "string_chek"},
            "type: there is no grader type 'string_chek'; did you mean 'string_check'?",
        ),
        ({"type": "numeric", "tolerance": 1}, "tolerance: the grader type 'numeric' has no keys but `name`"),
        # keys and values
        (malformed(operation=None), "grader.json: operation: "),
        (
            malformed(operation="equals"),
            "grader.json: operation: input should be 'eq', 'ne', 'like' or 'ilike'",
        ),
        (malformed(operation=["eq"]), "grader.json: operation: "),
        (malformed(input=5), "grader.json: input: input should be a valid string, found 5"),
        (malformed(inputs="x"), "grader.json: inputs: there is no key 'inputs'; did you mean 'input'?"),
        (
            {"type": "text_similarity", "input": "", "reference": "", "evaluation_metric": "cosine"},
            "metric: ",
        ),
        ({"type": "length", "max": "10"}, "grader.json: max: "),
        ({"type": "length"}, "grader.json: give `min`, `max` or both"),
        ({"type": "length", "min": 5, "max": 4}, "grader.json: max: 4 is below min, 5"),
        ({"type": "length", "max": 4, "slope": -1}, "grader.json: slope: must not be below 0"),
        ({"type": "repetition", "n": 0}, "grader.json: n: from 1 to 100 words, found 0"),
        ({"type": "regex", "pattern": "(a"}, "grader.json: pattern: no regular expression: missing )"),
        ({"type": "regex", "pattern": "a{99999999999}"}, "grader.json: pattern: no regular expression: "),
        (
            {"type": "json_schema", "schema": {"type": "strin"}},
            "grader.json: schema.type: 'strin' is not valid",
        ),
        (
            {"type": "json_schema", "schema": {"required": "a"}},
            "grader.json: schema.required: 'a' is not of type",
        ),
        # templates
        (malformed(input="{{ item }}"), "grader.json: input: 'item' should be written as item.key"),
        (malformed(input="{{ items.x }}"), "input: there is no namespace 'items'; did you mean 'item'?"),
        (malformed(input="{{ item.x"), "grader.json: input: '{{' without its '}}'"),
        (malformed(input="{{ item.x[a] }}"), "grader.json: input: 'item.x[a]' should be written as"),
        (malformed(input="{{ item..x }}"), "grader.json: input: 'item..x' should be written as"),
        (malformed(input="{{ sample.text }}"), "there is no sample key 'text'; did you mean 'output_text'?"),
        (malformed(input="{{ sample.output_text.x }}"), "sample.output_text is text"),
        (malformed(input="{{ __import__('os') }}"), "grader.json: input: there is no namespace"),
        # multi
        (multi(graders=[]), "grader.json: graders: "),
        (multi(graders={"right": 3}), "graders.right: a grader is a table with a `type`, found 3"),
        (multi(graders={"right": "numerik"}), "graders.right: there is no grader 'numerik'; did you mean"),
        (multi(graders={"right": {"type": "regex"}}), "grader.json: graders.right.pattern: "),
        (multi(graders={"min": "exact"}), "graders.min: a formula cannot call it that"),
        (multi(graders={"a-b": "exact"}), "graders.a-b: a formula cannot call it that"),
        (multi(graders={"right": "grader.json"}), "grader files that name each other in a circle"),
        (multi(graders={"right": "none.toml"}), "none.toml: there is no such grader file"),
        (
            multi(calculate_output=""),
            "calculate_output: column 1: expected a number, a name or '(', found the end",
        ),
        (
            multi(calculate_output="rihgt"),
            "calculate_output: there is no grader 'rihgt'; did you mean 'right'?",
        ),
        (multi(calculate_output="right +"), "calculate_output: column 8: expected a number, a name or '('"),
        (multi(calculate_output="right right"), "column 7: expected an operator or the end, found 'right'"),
        (multi(calculate_output="(right"), "calculate_output: column 7: expected ')', found the end"),
        (
            multi(calculate_output="right ** 2"),
            "calculate_output: column 8: expected a number, a name or '('",
        ),
        (multi(calculate_output="sqr(right)"), "column 1: there is no function 'sqr'; did you mean 'sqrt'?"),
        (multi(calculate_output="min(right)"), "column 1: min takes two numbers or more, found 1"),
        (multi(calculate_output="abs(right, 1)"), "column 1: abs takes one number, found 2"),
        (multi(calculate_output="right.__class__"), "expected an operator or the end, found '.'"),
        (multi(calculate_output="(" * 1000 + "1"), "more than 50 levels of brackets"),
        # judges
        ({**JUDGE, "passing_labels": ["great"]}, "passing_labels: 'great' is none of the labels"),
        ({**JUDGE, "labels": ["good"]}, "grader.json: labels: at least two different labels"),
        ({**JUDGE, "input": []}, "grader.json: input: at least one message"),
        (
            {**JUDGE, "input": [{"role": "user", "content": "{{ x.y }}"}]},
            "grader.json: input.0.content: there is",
        ),
        (
            {**JUDGE, "input": [{"role": "user", "content": "", "text": ""}]},
            "input.0.text: there is no key 'text'",
        ),
        ({**JUDGE, "input": [{"role": "judge", "content": ""}]}, "grader.json: input.0.role: "),
        ({**SCORE, "range": [1, 0]}, "grader.json: range: the first number must be below the second"),
        ({**SCORE, "range": [1]}, "grader.json: range"),
        (
            {**SCORE, "endpoint": {"base_url": "file:///etc/passwd"}},
            "endpoint.base_url: 'file:///etc/passwd' is no",
        ),
        ({**SCORE, "endpoint": {"retrys": 1}}, "endpoint.retrys: there is no key 'retrys'; "),
        ({**SCORE, "endpoint": {"tries": 0}}, "grader.json: endpoint.tries: must be above 0, found 0"),
        ({**SCORE, "endpoint": {"max_cost": 1}}, "endpoint.max_cost: a cap on cost needs input_price"),
        ({**SCORE, "endpoint": {}}, "endpoint.api_key_env: the environment has no OPENAI_API_KEY"),
    ],
)
def test_malformed_files_are_told_where_and_what(
    tmp_path: Path, content: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "grader.json"
    content = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as error:
        build_grader(str(path))
    message = str(error.value)
    assert said in message
    assert message.startswith(str(path))
    assert len(message.splitlines()) <= 2 and len(message) < 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type = ", "not valid TOML"),
        ("type = 'exact'\ntype = 'math'", "not valid TOML"),
        ("a = 1", "type: is missing"),
    ],
)
def test_malformed_toml(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "grader.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        build_grader(str(path))


def test_a_circle_through_two_files(tmp_path: Path) -> None:
    for one, other in (("a.json", "b.json"), ("b.json", "a.json")):
        write(tmp_path, {"type": "multi", "graders": {"x": other}, "calculate_output": "x"}, one)
    with pytest.raises(UsageError, match=r"a\.json: graders\.x: .*b\.json: graders\.x: .*circle"):
        build_grader(str(tmp_path / "a.json"))


def test_every_type_without_keys_is_a_name_too(tmp_path: Path) -> None:
    for name in GRADERS.keys() - TYPES.keys():
        build_grader(write(tmp_path, {"type": name, "name": "mine"}))


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(UsageError, match=r"json_schema needs jsonschema: pip install 'goalward\[graders\]'"):
        extra("jsonschema", "json_schema")


def test_a_recipe_takes_a_grader_file_from_its_folder(tmp_path: Path) -> None:
    from goalward.recipe import load_recipe

    write(tmp_path, MULTI)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('model = "pocket"\nreward.answer = "grader.toml"\n')
    load_recipe(recipe)
    write(tmp_path, multi(calculate_output="rigth"))
    with pytest.raises(
        UsageError, match=r"reward\.answer\.grader: .*grader\.toml: calculate_output: .*'right'"
    ):
        load_recipe(recipe)


def test_the_examples_in_the_docs_are_graders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    docs = (Path(__file__).parents[2] / "docs" / "grading.md").read_text()
    blocks = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", docs, re.MULTILINE)
    examples = [
        block for block in map(textwrap.dedent, blocks) if "type" in block and "goalward" not in block
    ]
    assert len(examples) == 6
    for number, example in enumerate(examples):
        suffix = "json" if example.lstrip().startswith("{") else "toml"
        (tmp_path / f"{number}.{suffix}").write_text(example)
        build_grader(str(tmp_path / f"{number}.{suffix}"))
