"""AdamW that keeps fp32 master weights for a policy that computes in bf16, and its schedule."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Gradients = list[Tensor | None]
"""fp32, one for each parameter; None where nothing came through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerSettings:
    """AdamW (arXiv:1711.05101). `warmup` is a share of all steps; `clip` bounds the gradient's norm, 0 is off.

    muon: the learning rate of Muon (Jordan et al. 2024), which then moves the matrices inside the layers, with the
    same schedule; 0 leaves all to AdamW. For models that learn from nothing.
    """

    learning_rate: float = 1e-5
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup: float = 0.0
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1.0
    muon: float = 0.0


def learning_rate(settings: OptimizerSettings, step: int, steps: int) -> float:
    """Rate of `step` (from 0) of `steps`: linear warm-up that ends at the full rate, then the schedule."""
    warmup = math.ceil(settings.warmup * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(steps - warmup, 1)
    shape = {
        "constant": 1.0,
        "linear": 1 - progress,
        "cosine": (1 + math.cos(math.pi * progress)) / 2,
    }
    return settings.learning_rate * shape[settings.schedule]


def add(total: Gradients, gradients: Sequence[Tensor | None]) -> None:
    """Add the gradients of one backward pass to `total`, in place and in fp32."""
    for index, gradient in enumerate(gradients):
        if gradient is not None:
            before = total[index]
            total[index] = gradient.float() if before is None else before.add_(gradient)


class Optimizer:
    """Updates parameters in place; where they are not fp32, through fp32 copies with fp32 gradients.

    A bf16 weight cannot hold an update of 1e-5 of its size; its master copy can. Matrices decay,
    vectors (norms, biases) do not.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        settings: OptimizerSettings,
        embeddings: Sequence[Tensor] = (),
    ) -> None:
        """embeddings: matrices that stand outside the layers, where Muon does not belong."""
        self._settings = settings
        self._parameters = list(parameters)
        self._masters = [
            p if p.dtype == torch.float32 else p.detach().float().requires_grad_() for p in self._parameters
        ]
        outside = set(map(id, embeddings))
        inside = [
            m
            for p, m in zip(self._parameters, self._masters, strict=True)
            if settings.muon and m.ndim == 2 and id(p) not in outside
        ]
        moved = set(map(id, inside))
        rest = [m for m in self._masters if id(m) not in moved]
        decays = [[m for m in rest if m.ndim >= 2], [m for m in rest if m.ndim < 2]]
        self._muon = (
            torch.optim.Muon(
                inside,
                lr=settings.muon,
                weight_decay=settings.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            if inside
            else None
        )
        self._adamw = torch.optim.AdamW(
            [
                {"params": group, "weight_decay": decay}
                for group, decay in zip(decays, (settings.weight_decay, 0.0), strict=True)
                if group
            ],
            lr=settings.learning_rate,
            betas=settings.betas,
            fused=self._masters[0].device.type in ("cpu", "cuda"),
        )

    def accumulate(self, gradients: Gradients) -> None:
        """Add fp32 gradients, one for each parameter, to those of the coming step."""
        for master, gradient in zip(self._masters, gradients, strict=True):
            if gradient is not None:
                master.grad = gradient if master.grad is None else master.grad.add_(gradient)

    def step(self, rate: float) -> float:
        """Clip, update at `rate`, clear the gradients; returns the gradient's norm before the clip."""
        for master in self._masters:
            if master.grad is None:
                master.grad = torch.zeros_like(master)
        norm: Tensor = torch.nn.utils.clip_grad_norm_(self._masters, self._settings.clip or math.inf)
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._adamw.step()
        if self._muon is not None:
            for group in self._muon.param_groups:
                group["lr"] = self._settings.muon * rate / self._settings.learning_rate
            self._muon.step()  # type: ignore[no-untyped-call]
        for master in self._masters:
            master.grad = None
        with torch.no_grad():
            for parameter, master in zip(self._parameters, self._masters, strict=True):
                if parameter is not master:
                    parameter.copy_(master)
        return float(norm)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs to go on as if nothing had happened."""
        muon = {} if self._muon is None else {"muon": self._muon.state_dict()}
        masters = [m.detach() for m in self._own_masters()]
        return {"adamw": self._adamw.state_dict(), "masters": masters, **muon}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a saved `state`."""
        self._adamw.load_state_dict(state["adamw"])
        if self._muon is not None:
            self._muon.load_state_dict(state["muon"])
        with torch.no_grad():
            for master, saved in zip(self._own_masters(), state["masters"], strict=True):
                master.copy_(saved)

    def _own_masters(self) -> list[Tensor]:
        return [m for p, m in zip(self._parameters, self._masters, strict=True) if p is not m]
