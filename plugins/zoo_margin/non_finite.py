"""Network and class table skip the same steps: a non-finite gradient of a row reaches the network, too."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


def propagate_non_finite_gradients(directions: Tensor, rows: Tensor, own_rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return all three unchanged; where a gradient of a row is not finite, make that of ``directions`` NaN.

    From ``directions`` it reaches the network on every rank. A GradScaler, or whatever else looks at the gradients of
    the network alone, thus skips the steps that the class table skips.
    """
    return cast("tuple[Tensor, Tensor, Tensor]", _PropagateNonFinite.apply(directions, rows, own_rows))


class _PropagateNonFinite(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 - torch's
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(_ctx: Any, grad_directions: Tensor, grad_rows: Tensor, grad_own_rows: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401 - torch's
        return grad_directions + (grad_rows.sum() + grad_own_rows.sum()) * 0, grad_rows, grad_own_rows
