from dataclasses import dataclass, field

import numpy as np
import pytest

from goalward.engines.engine import Request, Sampling
from goalward.evaluation.evaluation import Attempt, Evaluation, EvaluationSettings, Record
from goalward.feedback.graders import EachRollout
from goalward.types import Rollout, Task


def rollout(text, stop="eos"):
    tokens = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32)
    return Rollout(
        prompt=np.array([1], dtype=np.int32),
        completion=tokens,
        sampled=np.ones(len(tokens), dtype=np.bool_),
        logprobs=np.zeros(len(tokens), dtype=np.float32),
        text=text,
        stop=stop,
    )


@dataclass
class ScriptedEngine:
    """Says `greedy[prompt]` when greedy, else a digit that depends on the stream alone."""

    greedy: dict[bytes, str]
    calls: list[tuple[list[Request], Sampling]] = field(default_factory=list)

    def generate(self, requests, sampling, *, seed, version=0):
        self.calls.append((list(requests), sampling))
        return [
            tuple(
                rollout(self.greedy[bytes(request.prompt.astype(np.uint8))])
                if sampling.temperature == 0
                else rollout(f"<answer>{stream % 3}</answer>")
                for stream in request.streams
            )
            for request in requests
        ]


@pytest.fixture
def scripted():
    return ScriptedEngine


@pytest.fixture
def chat_prompt():
    return lambda messages: np.frombuffer(messages[-1]["content"].encode(), dtype=np.uint8).astype(np.int32)


@pytest.fixture
def equal():
    """A strict metric: the text is the reference."""
    return EachRollout(lambda task, given: float(given.text == task.reference))


@pytest.fixture
def make_tasks():
    return lambda answers: [
        Task(id=f"q{i}", messages=({"role": "user", "content": f"question {i}"},), reference=answer)
        for i, answer in enumerate(answers)
    ]


@pytest.fixture
def make_evaluation():
    """An evaluation from a string of 1 (right), 0 (wrong) and ? (no verdict), one a question."""

    def make(name, outcomes, task="sums test", step=0, samples=()):
        def attempt(outcome):
            right = outcome == "1"
            return Attempt(
                text=f"{name} says {outcome}",
                answer=outcome,
                stop="eos" if right else "length",
                tokens=3,
                scores={"strict": None if outcome == "?" else float(right)},
                correct={"strict": right},
                errors={"strict": "it broke"} if outcome == "?" else {},
            )

        return Evaluation(
            name=name,
            model="pocket",
            task=task,
            step=step,
            settings=EvaluationSettings(samples=len(samples[0]) if samples else 0),
            metrics=("strict",),
            records=tuple(
                Record(
                    id=f"q{i}",
                    question=f"question {i}",
                    reference="1",
                    greedy=attempt(outcome),
                    samples=tuple(attempt(sample) for sample in (samples[i] if samples else ())),
                )
                for i, outcome in enumerate(outcomes)
            ),
        )

    return make
