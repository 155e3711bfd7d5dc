"""A language model as the guide of a search for proofs, and what it learns from the proofs that were found.

The model is asked about a goal as it is asked anything: the goal is the prompt. A tactic's prior is how likely the
model finds its text; the value is asked for in words too ("value 7": seven tactics are left), so that there is one
model, one forward pass and one loss, and any causal language model will do.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray

from goalward.experience.demonstrations import recorded
from goalward.experience.search import Appraisal, SearchSettings, find_proofs
from goalward.experience.walks import walks
from goalward.formal.proof import read_statement
from goalward.formal.tactics import Goal
from goalward.models.layout import lay_out
from goalward.models.policy import Policy
from goalward.models.prover import STEPS
from goalward.models.values import distribution
from goalward.types import IntArray, Message, Rollout, Task

LONGEST_WALK = 64
"""Tactics in a sampled proof."""


def goal_messages(goal: Goal) -> tuple[Message, ...]:
    """How a model is asked about a goal."""
    return ({"role": "user", "content": str(goal)},)


def value_text(steps: int) -> str:
    """How it says that `steps` tactics are left."""
    return f"value {min(steps, STEPS - 1)}"


class PolicyGuide:
    """A policy as a Guide: one forward pass for many goals.

    Each prompt is computed once for all its tactics, and each beginning that several of them share once too. The
    token that ends a text is not counted: it is certain where texts do not begin with one another.
    """

    def __init__(self, policy: Policy, *, temperature: float = 1.0, at_once: int = 256) -> None:
        """temperature: of the prior; at_once: goals in one forward pass."""
        self._policy = policy
        self._temperature = temperature
        self._at_once = at_once
        self._values = [self._tokens(value_text(steps)) for steps in range(STEPS)]
        self._texts: dict[str, IntArray] = {}

    def __call__(self, goals: Sequence[Goal], tactics: Sequence[Sequence[str]]) -> list[Appraisal]:
        """Appraise goals, each with the tactics that apply to it."""
        found: list[Appraisal] = []
        for start in range(0, len(goals), self._at_once):
            end = start + self._at_once
            found += self._appraise(goals[start:end], tactics[start:end])
        return found

    def _tokens(self, text: str) -> IntArray:
        return self._policy.chat.completion(text)[:-1]

    def _completion(self, text: str) -> IntArray:
        if text not in self._texts:
            self._texts[text] = self._tokens(text)
        return self._texts[text]

    @torch.no_grad()
    def _appraise(self, goals: Sequence[Goal], tactics: Sequence[Sequence[str]]) -> list[Appraisal]:
        lines: list[tuple[IntArray, IntArray]] = []
        rows, columns, ends = [], [], [0]
        for goal, texts in zip(goals, tactics, strict=True):
            prompt = self._policy.chat.prompt(goal_messages(goal))
            known: dict[bytes, int] = {}
            for tokens in (*map(self._completion, texts), *self._values):
                for size in range(len(tokens)):
                    before = tokens[:size]
                    key = before.tobytes()
                    if key not in known:
                        known[key] = len(lines)
                        lines.append((prompt, before))
                    rows.append(known[key])
                    columns.append(int(tokens[size]))
                ends.append(len(rows))
        layout = lay_out(lines, self._policy, shared=0)
        at = torch.tensor([path[-1] for path in layout.paths], device=self._policy.device)
        every = distribution(self._policy, layout, at)
        said = every[torch.tensor(rows, device=at.device), torch.tensor(columns, device=at.device)]
        texts_logprobs = np.add.reduceat(said.double().cpu().numpy(), ends[:-1])
        appraisals, place = [], 0
        for texts in tactics:
            own = texts_logprobs[place : place + len(texts)]
            value = texts_logprobs[place + len(texts) : place + len(texts) + STEPS]
            place += len(texts) + STEPS
            prior = _softmax(own / self._temperature)
            appraisals.append(Appraisal(prior.tolist(), float(_softmax(value) @ np.arange(STEPS))))
        return appraisals


class Prover:
    """How a policy is examined on theorems: what stands for its greedy answer is what its search finds."""

    def __init__(
        self, policy: Policy, settings: SearchSettings, *, samples: int, temperature: float, seed: int
    ) -> None:
        """samples: walks beside the search, at `temperature`, for pass@k."""
        self._chat = policy.chat
        self._guide = PolicyGuide(policy)
        self._lucky = PolicyGuide(policy, temperature=temperature)
        self._settings = settings
        self._samples = samples
        self._seed = seed

    def __call__(self, tasks: Sequence[Task]) -> list[tuple[tuple[Rollout, ...], tuple[Rollout, ...]]]:
        """For each task the answer of its search (a tuple of one), and its sampled walks."""
        statements = [read_statement(task.question) for task in tasks]
        settings = self._settings
        if settings.method == "walk":
            found = walks(statements, self._guide, longest=settings.budget)
        else:
            searched = find_proofs(statements, self._guide, settings)
            found = [list(one.proof.lines) if one.proof else None for one in searched]
        again = [statement for statement in statements for _ in range(self._samples)]
        luck = [
            np.random.default_rng([self._seed, _number(task.id), turn])
            for task in tasks
            for turn in range(self._samples)
        ]
        sampled = walks(again, self._lucky, longest=LONGEST_WALK, luck=luck) if again else []
        return [
            (
                (self._rollout(task, found[i]),),
                tuple(
                    self._rollout(task, one) for one in sampled[i * self._samples : (i + 1) * self._samples]
                ),
            )
            for i, task in enumerate(tasks)
        ]

    def _rollout(self, task: Task, script: list[str] | None) -> Rollout:
        text = "\n".join(script or ())
        prompt, completion = self._chat.prompt(task.messages), self._chat.completion(text)
        rollout = recorded(prompt, completion, text, 0)
        return replace(rollout, stop="eos" if script else "length")


def _number(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "big")


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    if not logits.size:
        return logits
    share = np.exp(logits - logits.max())
    return np.asarray(share / share.sum())
