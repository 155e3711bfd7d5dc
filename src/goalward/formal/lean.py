"""Lean as a judge of proofs: many at a time, each by itself; what one of them does costs no other anything."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from goalward.errors import GoalwardError
from goalward.formal.lean_backends import Backend, Ran
from goalward.formal.lean_source import Job, judge, shift, write
from goalward.formal.lean_tokens import RefusedError, clean

__all__ = ["Job", "Lean", "Verdict"]

BATCH = 128
"""Jobs in one file, at most."""

_KEEP = 100_000  # verdicts that are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a job.

    status: ok: a proof; rejected: none; timeout, crash: Lean did not get to a verdict, which is not "wrong";
    axioms: what a proof rests on; messages: why there is none; seconds: its share of its file's; oracle: who says so.
    """

    status: Literal["ok", "rejected", "timeout", "crash"]
    axioms: tuple[str, ...]
    messages: tuple[str, ...]
    seconds: float
    oracle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lean:
    """The oracle over one backend. Threads may share it.

    seconds: what one job may take, by the clock; more: what a file may take for each further job in it; start: for
    its header. Verdicts are remembered by statement and body, as version and header are the backend's; those that a
    crash or the clock ended are not.
    """

    backend: Backend
    seconds: float = 10.0
    more: float = 0.05
    start: float = 0.0
    _known: dict[Job, Verdict] = field(init=False, repr=False, default_factory=dict)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    def check(self, jobs: Sequence[Job]) -> list[Verdict]:
        """One verdict for each, in order. Raises GoalwardError where Lean cannot be asked."""
        with self._lock:
            found = {job: self._known[job] for job in jobs if job in self._known}
        fresh: dict[Job, Job] = {}
        for job in jobs:
            if job not in found and job not in fresh:
                try:
                    fresh[job] = Job(statement=clean(job.statement), body=clean(job.body))
                except RefusedError as error:
                    found[job] = self._verdict("rejected", messages=(f"refused: {error}",))
        settled = self._settle_all(list(dict.fromkeys(fresh.values())))
        found |= {job: settled[cleaned] for job, cleaned in fresh.items()}
        self._remember(found)
        return [found[job] for job in jobs]

    def _remember(self, found: dict[Job, Verdict]) -> None:
        with self._lock:
            self._known.update((job, v) for job, v in found.items() if v.status in ("ok", "rejected"))
            while len(self._known) > _KEEP:
                del self._known[next(iter(self._known))]

    def _settle_all(self, jobs: list[Job]) -> dict[Job, Verdict]:
        workers = self.backend.workers
        size = max(1, min(BATCH, -(-len(jobs) // workers)))
        batches = [jobs[start : start + size] for start in range(0, len(jobs), size)]
        with ThreadPoolExecutor(workers) as threads:
            try:
                rows = list(threads.map(self._settle, batches))
            except BaseException:  # Ctrl-C: nobody waits for the files that have not begun
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return {job: verdict for row in rows for job, verdict in row.items()}

    def _settle(self, batch: list[Job]) -> dict[Job, Verdict]:
        """Verdicts of a file. Only one that Lean came to the end of gives any; else smaller ones are asked."""
        source = write(batch)
        ran = self.backend.run(source.text, self.start + self.seconds + self.more * (len(batch) - 1))
        known = judge(source, ran.messages, self.backend.axioms)
        if ran.ended == "done" and shift(source, ran.messages) is None:
            raise GoalwardError(_bad_header(ran))
        found: dict[Job, Verdict] = {}
        if ran.ended == "done":
            for place, finding in known.items():
                found[batch[place]] = self._verdict(
                    finding.status, finding.axioms, finding.messages, ran.seconds / len(batch)
                )
        left = [job for job in batch if job not in found]
        if left and len(batch) == 1:
            status: Literal["timeout", "crash"] = "timeout" if ran.ended == "timeout" else "crash"
            note = "Lean said nothing of this proof" if ran.ended == "done" else ran.note
            return {left[0]: self._verdict(status, messages=(note,), seconds=ran.seconds)}
        # Where Lean was stopped: the first job that it had said nothing of.
        suspect = next((place for place in range(len(batch)) if place not in known), None)
        for part in _parts(left, suspect if ran.ended != "done" else None):
            found |= self._settle(part)
        return found

    def _verdict(
        self,
        status: Literal["ok", "rejected", "timeout", "crash"],
        axioms: tuple[str, ...] = (),
        messages: tuple[str, ...] = (),
        seconds: float = 0.0,
    ) -> Verdict:
        return Verdict(
            status=status, axioms=axioms, messages=messages, seconds=seconds, oracle=self.backend.version
        )


def _parts(jobs: list[Job], suspect: int | None) -> Iterator[list[Job]]:
    """Smaller files: what comes before the suspect, it alone, and the rest in halves; none of them empty."""
    place = 0 if suspect is None else suspect + 1
    half = place + (len(jobs) - place + 1) // 2
    cuts = [0, half, len(jobs)] if suspect is None else [0, suspect, place, half, len(jobs)]
    for start, end in itertools.pairwise(cuts):
        if start < end:
            yield jobs[start:end]


def _bad_header(ran: Ran) -> str:
    said = next((message.text for message in ran.messages if message.severity == "error"), ran.note)
    return f"Lean does not take the header: {' '.join(said.split())[:300]}"
