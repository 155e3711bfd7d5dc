"""reasoning-gym's environments: puzzles without end, each with its own verifier."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, islice, zip_longest
from typing import Any

from goalward.errors import UsageError, suggestion, unknown_name
from goalward.tasks.prompts import check_count, check_split, in_format, prompt_named
from goalward.types import Task

# An environment's task i is drawn from the seed plus i, so that neighbouring seeds share nearly all tasks.
_APART = 1_000_000_000
# How many test tasks are looked at for each one wanted, before the environment counts as exhausted.
_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Gym:
    """Tasks from one or more of reasoning-gym's environments; pair it with the grader `gym`.

    names: environments, such as "chain_sum"; several take turns, so that any stretch of tasks mixes them;
    size, test_size: training and test tasks of each environment; seed: where both start;
    prompt: a key of `prompts.PROMPTS` (the grader reads the answer tag);
    config: knobs by environment, such as {"chain_sum": {"max_digits": 2}}.

    Test tasks come from another seed; questions that stand in the training tasks, or twice, are left out, so
    an environment with few different questions gives fewer than `test_size`.
    """

    names: tuple[str, ...] | str
    size: int = 1000
    test_size: int = 200
    seed: int = 0
    prompt: str = "tags"
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise UsageError for a knob that makes no sense. Names are checked when tasks are asked for."""
        prompt_named(self.prompt)
        check_count("size", self.size, 1)
        check_count("test_size", self.test_size, 1)
        check_count("seed", self.seed, 0)
        if not self._names():
            raise UsageError("gym: name at least one environment in `names`")
        for name in self.config:
            if name not in self._names():
                raise unknown_name("environment in `config`", name, self._names())

    def tasks(self, split: str) -> Sequence[Task]:
        """The tasks of "train" or "test"; environments take turns."""
        check_split(split, "train", "test")
        columns = [self._train(name) if split == "train" else self._test(name) for name in self._names()]
        return [task for task in chain.from_iterable(zip_longest(*columns)) if task is not None]

    def _names(self) -> tuple[str, ...]:
        return (self.names,) if isinstance(self.names, str) else tuple(self.names)

    def _train(self, name: str) -> list[Task]:
        entries = self._entries(name, self.seed, self.size)
        return [self._task(name, "train", index, entry) for index, entry in enumerate(entries)]

    def _test(self, name: str) -> list[Task]:
        seen = {entry["question"] for entry in self._entries(name, self.seed, self.size)}
        entries = _new(self._entries(name, self.seed + _APART, self.test_size * _TRIES), seen)
        tasks = [
            self._task(name, "test", index, entry)
            for index, entry in enumerate(islice(entries, self.test_size))
        ]
        if not tasks:
            raise UsageError(
                f"gym: all questions of {name!r} are training questions; lower `size` or set its `config`"
            )
        return tasks

    def _entries(self, name: str, seed: int, size: int) -> Iterator[Mapping[str, Any]]:
        environment = _environment(name, self.config.get(name, {}), seed, size)
        return (environment[index] for index in range(size))

    def _task(self, name: str, split: str, index: int, entry: Mapping[str, Any]) -> Task:
        answer = entry["answer"]
        return Task(
            id=f"{name}/{split}/{index}",
            messages=prompt_named(self.prompt)(entry["question"]),
            reference=None if answer is None else str(answer),
            demonstration=None if answer is None else in_format("", str(answer)),
            info={"gym": name, "config": dict(self.config.get(name, {})), "entry": entry},
        )


def _new(entries: Iterable[Mapping[str, Any]], seen: set[str]) -> Iterator[Mapping[str, Any]]:
    for entry in entries:
        if entry["question"] not in seen:
            seen.add(entry["question"])
            yield entry


def _environment(name: str, knobs: Mapping[str, Any], seed: int, size: int) -> Any:
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise UsageError("the gym tasks need reasoning-gym: pip install 'goalward[gym]'") from error
    # "composite" mixes environments by a config of its own; `names` does that here.
    known = DATASETS.keys() - {"composite"}
    if name not in known:
        raise unknown_name("environment", name, known)
    allowed = [knob.name for knob in fields(DATASETS[name][1]) if knob.name not in ("seed", "size")]
    for knob in knobs:
        if knob not in allowed:
            raise UsageError(f"gym: {name!r} has no knob {knob!r}; {suggestion(knob, allowed)}")
    try:
        return reasoning_gym.create_dataset(name, **knobs, seed=seed, size=size)
    except (AssertionError, TypeError, ValueError) as error:
        raise UsageError(f"gym: {name!r} refuses its config: {error or type(error).__name__}") from error
