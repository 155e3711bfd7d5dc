"""Graders that run code: the attempt's own against tests, or a person's `grade(sample, item)` on the attempt.

Two kinds of failure are kept apart. A program that crashes, hangs or answers wrong is the model's doing: score 0,
with a note. Tests that make no sense, a grader's source that raises, a machine without a sandbox: an error, and no
score.
"""

import ast
import builtins
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from goalward.errors import UsageError
from goalward.feedback.answers import tagged_answer
from goalward.feedback.inner.wire import BrokenError, encode
from goalward.feedback.sandbox import Check, Limits, Sandbox
from goalward.feedback.verdict import failure, no_verdict, verdict
from goalward.schema import Place
from goalward.types import Feedback, Group, Rollout, Task

_PYTHON = ("", "python", "python3", "py")
_AT_ONCE = 4  # sandboxes, at most


def python_block(text: str) -> str:
    """The code in a completion: the last fenced block of Python, else the answer tag's text, else all of it."""
    block: list[str] | None = None  # the lines of the fenced block that is open, if one is
    language, found = "", None
    for line in text.splitlines():
        fence = line.strip()
        if not fence.startswith("```"):
            if block is not None:
                block.append(line)
        elif block is None:
            block, language = [], "".join(fence.strip("`").split()[:1]).lower()
        elif fence == "```":
            found = "\n".join(block) if language in _PYTHON else found
            block = None
        else:
            block.append(line)
    if found is not None:
        return found
    answer = tagged_answer(text)
    return text if answer is None else answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTests:
    """A Grader that runs the attempt's Python code against the tests in its task's info.

    `info["tests"]` is one test or a list: Python source that raises where the code is wrong (asserts, or a
    function that is called), or `{"input": ..., "output": ...}`, what the program reads and should print (white
    space at the end of lines and of the text does not count). The score is the share of tests passed; with
    `all_or_nothing` it is 1 or 0. `seconds` by the clock are for all asserts together, and for each input.
    """

    all_or_nothing: bool = False
    seconds: float = 10.0
    memory_mb: int = 512
    unsafe: bool = False
    name: str = ""

    def grader(self, place: Place) -> "CodeTests":
        """It is one itself."""
        return self

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each rollout. Where the tests make no sense it is an error, for all of them."""
        try:
            tests = _tests(group.task)
        except UsageError as error:
            return [no_verdict(str(error))] * len(group.rollouts)
        sandbox = Sandbox(limits=_limits(self.seconds, self.memory_mb), unsafe=self.unsafe)
        return _at_once(lambda rollout: self._one(sandbox, tests, rollout), group.rollouts)

    def _one(self, sandbox: Sandbox, tests: "Tests", rollout: Rollout) -> Feedback:
        code = python_block(rollout.text)
        notes = _failures(sandbox, code, tests)
        wrong = [note for note in notes if note]
        passed = len(notes) - len(wrong)
        score = float(not wrong) if self.all_or_nothing else passed / len(notes)
        note = f"{passed} of {len(notes)} tests passed"
        return Feedback(score=score, note=f"{note}; first: {wrong[0]}" if wrong else note)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonGrader:
    """A Grader from source that defines `grade(sample, item) -> float`, as in OpenAI's fine-tuning API.

    `sample` has `output_text`, `output_json` (None where the text is no JSON) and `choices`; `item` is the task's
    info with `reference`. What is installed beside Goalward can be imported. A result that is no finite number
    is an error, as is everything that goes wrong.
    """

    source: str
    seconds: float = 10.0
    memory_mb: int = 1024
    unsafe: bool = False
    name: str = ""

    def grader(self, place: Place) -> "PythonGrader":
        """It is one itself."""
        return self

    def __post_init__(self) -> None:
        try:
            tree = ast.parse(self.source)
        except (SyntaxError, ValueError) as error:
            raise UsageError(f"a python grader's source cannot be read: {error}") from error
        if not any(isinstance(node, ast.FunctionDef) and node.name == "grade" for node in tree.body):
            raise UsageError("a python grader's source should define grade(sample, item)")

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each rollout."""
        sandbox = Sandbox(limits=_limits(self.seconds, self.memory_mb), packages=True, unsafe=self.unsafe)
        item = {**group.task.info, "reference": group.task.reference}
        return _at_once(lambda rollout: self._one(sandbox, item, rollout), group.rollouts)

    def _one(self, sandbox: Sandbox, item: Mapping[str, Any], rollout: Rollout) -> Feedback:
        value = sandbox.call(self.source, "grade", [_sample(rollout), item])
        if isinstance(value, (bool, int, float)) and _finite(value):
            return verdict(value)
        return no_verdict(f"grade returned {str(value)[:60]!r} ({type(value).__name__}), not a finite number")


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _sample(rollout: Rollout) -> dict[str, Any]:
    try:
        parsed = json.loads(rollout.text)
        encode(parsed)
    except (ValueError, RecursionError, BrokenError):  # no JSON, or deeper than a sandbox takes
        parsed = None
    message = {"role": "assistant", "content": rollout.text}
    return {"output_text": rollout.text, "output_json": parsed, "choices": [{"message": message}]}


def _limits(seconds: float, memory_mb: int) -> Limits:
    return Limits(seconds=seconds, cpu_seconds=seconds, memory_mb=memory_mb)


def _at_once(judge: Callable[[Rollout], Feedback], rollouts: Sequence[Rollout]) -> list[Feedback]:
    def one(rollout: Rollout) -> Feedback:
        try:
            return judge(rollout)
        except Exception as error:  # noqa: BLE001 (counted and shown, and the neighbours keep their feedback)
            return failure(error)

    with ThreadPoolExecutor(min(_AT_ONCE, len(os.sched_getaffinity(0)))) as pool:
        return list(pool.map(one, rollouts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """A task's tests, read: pieces of source, and pairs of what goes in and what should come out."""

    checks: tuple[Check, ...]
    pairs: tuple[tuple[str, str], ...]


def _tests(task: Task) -> Tests:
    found = task.info.get("tests")
    listed = [found] if isinstance(found, (str, Mapping)) else found
    if not isinstance(listed, (list, tuple)) or not listed:
        raise UsageError(f"task {task.id} has no tests: info['tests'] should be a list of source or of pairs")
    checks, pairs = [], []
    for test in listed:
        if isinstance(test, str):
            checks.append(_check(task, test))
        elif isinstance(test, Mapping) and all(isinstance(test.get(key), str) for key in ("input", "output")):
            pairs.append((test["input"], test["output"]))
        else:
            raise UsageError(
                f"task {task.id}: a test is source or {{input, output}}, found {str(test)[:60]!r}"
            )
    return Tests(checks=tuple(checks), pairs=tuple(pairs))


def _check(task: Task, source: str) -> Check:
    try:
        tree = ast.parse(source)
        compile(source, "test.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"task {task.id}: a test cannot be read: {error}") from error
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not _loaded(node)}
    # Where a test says math.isclose without importing math it means the real one, whatever the code calls so.
    of_modules = {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    modules = (of_modules & set(sys.stdlib_module_names)) - stored
    # Nor may the code say what `abs` or `sorted` is.
    names -= modules | set(dir(builtins))
    return Check(source=source, names=tuple(sorted(names)), modules=tuple(sorted(modules)))


def _loaded(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _failures(sandbox: Sandbox, code: str, tests: Tests) -> list[str]:
    """For each test why it failed, or an empty string."""
    notes = []
    if tests.checks:
        notes += [one.note or "failed" if not one.passed else "" for one in sandbox.check(code, tests.checks)]
    for stdin, wanted in tests.pairs:
        outcome = sandbox.run(code, stdin=stdin)
        if outcome.status == "ok":
            notes.append("" if _lines(outcome.stdout) == _lines(wanted) else "other output")
            continue
        last = outcome.stderr.strip().splitlines()[-1:]
        notes.append(": ".join([outcome.status, *last])[:300])
        if outcome.status != "error":
            # A program that hangs would hang at every input, and the run would wait for all of them.
            break
    left = len(tests.checks) + len(tests.pairs) - len(notes)
    return notes + ["not run, because the one before ran over a limit"] * left


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]
