"""What every engine can do: turn prompts into completions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from goalward.types import IntArray, Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to choose tokens. `temperature = 0` is greedy; `top_k = 0` and `top_p = 1` cut nothing."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt and a random stream (any 64-bit integer) for each completion wanted.

    A completion is a function of (weights, prompt, seed, stream) alone, never of its neighbours.
    """

    prompt: IntArray
    streams: tuple[int, ...]


class Engine(Protocol):
    """Samples completions from the current weights of a policy."""

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, *, seed: int, version: int = 0
    ) -> list[tuple[Rollout, ...]]:
        """Complete every request, in the order asked; one rollout a stream.

        Each rollout's `logprobs` are log pi(token) under softmax(logits / temperature) before
        top-p and top-k cut it (temperature 1 where greedy), in fp32.
        """
        ...
