"""The built-in graders. Each judges one text; `EachRollout` makes a Grader of it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from json import dumps, loads
from typing import Any

from goalward.errors import UsageError
from goalward.feedback.answers import final_number, tagged_answer
from goalward.feedback.verdict import NoMatchError, failure, no_verdict, verdict
from goalward.feedback.weighted import Part, Weighted
from goalward.types import Feedback, Group, Rollout, Task

_NO_REFERENCE = no_verdict("the task has no reference answer to compare with")


@dataclass(frozen=True, slots=True)
class EachRollout:
    """A Grader that judges every attempt by itself; where `judge` raises, that attempt alone has an error."""

    judge: Callable[[Task, Rollout], object]

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each rollout."""
        return [self._one(group.task, rollout) for rollout in group.rollouts]

    def _one(self, task: Task, rollout: Rollout) -> Feedback:
        try:
            return verdict(self.judge(task, rollout))
        except NoMatchError as fault:
            return Feedback(score=0.0, note=str(fault))
        except Exception as error:  # noqa: BLE001 (may be anybody's code; what it raises is counted and shown)
            return failure(error)


def essay_format(task: Task, rollout: Rollout) -> float:
    r"""1 where the completion is two lines, a whole reasoning block and a whole answer block; else 0.

    Exactly the published rule: `<reasoning>...</reasoning>`, a newline, `<answer>...</answer>`, with nothing
    before or behind but at most one newline at the very end; no newline inside a block (the published pattern's
    dot does not match one), and each block ends at its first closing tag. `tags` is the rule that lets the
    reasoning run over several lines.
    """
    lines = rollout.text.removesuffix("\n").split("\n")
    return float(len(lines) == 2 and _is_block(lines[0], "reasoning") and _is_block(lines[1], "answer"))


def tags(task: Task, rollout: Rollout) -> float:
    """As `essay_format`, but newlines may stand inside the blocks, and white space behind the last one."""
    reasoning, between, answer = rollout.text.rstrip().partition("</reasoning>\n<answer>")
    blocks = (reasoning + "</reasoning>", "<answer>" + answer)
    return float(bool(between) and _is_block(blocks[0], "reasoning") and _is_block(blocks[1], "answer"))


def _is_block(text: str, tag: str) -> bool:
    opening, closing = f"<{tag}>", f"</{tag}>"
    return text.startswith(opening) and text.find(closing) == len(text) - len(closing)


def essay_answer(task: Task, rollout: Rollout) -> float | Feedback:
    """1 where the text in the answer tag is the reference, character for character; else 0."""
    if task.reference is None:
        return _NO_REFERENCE
    return float(tagged_answer(rollout.text) == task.reference.strip())


def essay() -> Weighted:
    """The essay's reward: 1 for the format and 2 for the exact answer."""
    return Weighted(
        parts={
            "format": Part(grader=EachRollout(essay_format), weight=1),
            "answer": Part(grader=EachRollout(essay_answer), weight=2),
        }
    )


def exact(task: Task, rollout: Rollout) -> float | Feedback:
    """1 where the whole completion is the reference, but for white space around them; else 0."""
    if task.reference is None:
        return _NO_REFERENCE
    return float(rollout.text.strip() == task.reference.strip())


def numeric(task: Task, rollout: Rollout) -> float | Feedback:
    """1 where the final number equals the reference's, as exact fractions; `answers.final_number` says how."""
    if task.reference is None:
        return _NO_REFERENCE
    wanted = final_number(task.reference)
    if wanted is None:
        return no_verdict(f"the reference {task.reference!r} holds no number")
    return float(final_number(rollout.text) == wanted)


def math(task: Task, rollout: Rollout) -> float | Feedback:
    """1 where math-verify finds the answer equal to the reference (fractions, sets, expressions, LaTeX).

    The answer is the text in the answer tag, else what math-verify finds in the completion. This may take for
    ever; the grader `math` runs it where it can be ended (`workers.py`).
    """
    if task.reference is None:
        return _NO_REFERENCE
    wanted = _read_math(task.reference)
    if not wanted:
        return no_verdict(f"math-verify cannot read the reference {task.reference!r}")
    answer = tagged_answer(rollout.text)
    given = _parse_math(rollout.text) if answer is None else _read_math(answer)
    from math_verify import verify

    return float(verify(wanted, given, timeout_seconds=None, raise_on_error=True))


@lru_cache(maxsize=64)  # the attempts at one task share its reference
def _read_math(answer: str) -> Any:
    # Bare text such as "x^2 + 1" or "(1, 2)" is read whole only between dollar signs.
    as_latex = answer if "$" in answer or "\\boxed" in answer or "\\(" in answer else f"${answer}$"
    return _parse_math(as_latex) or _parse_math(answer)


def ready_for_math() -> None:
    """Load math-verify, and read a few answers: its parser builds its tables as it goes, in tenths of a second."""
    for answer in (
        "12",
        "-3.50",
        "1,234",
        r"$\frac{1}{2}$",
        "$x^2+1$",
        "(1, 2)",
        r"\boxed{\sqrt{2}}",
        "so $y=3$ or 4%",
    ):
        _read_math(answer)


def _parse_math(text: str) -> Any:
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that time is not its matter
    return parse(text, parsing_timeout=None, raise_on_error=True)


def gym(task: Task, rollout: Rollout) -> float | Feedback:
    """What reasoning_gym's own verifier gives for the text in the answer tag: 0 to 1, some with shades between.

    Verifiers that raise on an answer they cannot read give 0 for it, where they pass their own reference
    answer: then the fault lies in the answer. Else what they raise is an error.
    """
    if not {"gym", "entry"} <= task.info.keys():
        return no_verdict("this is no task of `gym`: its info has no `gym` and `entry`")
    entry: Mapping[str, Any] = task.info["entry"]
    verify = _verifier(task.info["gym"], dumps(task.info.get("config", {}), sort_keys=True))
    try:
        return float(verify(tagged_answer(rollout.text), entry))
    except Exception as error:
        if task.reference is None or verify(task.reference, entry) < 1:
            raise
        return Feedback(score=0.0, note=f"the verifier cannot read the answer: {type(error).__name__}")


def ready_for_gym() -> None:
    """Load reasoning-gym."""
    import reasoning_gym  # noqa: F401


@lru_cache(maxsize=256)
def _verifier(name: str, config: str) -> Callable[[str | None, Mapping[str, Any]], float]:
    try:
        import reasoning_gym
    except ImportError as error:
        raise UsageError("the gym grader needs reasoning-gym: pip install 'goalward[gym]'") from error
    score: Callable[[str | None, Mapping[str, Any]], float] = reasoning_gym.create_dataset(
        name, **{**loads(config), "size": 1, "seed": 0}
    ).score_answer
    return score


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """A negative control: 1 or 0 by a fair coin that knows nothing of the answer.

    The coin is a hash of (seed, task, place in the group, text), so that a run repeats itself. What improves
    under this reward improves without feedback.
    """

    seed: int = 0

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each rollout."""
        return [
            Feedback(score=float(self._coin(group.task.id, index, rollout.text)))
            for index, rollout in enumerate(group.rollouts)
        ]

    def _coin(self, *known: object) -> int:
        return (
            blake2b(repr((self.seed, *known)).encode(errors="surrogatepass"), digest_size=1).digest()[0] % 2
        )
