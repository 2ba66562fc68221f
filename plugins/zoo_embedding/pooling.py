"""Learned poolings of a feature map ``[N, C, h, w]`` of any size to ``[N, C]``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Of GeM: below it a value counts as this much, for a power of zero has no gradient.
_SMALLEST = 1e-6


class GeneralizedMean(nn.Module):
    """The mean of powers, with a learned exponent for all channels: 1 is the mean, infinity the maximum.

    Radenović, Tolias, Chum 2018: Fine-tuning CNN image retrieval with no human annotation (arXiv:1711.02512), eq. 3.

    Args:
        p: the exponent that training starts from, above 0.
    """

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        # One dimension: weight decay leaves it alone.
        self.p = nn.Parameter(torch.full((1,), float(p)))

    def forward(self, maps: Tensor) -> Tensor:
        """Pool in single precision at least: a power of a half-precision number soon overflows."""
        powers = maps.float().clamp(min=_SMALLEST).pow(self.p.float())
        return powers.mean(dim=(2, 3)).pow(1 / self.p.float()).to(maps.dtype)


class AttentionPooling(nn.Module):
    """A mean whose weights are learned: each head's query asks all positions, which answer with key and value.

    Pooling by multi-head attention with one seed vector: Lee et al. 2019, Set Transformer (arXiv:1810.00825), section
    3.2; without its residual layers, and without the output projection, which the next linear layer can do.

    Args:
        channels: C, a multiple of ``num_heads``.
        num_heads: how many means, each of ``C / num_heads`` channels.

    Raises:
        ValueError: the channels cannot be split into as many heads.
    """

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f"num_heads is {num_heads}, which does not divide {channels} channels")
        self.num_heads = num_heads
        self.query = nn.Parameter(torch.empty(channels))
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels, bias=False)
        nn.init.trunc_normal_(self.query, std=0.02)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the attended mean of ``maps``."""
        positions = maps.flatten(2).transpose(1, 2)
        split = (self.num_heads, -1)
        query = self.query.view(split)
        scores = (self.key(positions).unflatten(2, split) * query).sum(3) / query.shape[1] ** 0.5
        weights = scores.softmax(dim=1).unsqueeze(3)
        pooled: Tensor = (weights * self.value(positions).unflatten(2, split)).sum(1).flatten(1)
        return pooled
