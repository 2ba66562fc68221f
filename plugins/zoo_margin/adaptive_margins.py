"""Margins that adapt to the quality of an image, or to the progress of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo_margin.margins import Margin, add_to_angle

if TYPE_CHECKING:
    from collections.abc import Callable


class AdaFace(Margin):
    """Hard images count more where the quality is high, and less where it is low (Kim et al. 2022, arXiv:2204.00964).

    ``cos(theta - m z) - (m + m z)`` (equations 13 to 15), where ``z`` measures the quality: the length of the
    embedding, standardised by the running mean and deviation of lengths, times ``h``, clipped to -1..1. No gradient
    flows through the length.

    Args:
        m: margin.
        h: ``z`` of a length one deviation above the mean.
        momentum: of the running mean and deviation.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, m: float, h: float, momentum: float = 0.99) -> None:
        super().__init__()
        self.m, self.h, self.momentum = m, h, momentum
        # As in the authors' code.
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("deviation", torch.tensor(100.0))

    def observe(self, cosines: Tensor, norms: Tensor) -> None:  # noqa: ARG002 - as Margin
        """Update the running mean and deviation of the lengths."""
        norms = norms.clamp(0.001, 100)
        _update_running(self.mean, norms.mean(), 1 - self.momentum)
        if len(norms) > 1:
            _update_running(self.deviation, norms.std(), 1 - self.momentum)

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:
        """Return the cosines with the margins of their qualities, see ``Margin``."""
        standardised = (norms.detach().clamp(0.001, 100) - self.mean) / (self.deviation + 0.001)
        z = (self.h * standardised).clamp(-1, 1).to(cosines)
        return add_to_angle(cosines, -strength * self.m * z) - strength * self.m * (1 + z)


class MagFace(Margin):
    """The longer the embedding, the larger the margin; a penalty rewards length (Meng et al. 2021, arXiv:2103.06627).

    ``cos(theta + m(a))``, where ``m(a)`` grows linearly from ``low_m`` at length ``low_norm`` to ``high_m`` at
    ``high_norm``, and the penalty ``weight * (1 / a + a / high_norm ** 2)``, both for lengths clipped to that range, as
    in the authors' code: no gradient flows through a length outside it.
    """

    def __init__(self, *, low_m: float, high_m: float, low_norm: float, high_norm: float, weight: float) -> None:
        super().__init__()
        if not (low_m <= high_m and 0 < low_norm < high_norm):
            message = "MagFace takes low_m <= high_m and 0 < low_norm < high_norm"
            raise ValueError(f"{message}, not {low_m}, {high_m}, {low_norm}, {high_norm}")
        self.low_m, self.m = low_m, high_m
        self.low_norm, self.high_norm = low_norm, high_norm
        self.weight = weight

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:
        """Return the cosines of the angles plus the margins of their lengths, see ``Margin``."""
        fraction = (norms.clamp(self.low_norm, self.high_norm) - self.low_norm) / (self.high_norm - self.low_norm)
        return add_to_angle(cosines, strength * (self.low_m + fraction * (self.m - self.low_m)))

    def penalty(self, norms: Tensor) -> Tensor:
        """Return the mean penalty, which is larger for shorter embeddings."""
        norms = norms.clamp(self.low_norm, self.high_norm)
        return self.weight * (1 / norms + norms / self.high_norm**2).mean()

    def extra_repr(self) -> str:
        """Describe the margin in one line."""
        return f"m={self.low_m:g}..{self.m:g} for lengths {self.low_norm:g}..{self.high_norm:g}, weight={self.weight:g}"


class CurricularFace(Margin):
    """ArcFace that gives hard negatives more weight as training progresses (Huang et al. 2020, arXiv:2004.00288).

    A cosine with another class that is above ``cos(theta + m)`` is multiplied by ``t + cos``, where ``t`` is the
    running mean of the cosine with the own class, including this batch.
    """

    t: Tensor

    def __init__(self, m: float, momentum: float = 0.99) -> None:
        super().__init__()
        self.m, self.momentum = m, momentum
        self.register_buffer("t", torch.zeros(()))

    def observe(self, cosines: Tensor, norms: Tensor) -> None:  # noqa: ARG002 - as Margin
        """Update the running mean of the cosine with the own class."""
        _update_running(self.t, cosines.mean(), 1 - self.momentum)

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - as Margin
        """Return the cosines of the angles plus the margin, see ``Margin``."""
        return add_to_angle(cosines, strength * self.m)

    def modulation(self, own: Tensor, strength: Tensor) -> Callable[[Tensor], Tensor]:
        """Return a function that multiplies the cosines with hard negatives, see ``Margin``."""
        # A copy: the next batch may update it before the backward pass of this one.
        t = self.t.to(own, copy=True)

        def modulated(cosines: Tensor) -> Tensor:
            return torch.where(cosines > own[:, None], cosines * (1 + strength * (t + cosines - 1)), cosines)

        return modulated


def _update_running(running: Tensor, value: Tensor, weight: float) -> None:
    """Move ``running`` towards ``value`` with ``weight``, unless ``value`` is not finite."""
    value = value.detach().to(running)
    running.lerp_(torch.where(value.isfinite(), value, running), weight)
