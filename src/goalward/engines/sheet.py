"""What has been written so far of each completion, and which have ended. No tensors here."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from goalward.engines.endings import Decode, Ending, ending
from goalward.types import BoolArray, FloatArray, IntArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One completion to write: which request's, in which random stream, of how many tokens at most."""

    request: int
    stream: int
    prompt: IntArray
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a job came to: its tokens and their log-probabilities, and how it ended."""

    tokens: IntArray
    logprobs: FloatArray
    ending: Ending


class Sheet:
    """A line for each job. `done`: [jobs], tokens written; `streams`: [jobs], each one's random stream."""

    def __init__(
        self, jobs: Sequence[Job], eos: frozenset[int], stop: tuple[str, ...], decode: Decode
    ) -> None:
        self.done = np.zeros(len(jobs), np.int64)
        self.streams = np.array([job.stream % 2**64 for job in jobs], np.uint64)
        self._limits = np.array([job.limit for job in jobs])
        self._tokens = np.zeros((len(jobs), self._limits.max()), np.int32)
        self._logprobs = np.zeros(self._tokens.shape, np.float32)
        self._endings: list[Ending | None] = [None] * len(jobs)
        self._going = np.ones(len(jobs), np.bool_)
        self._eos, self._stop, self._decode = eos, stop, decode

    def left(self, rows: Rows) -> Rows:
        """How many tokens fit into each of these lines; 0 where it has ended."""
        left: Rows = np.where(self._going[rows], (self._limits - self.done)[rows], 0)
        return left

    def going(self, rows: Rows) -> BoolArray:
        """Which of these have not ended."""
        return self._going[rows]

    def note(self, rows: Rows, tokens: NDArray[np.int64], logprobs: FloatArray) -> None:
        """Append [R, count] to the lines of `rows`; what stands behind an ending is not looked at."""
        count = tokens.shape[1]
        places = self.done[rows, None] + np.arange(count)
        fits = places < self._tokens.shape[1]
        lines = np.broadcast_to(rows[:, None], places.shape)[fits]
        self._tokens[lines, places[fits]] = tokens[fits]
        self._logprobs[lines, places[fits]] = logprobs[fits]
        seen, self.done[rows] = self.done[rows], self.done[rows] + count
        may_end = np.isin(tokens, list(self._eos)).any(1) | (self.done[rows] >= self._limits[rows])
        for row in np.flatnonzero(self._going[rows] & (may_end | bool(self._stop))):
            self._look(int(rows[row]), int(seen[row]))

    def written(self) -> list[Written]:
        """All lines, each up to its end."""
        return [
            Written(
                tokens=self._tokens[line, : end.length].copy(),
                logprobs=self._logprobs[line, : end.length].copy(),
                ending=end,
            )
            for line, end in enumerate(self._endings)
            if end is not None
        ]

    def _look(self, line: int, seen: int) -> None:
        limit = int(self._limits[line])
        self._endings[line] = ending(
            self._tokens[line, : min(int(self.done[line]), limit)],
            seen,
            limit=limit,
            eos=self._eos,
            stop=self._stop,
            decode=self._decode,
        )
        self._going[line] = self._endings[line] is None
