"""Judging in worker processes, with a time limit that nothing escapes.

An answer may hold an expression that never simplifies, or what a pattern backtracks over for years; signals and
threads cannot end these. Such an attempt costs its own time limit, and no other attempt anything.
"""

import atexit
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from multiprocessing.connection import Connection, Pipe
from queue import LifoQueue
from types import TracebackType

from goalward.feedback.grader import Grader
from goalward.feedback.verdict import no_verdict
from goalward.types import Feedback, Group

SECONDS = 5.0
"""What judging one attempt may take, by the clock."""

_BATCH = 64  # attempts in one message: enough to hide the message, few enough to share them out evenly


class Worker:
    """One grading process (`worker.py`); started when first needed, and again after it was lost."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def ask(self, request: bytes) -> list[bytes | str]:
        """What `worker.serve` answers. Raises EOFError or OSError where the process is lost meanwhile."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._connection is not None
        try:
            self._connection.send_bytes(request)
            answer: list[bytes | str] = pickle.loads(self._connection.recv_bytes())  # noqa: S301 (our own process)
        except (EOFError, OSError):
            self.kill()
            raise
        return answer

    def kill(self) -> None:
        """End the process; whoever waits for its answer has an EOFError."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _start(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, theirs = Pipe()
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OPENBLAS_NUM_THREADS": "1",
        }
        # -P: the working directory's files shadow no library. What graders print would only be in the way.
        start = "from goalward.feedback.worker import main; main()"
        self._process = subprocess.Popen(  # noqa: S603 (our own interpreter)
            [sys.executable, "-P", "-W", "ignore", "-c", start, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
        )
        theirs.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """`count` processes that judge attempts, each attempt within `seconds`. Threads may share it.

    A worker killed from outside (out of memory) costs the batch it had: errors that say so.
    """

    count: int
    seconds: float = SECONDS
    _workers: list[Worker] = field(init=False, repr=False, default_factory=list)
    _idle: LifoQueue[Worker] = field(init=False, repr=False, default_factory=LifoQueue)

    def __post_init__(self) -> None:
        """Make the workers; their processes start when needed."""
        for _ in range(self.count):
            self._workers.append(Worker())
            self._idle.put(self._workers[-1])

    def judge(self, grader: Grader, groups: Sequence[Group], ready: Callable[[], object]) -> list[Feedback]:
        """One feedback for each of `groups`, in order; each is a group of one attempt.

        `grader` and `ready` must be picklable. `ready` is called once in each process, before any clock
        runs: it imports what the grader needs.
        """
        size = max(1, min(_BATCH, len(groups) // (4 * self.count)))
        batches = [groups[start : start + size] for start in range(0, len(groups), size)]
        with ThreadPoolExecutor(self.count) as threads:
            try:
                rows = list(threads.map(lambda batch: self._judge(grader, batch, ready), batches))
            except BaseException:  # Ctrl-C: nobody waits for the batches under way
                threads.shutdown(wait=False, cancel_futures=True)
                self.close()
                raise
        return [feedback for row in rows for feedback in row]

    def close(self) -> None:
        """End the processes, those at work too; they start again when needed."""
        for worker in self._workers:
            worker.kill()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _judge(self, grader: Grader, groups: Sequence[Group], ready: Callable[[], object]) -> list[Feedback]:
        body = pickle.dumps((grader, groups), protocol=pickle.HIGHEST_PROTOCOL)
        worker = self._idle.get()
        try:
            verdicts = worker.ask(pickle.dumps((ready, self.seconds, len(groups), body)))
        except (EOFError, OSError):
            return [no_verdict("the grading process was lost; is there enough memory?")] * len(groups)
        finally:
            self._idle.put(worker)
        return [
            no_verdict(verdict) if isinstance(verdict, str) else pickle.loads(verdict)  # noqa: S301 (our own process)
            for verdict in verdicts
        ]


@lru_cache(maxsize=1)
def shared() -> Workers:
    """The workers of this program: one for each core, at most 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = Workers(count=min(8, cores or 1))
    atexit.register(workers.close)
    return workers


@dataclass(frozen=True, slots=True)
class InWorkers:
    """A Grader whose attempts are judged one by one in the shared workers.

    grader: judges each attempt by itself; ready: see `Workers.judge`.
    """

    grader: Grader
    ready: Callable[[], object]

    def grade(self, group: Group) -> list[Feedback]:
        """One feedback for each rollout."""
        return self.grade_all([group])[0]

    def grade_all(self, groups: Sequence[Group]) -> list[list[Feedback]]:
        """One list for each group, with one feedback for each rollout."""
        alone = [replace(group, rollouts=(rollout,)) for group in groups for rollout in group.rollouts]
        feedback = iter(shared().judge(self.grader, alone, self.ready))
        return [[next(feedback) for _ in group.rollouts] for group in groups]
