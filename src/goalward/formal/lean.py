"""Lean as a judge of proofs: many at a time, each by itself; what one of them does costs no other anything."""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from goalward.errors import GoalwardError
from goalward.formal.lean_backends import Backend, Ran
from goalward.formal.lean_source import Job, judge, shift, write

__all__ = ["Job", "Lean", "Verdict"]

BATCH = 128
"""Jobs in one file, at most."""

_FOR_EACH = 0.1  # seconds more for each further job of a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a job.

    status: ok: a proof; rejected: none; timeout, crash: Lean did not get to a verdict, which is not "wrong";
    axioms: what a proof rests on; messages: why it is none; seconds: its share of its file's; oracle: who says so.
    """

    status: Literal["ok", "rejected", "timeout", "crash"]
    axioms: tuple[str, ...]
    messages: tuple[str, ...]
    seconds: float
    oracle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """The oracle over one backend. Threads may share it.

    seconds: what one job may take, by the clock; keep: verdicts that are remembered.
    """

    backend: Backend
    seconds: float = 10.0
    keep: int = 100_000
    _known: dict[Job, Verdict] = field(init=False, repr=False, default_factory=dict)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    def check(self, jobs: Sequence[Job]) -> list[Verdict]:
        """One verdict for each, in order. Raises GoalwardError where Lean cannot be asked."""
        with self._lock:
            found = {job: self._known[job] for job in jobs if job in self._known}
        fresh = [job for job in dict.fromkeys(jobs) if job not in found]
        size = max(1, min(BATCH, -(-len(fresh) // self.backend.workers)))
        batches = [fresh[start : start + size] for start in range(0, len(fresh), size)]
        with ThreadPoolExecutor(self.backend.workers) as threads:
            for done in threads.map(self._settle, batches):
                found |= done
        self._remember(found)
        return [found[job] for job in jobs]

    def _remember(self, found: dict[Job, Verdict]) -> None:
        with self._lock:
            self._known.update((job, v) for job, v in found.items() if v.status in ("ok", "rejected"))
            while len(self._known) > self.keep:
                del self._known[next(iter(self._known))]

    def _settle(self, batch: list[Job]) -> dict[Job, Verdict]:
        """Verdicts of a file; what stopped it is looked for in ever smaller files."""
        if not batch:
            return {}
        source = write(batch)
        ran = self.backend.run(source.text, self.seconds + _FOR_EACH * (len(batch) - 1))
        known = judge(source, ran.messages, self.backend.axioms)
        found: dict[Job, Verdict] = {}
        if ran.ended == "done":
            if shift(source, ran.messages) is None:
                raise GoalwardError(_bad_header(ran))
            for place, finding in known.items():
                found[batch[place]] = Verdict(
                    status=finding.status,
                    axioms=finding.axioms,
                    messages=finding.messages,
                    seconds=ran.seconds / len(batch),
                    oracle=self.oracle,
                )
        left = [job for job in batch if job not in found]
        if left and len(batch) == 1:
            note = ran.note if ran.ended != "done" else "Lean came to its end and said nothing of this proof"
            status: Literal["timeout", "crash"] = "timeout" if ran.ended == "timeout" else "crash"
            return {
                left[0]: Verdict(
                    status=status, axioms=(), messages=(note,), seconds=ran.seconds, oracle=self.oracle
                )
            }
        suspect = next((place for place in range(len(batch)) if place not in known), 0)
        for part in _parts(left, suspect if ran.ended != "done" else None):
            found |= self._settle(part)
        return found

    @property
    def oracle(self) -> str:
        """Who gives the verdicts: the first line of the backend's name."""
        return self.backend.name.partition("\n")[0]


def _parts(left: list[Job], suspect: int | None) -> Iterable[list[Job]]:
    """Smaller files: what came before the suspect, it alone, and what comes after, in halves."""
    if suspect is None:
        yield left[: len(left) // 2]
        yield left[len(left) // 2 :]
        return
    rest = left[suspect + 1 :]
    yield left[:suspect]
    yield [left[suspect]]
    yield rest[: len(rest) // 2]
    yield rest[len(rest) // 2 :]


def _bad_header(ran: Ran) -> str:
    said = next((message.text for message in ran.messages if message.severity == "error"), ran.note)
    return f"Lean does not take the header: {' '.join(said.split())[:300]}"
