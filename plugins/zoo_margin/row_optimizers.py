"""Optimizers of single rows: only those that a step touched are read and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor


class RowOptimizer(Protocol):
    """Moves the rows that have a gradient; those without one stay as they are, and so does their state."""

    def state(self, rows: int, width: int, device: torch.device) -> dict[str, Tensor]:
        """Return the state of ``rows`` rows that no step has touched: tensors ``[rows, ...]`` of zeros."""

    def update(self, rows: Tensor, gradients: Tensor, state: dict[str, Tensor], learning_rate: float) -> None:
        """Move ``rows [n, width]`` and their ``state`` in place."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum, as ``torch.optim.SGD`` would move the rows it touches.

    Attributes:
        momentum: 0 keeps no state.
        weight_decay: added to the gradient as ``weight_decay * row``.
    """

    momentum: float = 0.9
    weight_decay: float = 0.0

    def state(self, rows: int, width: int, device: torch.device) -> dict[str, Tensor]:
        """Return the momentum of each row."""
        return {"momentum_buffer": torch.zeros(rows, width, device=device)} if self.momentum else {}

    def update(self, rows: Tensor, gradients: Tensor, state: dict[str, Tensor], learning_rate: float) -> None:
        """Move ``rows [n, width]`` and their ``state`` in place."""
        if self.weight_decay:
            gradients = gradients.add(rows, alpha=self.weight_decay)
        if self.momentum:
            gradients = state["momentum_buffer"].mul_(self.momentum).add_(gradients)
        rows.add_(gradients, alpha=-learning_rate)


@dataclass(frozen=True)
class AdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), each row with a step counter of its own.

    With one counter for all, a row first touched late would be moved ``(1 - beta1) / sqrt(1 - beta2)`` times as far
    as in a first step: 3.16 times by default. Decay, too, happens to touched rows alone.

    Attributes:
        betas: decay of the two moments.
        eps: added to the root of the second.
        weight_decay: a row shrinks by ``learning_rate * weight_decay`` of itself.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def state(self, rows: int, width: int, device: torch.device) -> dict[str, Tensor]:
        """Return both moments and the number of steps of each row."""
        moments = {name: torch.zeros(rows, width, device=device) for name in ("exp_avg", "exp_avg_sq")}
        return {**moments, "steps": torch.zeros(rows, dtype=torch.int32, device=device)}

    def update(self, rows: Tensor, gradients: Tensor, state: dict[str, Tensor], learning_rate: float) -> None:
        """Move ``rows [n, width]`` and their ``state`` in place."""
        beta1, beta2 = self.betas
        steps = state["steps"].add_(1).double()[:, None]
        # In float64, as 1 - 0.999 ** 1 loses half its digits in float32.
        size = (learning_rate / (1 - beta1**steps)).to(rows)
        correction = (1 - beta2**steps).sqrt().to(rows)
        first = state["exp_avg"].lerp_(gradients, 1 - beta1)
        second = state["exp_avg_sq"].mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        if self.weight_decay:
            rows.mul_(1 - learning_rate * self.weight_decay)
        # Every tensor of the size of the rows costs time: one is made, for all that follows.
        change = second.sqrt().div_(correction).add_(self.eps)
        rows.sub_(torch.div(first, change, out=change).mul_(size))


@dataclass(frozen=True)
class Adagrad:
    """Adagrad (Duchi et al. 2011) with one number a row: the mean square of its gradients, summed over its steps.

    Attributes:
        eps: added to the root.
        weight_decay: a row shrinks by ``learning_rate * weight_decay`` of itself.
    """

    eps: float = 1e-10
    weight_decay: float = 0.0

    def state(self, rows: int, width: int, device: torch.device) -> dict[str, Tensor]:  # noqa: ARG002 - part of the RowOptimizer protocol
        """Return the sum of each row."""
        return {"sum": torch.zeros(rows, device=device)}

    def update(self, rows: Tensor, gradients: Tensor, state: dict[str, Tensor], learning_rate: float) -> None:
        """Move ``rows [n, width]`` and their ``state`` in place."""
        total = state["sum"].add_(gradients.square().mean(dim=1))
        if self.weight_decay:
            rows.mul_(1 - learning_rate * self.weight_decay)
        rows.addcmul_(gradients, 1 / (total.sqrt() + self.eps)[:, None], value=-learning_rate)
