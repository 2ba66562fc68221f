"""Optimizers of single rows of the class table: they read and write only the rows that have a gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor


class RowOptimizer(Protocol):
    """Updates the rows that have a gradient; all other rows and their state stay unchanged."""

    def state(self, num_rows: int, width: int, device: torch.device) -> dict[str, Tensor]:
        """Return the initial state of ``num_rows`` rows: tensors ``[num_rows, ...]`` of zeros."""

    def update(self, rows: Tensor, gradients: Tensor, state: dict[str, Tensor], learning_rate: float) -> None:
        """Update ``rows [n, width]`` and their ``state`` in place."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum, as ``torch.optim.SGD`` does it for the rows that have a gradient.

    Attributes:
        momentum: with 0 there is no state.
        weight_decay: added to the gradient as ``weight_decay * row``.
    """

    momentum: float = 0.9
    weight_decay: float = 0.0

    def state(self, num_rows: int, width: int, device: torch.device) -> dict[str, Tensor]:
        """Return the momentum of each row."""
        return {"momentum_buffer": torch.zeros(num_rows, width, device=device)} if self.momentum else {}

    def update(self, rows: Tensor, gradients: Tensor, state: dict[str, Tensor], learning_rate: float) -> None:
        """Update ``rows [n, width]`` and their ``state`` in place."""
        if self.weight_decay:
            gradients = gradients.add(rows, alpha=self.weight_decay)
        if self.momentum:
            gradients = state["momentum_buffer"].mul_(self.momentum).add_(gradients)
        rows.add_(gradients, alpha=-learning_rate)


@dataclass(frozen=True)
class AdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) with a separate step count for each row.

    With one count for all rows, the first update of a row late in training would be ``(1 - beta1) / sqrt(1 - beta2)``
    times too large: 3.16 times by default. Weight decay, too, applies only to rows that have a gradient.

    Attributes:
        betas: decay rates of the two moments.
        eps: added to the square root of the second moment.
        weight_decay: each update multiplies the row by ``1 - learning_rate * weight_decay``.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def state(self, num_rows: int, width: int, device: torch.device) -> dict[str, Tensor]:
        """Return both moments and the step count of each row."""
        moments = {name: torch.zeros(num_rows, width, device=device) for name in ("exp_avg", "exp_avg_sq")}
        return {**moments, "steps": torch.zeros(num_rows, dtype=torch.int32, device=device)}

    def update(self, rows: Tensor, gradients: Tensor, state: dict[str, Tensor], learning_rate: float) -> None:
        """Update ``rows [n, width]`` and their ``state`` in place."""
        beta1, beta2 = self.betas
        steps = state["steps"].add_(1).double()[:, None]
        # In float64, because 1 - 0.999 ** 1 loses half of its digits in float32.
        step_size = (learning_rate / (1 - beta1**steps)).to(rows)
        correction = (1 - beta2**steps).sqrt().to(rows)
        first = state["exp_avg"].lerp_(gradients, 1 - beta1)
        second = state["exp_avg_sq"].mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        if self.weight_decay:
            rows.mul_(1 - learning_rate * self.weight_decay)
        # Allocating a tensor of the size of the rows takes time, so that the update is computed in one.
        update = second.sqrt().div_(correction).add_(self.eps)
        rows.sub_(torch.div(first, update, out=update).mul_(step_size))


@dataclass(frozen=True)
class Adagrad:
    """Row-wise Adagrad (Duchi et al. 2011): one accumulator for each row, the sum of its mean squared gradients.

    Attributes:
        eps: added to the square root of the sum.
        weight_decay: each update multiplies the row by ``1 - learning_rate * weight_decay``.
    """

    eps: float = 1e-10
    weight_decay: float = 0.0

    def state(self, num_rows: int, width: int, device: torch.device) -> dict[str, Tensor]:  # noqa: ARG002 - as RowOptimizer
        """Return the sum of each row."""
        return {"sum": torch.zeros(num_rows, device=device)}

    def update(self, rows: Tensor, gradients: Tensor, state: dict[str, Tensor], learning_rate: float) -> None:
        """Update ``rows [n, width]`` and their ``state`` in place."""
        total = state["sum"].add_(gradients.square().mean(dim=1))
        if self.weight_decay:
            rows.mul_(1 - learning_rate * self.weight_decay)
        rows.addcmul_(gradients, 1 / (total.sqrt() + self.eps)[:, None], value=-learning_rate)
