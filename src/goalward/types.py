"""The values that flow through the loop. No torch here: anything may import this."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

Stop = Literal["eos", "stop", "length", "recorded"]
"""Why a completion ended: the end token, a stop string, the token limit, or it was recorded."""


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something to attempt.

    `demonstration` is a worked completion to imitate, where somebody wrote one;
    `reference` is what a verifier compares with; `info` is the task set's own.
    """

    id: str
    messages: tuple[Message, ...]
    reference: str | None = None
    demonstration: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The last user turn, which is what people want to read in a report."""
        return self.messages[-1]["content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One attempt, token by token, exactly as it was sampled or recorded.

    prompt: [P]; completion: [C], with the end token if there is one;
    sampled: [C], True where the policy chose the token;
    logprobs: [C] under the policy that sampled, or None for recorded text;
    text: the completion as people read it, without end token or stop string;
    version: the optimizer step of the weights that sampled it;
    sources: of a stitched attempt, the (attempt, step) of the log that each of its pieces was taken from.
    """

    prompt: IntArray
    completion: IntArray
    sampled: BoolArray
    logprobs: FloatArray | None
    text: str
    stop: Stop
    version: int = 0
    sources: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A judgement of one rollout. `score` is None where there is no verdict; an error is never a zero."""

    score: float | None
    parts: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One task, the attempts at it, and (once judged) one feedback for each attempt.

    Nobody learns from the other two, but a vote listens to them: `voters` are more attempts at the task, by whoever
    else was asked; `contrast` are attempts at a changed question, whose right answer should be another one.
    """

    task: Task
    rollouts: tuple[Rollout, ...]
    feedback: tuple[Feedback, ...] = ()
    voters: tuple[Rollout, ...] = ()
    contrast: tuple[Rollout, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A rollout with its credit, ready to learn from.

    advantage: [C], how much better than expected each token's outcome was;
    weight: [C], the token's share in the step's loss. It carries the whole normalisation
    (per sequence, per token, per constant), so that the loss is a plain sum and no split into
    micro-batches can change it. Zero where the token is not learned from.
    """

    rollout: Rollout
    advantage: FloatArray
    weight: FloatArray
