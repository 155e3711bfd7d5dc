"""How far along: a bar for people at a terminal, a plain line now and then where the output is none.

Both go to stderr, so that stdout stays clean for results.
"""

import math
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

SECONDS_BETWEEN_LINES = 20.0


class Bar:
    """Counts to a total that comes with each call: `with Bar("base") as bar: evaluate(..., progress=bar)`."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self.title = title
        self.console = console or Console(stderr=True)
        self.began = self.spoke = time.monotonic()
        self.first: int | None = None
        self.unsaid: tuple[int, int, str] | None = None
        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="cyan"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.id = self.bar.add_task(title, total=None, note="")

    def __enter__(self) -> "Bar":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        if self.unsaid is not None and not self.console.is_terminal:
            self._say(*self.unsaid)

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done."""
        if self.first is None:
            # The pace is taken from here on: a resumed run begins with much done in no time.
            self.first, self.began = done, time.monotonic()
            self.bar.reset(self.id, completed=done)
        self.unsaid = (done, total, note)
        if self.console.is_terminal:
            self.bar.update(self.id, completed=done, total=total, note=note)
        elif time.monotonic() - self.spoke >= SECONDS_BETWEEN_LINES:
            self._say(done, total, note)

    def _say(self, done: int, total: int, note: str) -> None:
        self.spoke, self.unsaid = time.monotonic(), None
        left = _left(self.spoke - self.began, done - (self.first or 0), total - done)
        line = "  ".join(part for part in (f"{self.title} {done}/{total}", note, left) if part)
        print(line, file=sys.stderr, flush=True)  # not through rich, which would wrap it


class Progress:
    """Training's bar: steps done of `total`, the latest reward, accuracy and speed, and the time left."""

    def __init__(self, total: int, title: str, console: Console | None = None) -> None:
        self.total = total
        self.bar = Bar(title, console)
        self.done = 0
        self.latest: dict[str, float] = {}

    def __enter__(self) -> "Progress":
        self.bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.__exit__(kind, error, trace)

    def step(
        self,
        done: int,
        *,
        reward: float | None = None,
        accuracy: float | None = None,
        tokens_per_second: float | None = None,
        loss: float | None = None,
    ) -> None:
        """`done` steps are done. What is not given keeps its last value; NaN is shown as a dash."""
        given = {"reward": reward, "loss": loss, "accuracy": accuracy, "tok/s": tokens_per_second}
        self.latest |= {key: value for key, value in given.items() if value is not None}
        self.done = done
        self.bar(done, self.total, self._note())

    def evaluating(self, done: int, total: int) -> None:
        """An evaluation within the training: pass it as `evaluate(..., progress=bar.evaluating)`."""
        self.bar(self.done, self.total, self._note() if done == total else f"evaluating {done}/{total}")

    def _note(self) -> str:
        return "  ".join(f"{key} {_shown(key, value)}" for key, value in self.latest.items())


def _shown(key: str, value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return {"accuracy": f"{value:.1%}", "tok/s": f"{value:,.0f}"}.get(key, f"{value:.3f}")


def _left(elapsed: float, done: int, remaining: int) -> str:
    """The time left at the pace since the first call, so from the second on."""
    if done <= 0 or remaining <= 0:
        return ""
    seconds = round(elapsed / done * remaining)
    return f"{seconds // 60}:{seconds % 60:02d} left"
