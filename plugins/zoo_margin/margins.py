"""Margins: what happens to the cosine between an embedding and its own class before the softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Margin(Protocol):
    """Makes the own class look less similar than it is, so that training has to pull it closer.

    A new margin is a class like those below.
    """

    @property
    def m(self) -> float:
        """The full margin."""

    def __call__(self, cosines: Tensor, strength: Tensor) -> Tensor:
        """Return what stands in for ``cosines``, of each embedding with its own class, in -1..1 and of any shape.

        ``strength``, a scalar in 0..1, is the share of the margin to apply; 0 returns the cosines as they are.
        """


@dataclass(frozen=True)
class NoMargin:
    """The cosines as they are: the normalised softmax of NormFace (Wang et al. 2017, arXiv:1704.06369)."""

    m: float = 0.0

    def __call__(self, cosines: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - part of the Margin protocol
        """Return ``cosines``."""
        return cosines


@dataclass(frozen=True)
class CosFace:
    """``cos(theta) - m`` (Wang et al. 2018, arXiv:1801.09414, equation 4)."""

    m: float

    def __call__(self, cosines: Tensor, strength: Tensor) -> Tensor:
        """Return the lessened ``cosines``, as Margin says."""
        return cosines - strength * self.m


@dataclass(frozen=True)
class ArcFace:
    """``cos(theta + m)`` (Deng et al. 2019, arXiv:1801.07698, equation 3).

    Beyond ``theta + m = pi`` the cosine would rise again and reward embeddings for being further away. There the
    value is ``cos(theta) - m sin(m)``, as in the authors' code: it stays below and keeps falling with the angle.
    The gradient is that of the formula, ``sin(theta + m) / sin(theta)`` by the cosine; today's code of the authors
    passes 1.
    """

    m: float

    def __call__(self, cosines: Tensor, strength: Tensor) -> Tensor:
        """Return the cosines of the widened angles, as Margin says."""
        m = strength * self.m
        # Without acos, whose derivative is infinite at both ends. Below 1e-6 the sine counts as constant:
        # its own derivative is infinite at theta = 0, and there the cosine's by the embedding is zero anyway.
        sines = ((1 - cosines) * (1 + cosines)).clamp_min(1e-6).sqrt()
        shifted = cosines * m.cos() - sines * m.sin()
        return torch.where(cosines > -m.cos(), shifted, cosines - m * m.sin())
