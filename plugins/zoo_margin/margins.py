"""Margins: what happens to the cosine between an embedding and its own class before the softmax."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


class Margin(nn.Module):
    """Makes the own class look less similar than it is, so that training has to pull it closer.

    A new margin is a class like those below: ``forward``, and of the other methods what it needs. All are given the
    batch of all ranks, so that state which follows from it is the same on each. State stands in buffers, which are
    saved with the loss.

    Attributes:
        m: the full margin, for display.
    """

    m: float = 0.0

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - for subclasses
        """Return what stands in for the cosines with the own classes: ``[N]``, as ``cosines`` in -1..1 are.

        ``norms [N]`` are the lengths of the embeddings. ``strength``, a scalar in 0..1, is the share of the margin to
        apply; 0 returns the cosines as they are.
        """
        return cosines

    def observe(self, cosines: Tensor, norms: Tensor) -> None:
        """Learn from a training batch, before ``forward``; arguments as there, detached."""

    def penalty(self, norms: Tensor) -> Tensor | None:  # noqa: ARG002 - for subclasses
        """Return what to add to the loss for the lengths of the embeddings: a scalar, before the strength."""
        return None

    def modulation(self, own: Tensor, strength: Tensor) -> Callable[[Tensor], Tensor] | None:  # noqa: ARG002 - for subclasses
        """Return what turns cosines ``[N, n]`` with other classes into what stands in for them; ``None``: nothing does.

        It is called in the backward pass again and has to do the same, whatever batches came between. Costs time.
        ``own [N]``: what ``forward`` returned for the own classes, detached.
        """
        return None

    def extra_repr(self) -> str:
        """Describe the margin in one line."""
        return f"m={self.m:g}"


class NoMargin(Margin):
    """The cosines as they are: the normalised softmax of NormFace (Wang et al. 2017, arXiv:1704.06369)."""


class CosFace(Margin):
    """``cos(theta) - m`` (Wang et al. 2018, arXiv:1801.09414, equation 4)."""

    def __init__(self, m: float) -> None:
        super().__init__()
        self.m = m

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - as Margin
        """Return the lessened ``cosines``, as Margin says."""
        return cosines - strength * self.m


class ArcFace(Margin):
    """``cos(theta + m)`` (Deng et al. 2019, arXiv:1801.07698, equation 3), by ``widened``."""

    def __init__(self, m: float) -> None:
        super().__init__()
        self.m = m

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - as Margin
        """Return the cosines of the widened angles, as Margin says."""
        return widened(cosines, strength * self.m)


class Combined(Margin):
    """``cos(m1 theta + m2) - m3`` (Deng et al. 2019, arXiv:1801.07698, equation 4), ``m1`` above 0; all three count.

    Where ``m1 theta + m2`` is past pi the cosine would rise again; from there it goes on falling, as the straight line
    ``-1 - (m1 theta + m2 - pi)`` in the angle.
    """

    def __init__(self, m1: float, m2: float, m3: float) -> None:
        super().__init__()
        self.m1, self.m2, self.m3 = m1, m2, m3
        self.m = m2 or m3 or m1 - 1

    def forward(self, cosines: Tensor, norms: Tensor, strength: Tensor) -> Tensor:  # noqa: ARG002 - as Margin
        """Return the lessened cosines of the widened angles, as Margin says."""
        if self.m1 == 1:
            return widened(cosines, strength * self.m2) - strength * self.m3
        # The angle's derivative is infinite at both ends of the cosine, and the embedding's part of it zero.
        angles = cosines.clamp(-1 + 1e-6, 1 - 1e-6).acos()
        wide = angles * (1 + strength * (self.m1 - 1)) + strength * self.m2
        return torch.where(wide < math.pi, wide.cos(), math.pi - 1 - wide) - strength * self.m3

    def extra_repr(self) -> str:
        """Describe the margin in one line."""
        return f"m1={self.m1:g}, m2={self.m2:g}, m3={self.m3:g}"


class ElasticFace(Margin):
    """ArcFace or CosFace with a margin drawn anew for each image (Boutros et al. 2022, arXiv:2109.09416).

    The draw depends on the number of training batches seen so far and the place in the batch of all ranks.

    Args:
        m: mean of the margins; default: that of the paper, 0.5 on the angle, 0.35 on the cosine.
        sigma: their deviation.
        angular: whether they are added to the angle, or taken from the cosine.
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
        """Return the lessened cosines, as Margin says; by ``m`` itself where nothing is trained."""
        m = torch.full_like(cosines, self.m)
        if self.training:
            chance = torch.Generator().manual_seed(int(self.batches))
            m += self.sigma * torch.randn(len(cosines), generator=chance).to(cosines)
        return widened(cosines, strength * m.clamp(-math.pi, math.pi)) if self.angular else cosines - strength * m

    def extra_repr(self) -> str:
        """Describe the margin in one line."""
        return f"m={self.m:g}, sigma={self.sigma:g}, {'on the angle' if self.angular else 'on the cosine'}"


def widened(cosines: Tensor, m: Tensor) -> Tensor:
    """Return ``cos(theta + m)`` of ``cosines``, for ``m`` in ``-pi..pi`` of a shape that goes with theirs.

    Beyond ``theta + m = pi`` the cosine would rise again and reward embeddings for being further away. There the
    value is ``cos(theta) - m sin(m)``, as in the code of ArcFace's authors: it stays below and keeps falling with the
    angle. For ``m`` above 2.33 that would lie above what is at ``pi``, and ``cos(theta) + cos(m) - 1`` goes on from
    there. Below ``theta + m = 0`` the value is 1. The gradient is that of the formula, ``sin(theta + m) / sin(theta)``
    by the cosine; today's code of those authors passes 1.
    """
    # Without acos, whose derivative is infinite at both ends. Below 1e-6 the squared sine counts as constant:
    # its own derivative is infinite at theta = 0, and there the cosine's by the embedding is zero anyway.
    sines = ((1 - cosines) * (1 + cosines)).clamp_min(1e-6).sqrt()
    shifted = cosines * m.cos() - sines * m.sin()
    past_pi = (m > 0) & (cosines <= -m.cos())
    below_zero = (m < 0) & (cosines >= m.cos())
    value = torch.where(past_pi, cosines - torch.maximum(m * m.sin(), 1 - m.cos()), shifted)
    return torch.where(below_zero, torch.ones_like(value), value)
