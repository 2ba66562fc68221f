"""Margins that depend on how good an image is, or on how far training is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo_margin.margins import Margin, widened

if TYPE_CHECKING:
    from collections.abc import Callable


class AdaFace(Margin):
    """Hard images count more where the image is good, less where it is not (Kim et al. 2022, arXiv:2204.00964).

    ``cos(theta - m z) - (m + m z)`` (equations 13 to 15), with ``z`` the length of the embedding, standardised by the
    running mean and deviation of lengths, times ``h``, cut to -1..1. The length passes no gradient.

    Args:
        m: margin.
        h: how much of the range -1..1 the lengths fill.
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
        """Follow mean and deviation of the lengths."""
        norms = norms.clamp(0.001, 100)
        _follow(self.mean, norms.mean(), 1 - self.momentum)
        if len(norms) > 1:
            _follow(self.deviation, norms.std(), 1 - self.momentum)

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:
        """Return the lessened cosines, as Margin says."""
        standard = (norms.detach().clamp(0.001, 100) - self.mean) / (self.deviation + 0.001)
        z = (self.h * standard).clamp(-1, 1).to(cosines)
        return widened(cosines, -strength * self.m * z) - strength * self.m * (1 + z)


class MagFace(Margin):
    """The longer the embedding, the larger the margin, and long ones are worth it (Meng et al. 2021, arXiv:2103.06627).

    ``cos(theta + m(a))`` with ``m(a)`` growing linearly from ``low_m`` at length ``low_norm`` to ``high_m`` at
    ``high_norm``, and the penalty ``weight * (1 / a + a / high_norm ** 2)``, both for lengths cut to that range, as in
    the authors' code: beyond it a length passes no gradient.
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
        """Return the cosines of the widened angles, as Margin says."""
        share = (norms.clamp(self.low_norm, self.high_norm) - self.low_norm) / (self.high_norm - self.low_norm)
        return widened(cosines, strength * (self.low_m + share * (self.m - self.low_m)))

    def penalty(self, norms: Tensor) -> Tensor:
        """Return the mean penalty for short embeddings."""
        norms = norms.clamp(self.low_norm, self.high_norm)
        return self.weight * (1 / norms + norms / self.high_norm**2).mean()

    def extra_repr(self) -> str:
        """Describe the margin in one line."""
        return f"m={self.low_m:g}..{self.m:g} for lengths {self.low_norm:g}..{self.high_norm:g}, weight={self.weight:g}"


class CurricularFace(Margin):
    """ArcFace that turns to the hard others as training succeeds (Huang et al. 2020, arXiv:2004.00288).

    A cosine with another class that is above ``cos(theta + m)`` is multiplied by ``t + cos``, where ``t`` is the
    running mean of the cosine with the own class, that of this batch included.
    """

    t: Tensor

    def __init__(self, m: float, momentum: float = 0.99) -> None:
        super().__init__()
        self.m, self.momentum = m, momentum
        self.register_buffer("t", torch.zeros(()))

    def observe(self, cosines: Tensor, norms: Tensor) -> None:  # noqa: ARG002 - as Margin
        """Follow the mean cosine with the own class."""
        _follow(self.t, cosines.mean(), 1 - self.momentum)

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - as Margin
        """Return the cosines of the widened angles, as Margin says."""
        return widened(cosines, strength * self.m)

    def modulation(self, own: Tensor, strength: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what multiplies the hard ones among the cosines with other classes, as Margin says."""
        # A copy: the next batch moves it, and the backward pass of this one may come later.
        t = self.t.to(own, copy=True)

        def modulated(cosines: Tensor) -> Tensor:
            return torch.where(cosines > own[:, None], cosines * (1 + strength * (t + cosines - 1)), cosines)

        return modulated


def _follow(running: Tensor, value: Tensor, share: float) -> None:
    """Move ``running`` towards ``value`` by ``share``; not at all where ``value`` is no number."""
    value = value.detach().to(running)
    running.lerp_(torch.where(value.isfinite(), value, running), share)
