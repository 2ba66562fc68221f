"""Heads from the last level of a feature pyramid to an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo_core.api import FeatureLevel, RunError
from zoo_embedding.pooling import AttentionPooling, GeneralizedMean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The options of a recipe are validated against it, before anything is built.
EmbeddingLength = Annotated[int, Field(gt=0)]
Exponent = Annotated[float, Field(gt=0)]
Heads = Annotated[int, Field(gt=0)]


class EmbeddingHead(nn.Module):
    """A pooling of the last feature map, then linear, norm, linear, norm; linear layers have no bias.

    Args:
        pooling: from the map ``[N, C, h, w]`` to ``[N, F]``.
        in_features: F.
        map_shape: the (C, h, w) that ``pooling`` takes; None where h or w is arbitrary.
        embed_dim: length of the embedding.
        norm: makes a normalisation layer for vectors of a length.

    Attributes:
        embedding_dim: length of the embedding.
    """

    def __init__(
        self,
        pooling: nn.Module,
        in_features: int,
        map_shape: tuple[int, int | None, int | None],
        *,
        embed_dim: int,
        norm: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        if embed_dim <= 0:
            raise ValueError(f"embed_dim is {embed_dim}, but has to be above 0")
        self.embedding_dim = embed_dim
        self._map_shape = map_shape
        self.pooling = pooling
        self.embed = nn.Sequential(
            nn.Linear(in_features, embed_dim, bias=False),
            norm(embed_dim),
            nn.Linear(embed_dim, embed_dim, bias=False),
            norm(embed_dim),
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the embeddings ``[N, embedding_dim]`` of the last of ``features``, not normalised.

        Raises:
            RunError: that map does not have the channels or the size that the head was built for.
        """
        last = features[-1]
        # While tracing, sizes are symbols of the graph and cannot be checked.
        if not torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call] # public, but not typed as such
            self._check(last)
        embeddings: Tensor = self.embed(self.pooling(last))
        return embeddings

    def _check(self, last: Tensor) -> None:
        if any(expected not in {None, found} for expected, found in zip(self._map_shape, last.shape[1:], strict=True)):
            expected = "x".join("any" if size is None else str(size) for size in self._map_shape)
            found = "x".join(map(str, last.shape[1:]))
            raise RunError(
                f"the head was built for a last feature map of {expected} (channels, height, width), but got {found}",
                hint="give images of the recipe's data.image_size",
            )


def flatten_ln(
    *, feature_levels: Sequence[FeatureLevel], image_size: tuple[int, int], embed_dim: EmbeddingLength = 256
) -> EmbeddingHead:
    """Build a head with separate weights for every position of the last map, and LayerNorm.

    Args:
        feature_levels: the backbone's; the last is used.
        image_size: height and width of the images.
        embed_dim: length of the embedding.
    """
    return _flatten_head(feature_levels, image_size, embed_dim, nn.LayerNorm)


def flatten_bn(
    *, feature_levels: Sequence[FeatureLevel], image_size: tuple[int, int], embed_dim: EmbeddingLength = 256
) -> EmbeddingHead:
    """Build a head as ``flatten_ln``, with BatchNorm."""
    return _flatten_head(feature_levels, image_size, embed_dim, nn.BatchNorm1d)


def gap_ln(*, feature_levels: Sequence[FeatureLevel], embed_dim: EmbeddingLength = 256) -> EmbeddingHead:
    """Build a head on the mean over positions, for images of any size, with LayerNorm.

    Args:
        feature_levels: the backbone's; the last is used.
        embed_dim: length of the embedding.
    """
    return _pooling_head(feature_levels, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), embed_dim)


def gem_ln(
    *, feature_levels: Sequence[FeatureLevel], embed_dim: EmbeddingLength = 256, p: Exponent = 3.0
) -> EmbeddingHead:
    """Build a head as ``gap_ln``, on the generalized mean (GeM, arXiv:1711.02512) over positions.

    Args:
        feature_levels: the backbone's; the last is used.
        embed_dim: length of the embedding.
        p: the exponent that training starts from; 1 is the mean, more is nearer to the maximum.
    """
    return _pooling_head(feature_levels, GeneralizedMean(p), embed_dim)


def attention_ln(
    *, feature_levels: Sequence[FeatureLevel], embed_dim: EmbeddingLength = 256, num_heads: Heads = 8
) -> EmbeddingHead:
    """Build a head as ``gap_ln``, on a learned attention (arXiv:1810.00825) over positions.

    Args:
        feature_levels: the backbone's; the last is used.
        embed_dim: length of the embedding.
        num_heads: how many parts of the channels attend to positions of their own; divides the channels.

    Raises:
        ValueError: it does not.
    """
    return _pooling_head(feature_levels, AttentionPooling(feature_levels[-1].channels, num_heads), embed_dim)


def squeeze_ln(
    *, feature_levels: Sequence[FeatureLevel], image_size: tuple[int, int], embed_dim: EmbeddingLength = 256
) -> EmbeddingHead:
    """Build a head as ``flatten_ln``, after a 1x1 convolution to a quarter of the channels."""
    return _squeeze_head(feature_levels, image_size, embed_dim, nn.LayerNorm)


def squeeze_lbn(
    *, feature_levels: Sequence[FeatureLevel], image_size: tuple[int, int], embed_dim: EmbeddingLength = 256
) -> EmbeddingHead:
    """Build a head as ``squeeze_ln``, with a BatchNorm after each LayerNorm."""
    return _squeeze_head(feature_levels, image_size, embed_dim, _layer_then_batch_norm)


def _pooling_head(levels: Sequence[FeatureLevel], pooling: nn.Module, embed_dim: int) -> EmbeddingHead:
    channels = levels[-1].channels
    return EmbeddingHead(pooling, channels, (channels, None, None), embed_dim=embed_dim, norm=nn.LayerNorm)


def _flatten_head(
    levels: Sequence[FeatureLevel], image_size: tuple[int, int], embed_dim: int, norm: Callable[[int], nn.Module]
) -> EmbeddingHead:
    channels, height, width = shape = _last_map_shape(levels, image_size)
    return EmbeddingHead(nn.Flatten(), channels * height * width, shape, embed_dim=embed_dim, norm=norm)


def _squeeze_head(
    levels: Sequence[FeatureLevel], image_size: tuple[int, int], embed_dim: int, norm: Callable[[int], nn.Module]
) -> EmbeddingHead:
    channels, height, width = shape = _last_map_shape(levels, image_size)
    squeezed = max(1, channels // 4)
    pooling = nn.Sequential(nn.Conv2d(channels, squeezed, kernel_size=1, bias=False), nn.Flatten())
    return EmbeddingHead(pooling, squeezed * height * width, shape, embed_dim=embed_dim, norm=norm)


def _last_map_shape(levels: Sequence[FeatureLevel], image_size: tuple[int, int]) -> tuple[int, int, int]:
    height, width = image_size
    last = levels[-1]
    return last.channels, -(-height // last.stride), -(-width // last.stride)


def _layer_then_batch_norm(features: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(features), nn.BatchNorm1d(features))
