"""The file that Lean reads, and what its messages say about each proof in it. Nothing here runs anything.

What a proof is accepted by is evidence that we wrote ourselves: for each job a theorem `chk` of the statement, proved
by nothing but the candidate's, and the answer to `#print axioms chk`. The statement that `chk` has was defined
before any body was read, and the names hold a number that no body can know.
"""

import re
import secrets
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal, NamedTuple

_ANSWER = re.compile(r"'([^']+)' (?:does not depend on any axioms|depends on axioms: \[([^\]]+)\])")
_OUT_OF_BREATH = "maximum number of heartbeats"
_LONGEST, _MOST = 2000, 5
"""Of a verdict's messages: characters of each, and how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A claim and what should prove it.

    statement: a closed proposition in Lean, such as "∀ (p q : Prop), And p q → And q p"; body: a term, or with a
    whole toolchain also "by ...".
    """

    statement: str
    body: str


class Message(NamedTuple):
    """What Lean said: severity is "error", "warning", "information" or another; line from 1, column from 0."""

    severity: str
    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the messages say of one job. `axioms` are those of a proof that stands, in Lean's order."""

    status: Literal["ok", "rejected", "timeout"]
    axioms: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file without its header. Lines count from 1.

    anchor: the line of a command whose answer is known, and the name in it: where Lean counts lines from elsewhere,
    this says so; definitions: the line where each job's statement is defined, and where that ends; spans: the first
    line of each job, its body's first and last, and the line of its `#print axioms`; names: what that line asks about.
    """

    text: str
    anchor: tuple[int, str]
    definitions: tuple[tuple[int, int], ...]
    spans: tuple[tuple[int, int, int, int], ...]
    names: tuple[str, ...]


def write(jobs: Sequence[Job]) -> Source:
    """Lay the jobs out in one file, under fresh names."""
    number = secrets.token_hex(8)
    lines: list[str] = []

    def add(text: str) -> int:
        lines.extend(text.split("\n"))
        return len(lines)

    anchor = f"anchor_{number}"
    at = add(f"theorem {anchor} : True := True.intro\n#print axioms {anchor}")
    defined: dict[str, tuple[str, tuple[int, int]]] = {}
    for job in jobs:
        if job.statement not in defined:
            name, first = f"claim_{number}_{len(defined)}", len(lines) + 1
            defined[job.statement] = name, (first, add(f"def {name} : Prop := (\n{job.statement}\n)"))
    spans, names = [], []
    for place, job in enumerate(jobs):
        candidate, checked = f"candidate_{number}_{place}", f"chk_{number}_{place}"
        first = len(lines) + 1
        begins = add(f"theorem _root_.{candidate} : (\n{job.statement}\n) := (") + 1
        # In parentheses a body ends where it ends: whatever comes after it is an error.
        ends = add(f"{job.body}\n)")
        add(f"theorem _root_.{checked} : _root_.{defined[job.statement][0]} := @_root_.{candidate}")
        spans.append((first, begins, ends, add(f"#print axioms _root_.{checked}")))
        names.append(checked)
    return Source(
        text="\n".join(lines) + "\n",
        anchor=(at, anchor),
        definitions=tuple(defined[job.statement][1] for job in jobs),
        spans=tuple(spans),
        names=tuple(names),
    )


def shift(source: Source, messages: Sequence[Message]) -> int | None:
    """What to take from a message's line to have the source's; None where the header did not do."""
    line, name = source.anchor
    for message in messages:
        if message.severity == "information" and _axioms(message.text, name) == ():
            return message.line - line
    return None


def judge(source: Source, messages: Sequence[Message], allowed: Set[str]) -> Mapping[int, Finding]:
    """What is known of each job by its number; one of which nothing is known is left out.

    `messages` are those of a run that came to its end. A proof stands where its `chk` has no other axioms than
    `allowed`, and nothing in its lines is an error.
    """
    offset = shift(source, messages)
    if offset is None:
        return {}
    by_line: dict[int, list[Message]] = {}
    for message in messages:
        by_line.setdefault(message.line - offset, []).append(message)
    found = {}
    for job, (first, begins, ends, last) in enumerate(source.spans):
        # What is said of our own lines only follows from what is said of the candidate's.
        errors = (
            _errors(by_line, *source.definitions[job])
            or _errors(by_line, first, ends, begins)
            or _errors(by_line, ends + 1, last)
        )
        if errors:
            slow = any(_OUT_OF_BREATH in error for error in errors)
            found[job] = Finding(status="timeout" if slow else "rejected", messages=tuple(errors[:_MOST]))
            continue
        answers = [
            axioms
            for message in by_line.get(last, ())
            if message.severity == "information" and message.column == 0
            for axioms in [_axioms(message.text, source.names[job])]
            if axioms is not None
        ]
        if len(answers) == 1:
            found[job] = _by_axioms(answers[0], allowed)
    return found


def _by_axioms(axioms: tuple[str, ...], allowed: Set[str]) -> Finding:
    more = [axiom for axiom in axioms if axiom not in allowed]
    if more:
        return Finding(status="rejected", messages=(f"it rests on {', '.join(more)}",))
    return Finding(status="ok", axioms=axioms)


def _errors(by_line: Mapping[int, Sequence[Message]], low: int, high: int, begins: int = 0) -> list[str]:
    """The errors in these lines, with their place in the body where it begins at `begins`."""
    found = []
    for line in range(low, high + 1):
        for message in by_line.get(line, ()):
            if message.severity == "error":
                place = f"{line - begins + 1}:{message.column + 1}: " if 0 < begins <= line else ""
                found.append(place + message.text[:_LONGEST])
    return found


def _axioms(text: str, name: str) -> tuple[str, ...] | None:
    """The axioms of `name` in an answer to `#print axioms`; None where it is none."""
    match = _ANSWER.fullmatch(" ".join(text.split()))
    if match is None or match[1] != name:
        return None
    return tuple(axiom.strip() for axiom in match[2].split(",")) if match[2] else ()
