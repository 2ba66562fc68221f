"""Margins: applied to the cosine between an embedding and its own class, before the softmax."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


class Margin(nn.Module):
    """Lowers the similarity to the own class, so that training has to pull it closer.

    A new margin is a class like those below: ``forward``, and those of the other methods that it needs. All of them get
    the batch of all ranks, so that state which depends on it is the same on each rank. Keep state in buffers, which are
    saved with the loss.

    Attributes:
        m: the full margin, for display.
    """

    m: float = 0.0

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - for subclasses
        """Return what replaces the cosines with the own classes: ``[N]``, as ``cosines``, which are in -1..1.

        ``norms [N]`` are the lengths of the embeddings. ``strength``, a scalar in 0..1, is the fraction of the margin
        to apply; 0 returns the cosines unchanged.
        """
        return cosines

    def observe(self, cosines: Tensor, norms: Tensor) -> None:
        """Update state with a training batch, before ``forward``; the same arguments, detached."""

    def penalty(self, norms: Tensor) -> Tensor | None:  # noqa: ARG002 - for subclasses
        """Return a penalty on the lengths of the embeddings, a scalar; the loss adds it times the strength."""
        return None

    def modulation(self, own: Tensor, strength: Tensor) -> Callable[[Tensor], Tensor] | None:  # noqa: ARG002 - for subclasses
        """Return a function from cosines ``[N, n]`` with other classes to what replaces them, or ``None``.

        The backward pass calls it again and needs the same result, even if other batches came between. It takes time.
        ``own [N]`` is what ``forward`` returned for the own classes, detached.
        """
        return None

    def extra_repr(self) -> str:
        """Describe the margin in one line."""
        return f"m={self.m:g}"


class NoMargin(Margin):
    """The cosines unchanged: the normalised softmax of NormFace (Wang et al. 2017, arXiv:1704.06369)."""


class CosFace(Margin):
    """``cos(theta) - m`` (Wang et al. 2018, arXiv:1801.09414, equation 4)."""

    def __init__(self, m: float) -> None:
        super().__init__()
        self.m = m

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - as Margin
        """Return the cosines less the margin, see ``Margin``."""
        return cosines - strength * self.m


class ArcFace(Margin):
    """``cos(theta + m)`` (Deng et al. 2019, arXiv:1801.07698, equation 3), by ``add_to_angle``."""

    def __init__(self, m: float) -> None:
        super().__init__()
        self.m = m

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - as Margin
        """Return the cosines of the angles plus the margin, see ``Margin``."""
        return add_to_angle(cosines, strength * self.m)


class Combined(Margin):
    """``cos(m1 theta + m2) - m3`` (Deng et al. 2019, arXiv:1801.07698, equation 4), ``m1`` above 0; all three count.

    Where ``m1 theta + m2`` is past pi the cosine would rise again; it is continued by the straight line
    ``-1 - (m1 theta + m2 - pi)`` in the angle, which keeps falling.
    """

    def __init__(self, m1: float, m2: float, m3: float) -> None:
        super().__init__()
        self.m1, self.m2, self.m3 = m1, m2, m3
        self.m = m2 or m3 or m1 - 1

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - as Margin
        """Return the cosines of the larger angles less the margin, see ``Margin``."""
        if self.m1 == 1:
            return add_to_angle(cosines, strength * self.m2) - strength * self.m3
        # At both ends the derivative of the angle is infinite, and that of the cosine by the embedding is zero.
        angles = cosines.clamp(-1 + 1e-6, 1 - 1e-6).acos()
        larger = angles * (1 + strength * (self.m1 - 1)) + strength * self.m2
        return torch.where(larger < math.pi, larger.cos(), math.pi - 1 - larger) - strength * self.m3

    def extra_repr(self) -> str:
        """Describe the margin in one line."""
        return f"m1={self.m1:g}, m2={self.m2:g}, m3={self.m3:g}"


class ElasticFace(Margin):
    """ArcFace or CosFace with a margin sampled at random for each image (Boutros et al. 2022, arXiv:2109.09416).

    The sample depends on the number of training batches so far and the index of the image in the batch of all ranks.

    Args:
        m: mean of the margins; default: that of the paper, 0.5 on the angle, 0.35 on the cosine.
        sigma: standard deviation of the margins.
        angular: whether they are added to the angle, or subtracted from the cosine.
    """

    batches: Tensor

    def __init__(self, m: float | None, sigma: float, *, angular: bool) -> None:
        super().__init__()
        if m is None:
            m = 0.5 if angular else 0.35
        self.m, self.sigma, self.angular = m, sigma, angular
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def observe(self, cosines: Tensor, norms: Tensor) -> None:  # noqa: ARG002 - as Margin
        """Count the batch."""
        self.batches += 1

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - as Margin
        """Return the cosines with sampled margins, in evaluation with the mean margin, see ``Margin``."""
        m = torch.full_like(cosines, self.m)
        if self.training:
            generator = torch.Generator().manual_seed(int(self.batches))
            m += self.sigma * torch.randn(len(cosines), generator=generator).to(cosines)
        return add_to_angle(cosines, strength * m.clamp(-math.pi, math.pi)) if self.angular else cosines - strength * m

    def extra_repr(self) -> str:
        """Describe the margin in one line."""
        return f"m={self.m:g}, sigma={self.sigma:g}, {'on the angle' if self.angular else 'on the cosine'}"


def add_to_angle(cosines: Tensor, m: Tensor) -> Tensor:
    """Return ``cos(theta + m)`` for ``cosines`` of theta, and ``m`` in ``-pi..pi`` that broadcasts with them.

    Past ``theta + m = pi`` the cosine would rise again and reward embeddings for being further away. There the value
    is ``cos(theta) - m sin(m)``, as in the code of ArcFace's authors: it stays below the value at ``pi`` and keeps
    falling with the angle. For ``m`` above 2.33 it would be above that value, and ``cos(theta) + cos(m) - 1`` replaces
    it. Below ``theta + m = 0`` the value is 1. The gradient is that of the formula, ``sin(theta + m) / sin(theta)`` by
    the cosine; the current code of those authors passes 1.
    """
    # Without acos, whose derivative is infinite at both ends. A squared sine below 1e-6 counts as constant: its own
    # derivative is infinite at theta = 0, where that of the cosine by the embedding is zero anyway.
    sines = ((1 - cosines) * (1 + cosines)).clamp_min(1e-6).sqrt()
    shifted = cosines * m.cos() - sines * m.sin()
    past_pi = (m > 0) & (cosines <= -m.cos())
    below_zero = (m < 0) & (cosines >= m.cos())
    value = torch.where(past_pi, cosines - torch.maximum(m * m.sin(), 1 - m.cos()), shifted)
    return torch.where(below_zero, torch.ones_like(value), value)
