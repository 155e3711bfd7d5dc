"""Sampling in process, from the very parameters that are being trained."""

from collections.abc import Sequence

import numpy as np
import torch

from goalward.engines.cache import memory_for, row_bytes
from goalward.engines.compiled import compiled_writer
from goalward.engines.engine import Request, Sampling
from goalward.engines.randomness import uniforms
from goalward.engines.sheet import Job, Rows, Sheet, Written
from goalward.engines.slots import SlotMemory, slot_length
from goalward.engines.writer import StepWriter, Writer
from goalward.errors import GoalwardError, UsageError
from goalward.models.decoder import Decoder
from goalward.models.fused import fuse
from goalward.models.lanes import lanes, small
from goalward.models.layout import common_start
from goalward.models.policy import Policy
from goalward.types import Rollout

_SIDE_BY_SIDE = {"cpu": 256, "cuda": 1024}
"""Sequences written at once. On a CPU more would fall out of its caches, and be slower."""

_COMPACT = 0.85
"""Ended sequences leave the batch when no more than this share of it is still being written."""

_REFILL = 0.25
"""Waiting sequences are admitted when this share of the places is free: together, as they then share a prefill."""


class NativeEngine:
    """An Engine in this process. It holds no weights of its own, so there is nothing to keep in step.

    A token depends on its neighbours in the batch only through rounding in the last place, as matrix
    products of another shape add in another order; where a uniform number falls just there (about
    once in a million tokens), another token is sampled. CompiledWriter adds in one order: there only what
    all prompts begin with matters, as it is read apart.
    """

    def __init__(self, policy: Policy, max_batch: int | None = None) -> None:
        """`max_batch`: sequences written side by side; by default what the device is fastest with and can hold."""
        self.policy = policy
        self.max_batch = max_batch or _SIDE_BY_SIDE.get(policy.device.type, 256)
        self._slots: SlotMemory | None = None

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, *, seed: int, version: int = 0
    ) -> list[tuple[Rollout, ...]]:
        """See Engine. A completion ends where the model's context does, with stop "length".

        Raises UsageError for sampling settings that make no sense and for a prompt that is empty or
        fills the context.
        """
        _check(sampling)
        jobs = [job for index, request in enumerate(requests) for job in self._jobs(index, request, sampling)]
        # Attempts at one prompt side by side; the longest first, so that memory that does not suffice fails at once.
        jobs.sort(key=lambda job: (-len(job.prompt), job.request))
        rollouts: list[list[Rollout]] = [[] for _ in requests]
        shared = common_start([request.prompt for request in requests])
        for job, written in zip(jobs, self._write(jobs, sampling, seed, shared), strict=True):
            rollouts[job.request].append(_rollout(job, written, version))
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

    def _writer(self, jobs: Sequence[Job], shared: int) -> tuple[Writer, int]:
        """What writes the sequences of `jobs`, and how many of them at once."""
        longest = max(len(job.prompt) + job.limit for job in jobs)
        policy, device = self.policy, self.policy.device
        decoder = policy.lean(longest)
        on_gpu = device.type == "cuda"
        if decoder is not None and small(policy.inner):
            writer = compiled_writer(decoder, longest, shared, policy.eos_ids, lanes(policy))
            if writer is not None:
                return writer, self.max_batch
        if decoder is not None and on_gpu:
            slots = self._slots_for(decoder, min(len(jobs), self.max_batch), longest)
            if slots is not None:
                return StepWriter(slots, device), slots.rows
        capacity = self._that_fit(self.max_batch, longest) if on_gpu else self.max_batch
        fused = None if decoder is None else fuse(decoder)  # from the weights of now
        return StepWriter(memory_for(policy, fused, longest, shared), device), capacity

    def _slots_for(self, decoder: Decoder, rows: int, longest: int) -> SlotMemory | None:
        """The slots that are there, or larger ones; None where layers are not what can be fused."""
        if self._slots is None or not self._slots.suit(rows, longest):
            self._slots = None  # before others are made: there may not be memory for both
            fused = fuse(decoder)
            if fused is None:
                return None
            fitting = self._that_fit(rows, slot_length(longest))
            self._slots = SlotMemory(self.policy, fused, fitting, longest, wanted=rows)
        self._slots.begin()
        return self._slots

    def _that_fit(self, rows: int, length: int) -> int:
        """At most `rows`, and no more than half of the GPU's free memory holds."""
        torch.cuda.empty_cache()  # what is kept for reuse would not count as free
        free, _ = torch.cuda.mem_get_info(self.policy.device)
        return max(1, min(rows, free // 2 // row_bytes(self.policy, length)))

    @torch.inference_mode()
    def _write(self, jobs: Sequence[Job], sampling: Sampling, seed: int, shared: int) -> list[Written]:
        """Write all `jobs`, some side by side; when some have ended, others take their places."""
        if not jobs:
            return []
        writer, capacity = self._writer(jobs, shared)
        sheet = Sheet(jobs, frozenset(self.policy.eos_ids), sampling.stop, self.policy.chat.text)
        waiting = np.arange(len(jobs))
        rows = waiting[:0]  # the job that each row of the writer belongs to
        while waiting.size or rows.size:
            room = capacity - rows.size
            if waiting.size and (not rows.size or (writer.grows and room >= _REFILL * capacity)):
                fresh, waiting = waiting[:room], waiting[room:]
                self._admit(writer, [jobs[i] for i in fresh])
                rows = np.concatenate([rows, fresh])
            self._block(writer, sheet, rows, sampling, seed)
            going = sheet.going(rows)
            # Ended sequences leave when there are many, when others wait for their places, or when one is full.
            wanted = waiting.size and capacity - going.sum() >= _REFILL * capacity
            if going.mean() <= _COMPACT or wanted or writer.full:
                writer.keep(np.flatnonzero(going))
                rows = rows[going]
        return sheet.written()

    def _admit(self, writer: Writer, jobs: Sequence[Job]) -> None:
        prompts = {job.request: job.prompt for job in jobs}
        place = {request: index for index, request in enumerate(prompts)}
        owner = np.array([place[job.request] for job in jobs])
        writer.admit(list(prompts.values()), owner, np.array([job.limit for job in jobs]))

    def _block(self, writer: Writer, sheet: Sheet, rows: Rows, sampling: Sampling, seed: int) -> None:
        """Write a few tokens a row."""
        left = sheet.left(rows)
        tokens, logprobs = writer.write(
            left, lambda count: uniforms(seed, sheet.streams[rows], sheet.done[rows], count), sampling
        )
        if not np.isfinite(logprobs[left > 0]).all():
            raise GoalwardError(
                f"model {self.policy.name!r} gives logits that are not numbers: its training has diverged, or its weights"
                " are damaged; a lower learning rate may help"
            )
        sheet.note(rows, tokens, logprobs)


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
