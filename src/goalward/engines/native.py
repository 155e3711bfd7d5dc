"""Sampling in process, from the very parameters that are being trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from goalward.engines.cache import memory_for, row_bytes
from goalward.engines.endings import Ending, ending
from goalward.engines.engine import Request, Sampling
from goalward.engines.randomness import uniforms
from goalward.engines.sampler import choose
from goalward.errors import GoalwardError, UsageError
from goalward.models.policy import Policy
from goalward.types import FloatArray, IntArray, Rollout

_BLOCK = 4
"""Tokens sampled between looks at what has ended: to look makes a GPU wait, not to look wastes tokens."""

_COMPACT = 0.75
"""Ended sequences leave the batch when no more than this share of it is still being written."""


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


class NativeEngine:
    """An Engine in this process. It holds no weights of its own, so there is nothing to keep in step.

    A token depends on its neighbours in the batch only through rounding in the last place, as matrix
    products of another shape add in another order; where a uniform number falls just there (about
    once in a million tokens), another token is sampled.
    """

    def __init__(self, policy: Policy, max_batch: int = 512) -> None:
        """`max_batch`: sequences written side by side; fewer where a GPU's memory holds no more."""
        self.policy = policy
        self.max_batch = max_batch

    @torch.inference_mode()
    def generate(
        self, requests: Sequence[Request], sampling: Sampling, *, seed: int, version: int = 0
    ) -> list[tuple[Rollout, ...]]:
        """See Engine. A completion ends where the model's context does, with stop "length".

        Raises UsageError for sampling settings that make no sense and for a prompt that is empty or
        fills the context.
        """
        _check(sampling)
        jobs = [job for index, request in enumerate(requests) for job in self._jobs(index, request, sampling)]
        # Prompts of like length share a wave; the longest come first, so that memory that does not
        # suffice fails at once.
        order = sorted(range(len(jobs)), key=lambda i: -len(jobs[i].prompt))
        written: dict[int, Written] = {}
        while len(written) < len(jobs):
            wave = order[len(written) :]
            wave = wave[: self._rows(jobs[wave[0]])]
            written.update(zip(wave, self._write([jobs[i] for i in wave], sampling, seed), strict=True))
        rollouts: list[list[Rollout]] = [[] for _ in requests]
        for index, job in enumerate(jobs):
            rollouts[job.request].append(_rollout(job, written[index], version))
        return [tuple(group) for group in rollouts]

    def _jobs(self, index: int, request: Request, sampling: Sampling) -> list[Job]:
        length, context = len(request.prompt), self.policy.context
        room = sampling.max_tokens if context is None else context - length
        if length == 0 or room < 1:
            what = (
                f"has {length} tokens and the context of model {self.policy.name!r} {context}"
                if length
                else "is empty"
            )
            raise UsageError(f"prompt {index + 1} {what}: there is nothing to complete")
        limit = min(sampling.max_tokens, room)
        return [Job(request=index, stream=s, prompt=request.prompt, limit=limit) for s in request.streams]

    def _rows(self, longest: Job) -> int:
        """How many sequences as long as `longest` fit."""
        if self.policy.device.type != "cuda":
            return self.max_batch
        free, _ = torch.cuda.mem_get_info(self.policy.device)
        return max(
            1, min(self.max_batch, free // 2 // row_bytes(self.policy, len(longest.prompt) + longest.limit))
        )

    def _write(self, jobs: list[Job], sampling: Sampling, seed: int) -> list[Written]:
        """Write all `jobs` side by side."""
        policy = self.policy
        device = policy.device
        limits = np.array([job.limit for job in jobs])
        streams = np.array([job.stream % 2**64 for job in jobs], np.uint64)
        tokens = np.zeros((len(jobs), limits.max()), np.int32)
        logprobs = np.zeros((len(jobs), limits.max()), np.float32)
        endings: list[Ending | None] = [None] * len(jobs)
        prompts = {job.request: job.prompt for job in jobs}
        place = {request: index for index, request in enumerate(prompts)}
        owner = torch.tensor([place[job.request] for job in jobs], device=device)

        memory = memory_for(policy, max(len(job.prompt) for job in jobs), int(limits.max()))
        logits = memory.prefill(list(prompts.values()), owner)
        rows = np.arange(len(jobs))  # the job that each row of the memory belongs to
        chosen = torch.zeros_like(owner)  # what each row said last
        done = 0
        while True:
            count = min(_BLOCK, int(limits[rows].min()) - done)
            uniform = torch.from_numpy(uniforms(seed, streams[rows], done, count)).to(device)
            block = []
            for column in range(count):
                if done + column:
                    logits = memory.step(chosen)
                chosen, logprob = choose(logits, uniform[:, column], sampling)
                block.append((chosen, logprob))
            tokens[rows, done : done + count] = torch.stack([c for c, _ in block], 1).cpu().numpy()
            logprobs[rows, done : done + count] = torch.stack([p for _, p in block], 1).cpu().numpy()
            if not np.isfinite(logprobs[rows, done : done + count]).all():
                raise GoalwardError(
                    f"model {policy.name!r} gives logits that are not numbers: its training has diverged, or its weights"
                    " are damaged; a lower learning rate may help"
                )
            for job in rows:
                if endings[job] is None:
                    endings[job] = self._ending(tokens[job, : done + count], done, int(limits[job]), sampling)
            done += count
            going = np.array([endings[job] is None for job in rows])
            if not going.any():
                break
            if going.mean() <= _COMPACT or limits[rows].min() == done:
                kept = torch.from_numpy(np.flatnonzero(going)).to(device)
                memory.keep(kept)
                chosen, rows = chosen[kept], rows[going]
        return [
            Written(
                tokens=tokens[job, : end.length].copy(),
                logprobs=logprobs[job, : end.length].copy(),
                ending=end,
            )
            for job, end in enumerate(endings)
            if end is not None
        ]

    def _ending(self, tokens: IntArray, seen: int, limit: int, sampling: Sampling) -> Ending | None:
        eos = frozenset(self.policy.eos_ids)
        return ending(tokens, seen, limit=limit, eos=eos, stop=sampling.stop, decode=self.policy.chat.text)


def _rollout(job: Job, written: Written, version: int) -> Rollout:
    return Rollout(
        prompt=job.prompt,
        completion=written.tokens,
        sampled=np.ones(len(written.tokens), np.bool_),
        logprobs=written.logprobs,
        text=written.ending.text,
        stop=written.ending.stop,
        version=version,
    )


def _check(sampling: Sampling) -> None:
    problems = {
        "temperature": sampling.temperature < 0,
        "top_p": not 0 < sampling.top_p <= 1,
        "top_k": sampling.top_k < 0,
        "max_tokens": sampling.max_tokens < 1,
        "stop": "" in sampling.stop,
    }
    for name, wrong in problems.items():
        if wrong:
            raise UsageError(f"sampling.{name} = {getattr(sampling, name)!r} makes no sense")
