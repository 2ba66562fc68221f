"""The modules to export: a trained model without its loss, which takes pixels that are not normalised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from zoo_core.api import TrainedModel

# Pillow's fixed point numbers have 22 bits after the point.
_PIL_PRECISION = 2.0**22


class WarpFeatureLearning(nn.Module):
    """Backbone and head, with normalised embeddings.

    ``forward`` takes ``float32 [N, 3, H, W]``, RGB in 0..1 at the model's image size, and returns ``float32 [N, D]``.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.head = model.head

    def forward(self, img: Tensor) -> Tensor:
        """Return embeddings of unit length."""
        return nn.functional.normalize(self.head(self.backbone(img)))


class WarpFeatureLearningPixels(WarpFeatureLearning):
    """The same for the bytes of decoded images of any size: the caller needs no preprocessing.

    ``forward`` takes ``uint8 [N, H, W, 3]`` RGB and returns ``float32 [N, D]``. The graph resizes as
    ``PIL.Image.resize(size, BILINEAR)`` does (see ``resize_bilinear``), with the batch in float64: 24 bytes a pixel.

    Args:
        model: the trained model.
        image_size: height and width that the model takes.
    """

    def __init__(self, model: TrainedModel, image_size: tuple[int, int]) -> None:
        super().__init__(model)
        self.image_size = image_size

    def forward(self, pixels: Tensor) -> Tensor:
        """Return embeddings of unit length."""
        images = resize_bilinear(pixels.permute(0, 3, 1, 2), self.image_size)
        return super().forward(images.to(torch.float32) / 255)


class TransformersJs(WarpFeatureLearning):
    """The same for Transformers.js, whose image processor then neither resizes nor normalises.

    ``forward`` takes ``float32 [N, 3, H, W]`` of any size, RGB in 0..1, and returns ``float32 [N, D]``. The bytes that
    the pixels were are restored by rounding, and resized as in ``WarpFeatureLearningPixels``: 24 bytes a pixel.

    Args:
        model: the trained model.
        image_size: height and width that the model takes.
    """

    def __init__(self, model: TrainedModel, image_size: tuple[int, int]) -> None:
        super().__init__(model)
        self.image_size = image_size

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return embeddings of unit length."""
        levels = torch.floor(pixel_values.to(torch.float64) * 255 + 0.5).clamp(0, 255)
        return super().forward(resize_bilinear(levels, self.image_size).to(torch.float32) / 255)


def resize_bilinear(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize with antialiasing as Pillow does; ONNX's Resize has antialiasing from opset 18 only, and a different one.

    Pillow convolves with a triangle filter whose half width is the reduction factor (at least one pixel), first
    horizontally, then vertically, in fixed point with 22 bits, and rounds to bytes after each pass. Here each pass is a
    matrix product in float64, which holds these integers exactly: the result does not depend on the order of summation,
    so that every runtime gives the same pixels. They equal Pillow's bit for bit, except where Pillow 13 starts with the
    vertical pass (some tall images, and some that shrink in height alone): there they differ by one level at most.

    Args:
        images: whole numbers in 0..255 of any dtype, ``[..., H, W]``; H and W may be symbolic.
        size: height and width to resize to.

    Returns:
        Whole numbers in 0..255, ``float64 [..., size[0], size[1]]``.
    """
    height, width = size
    horizontal = _round_to_bytes(images.to(torch.float64) @ _filter_weights(images.shape[-1], width, images.device).T)
    return _round_to_bytes(_filter_weights(images.shape[-2], height, images.device) @ horizontal)


def _filter_weights(length: int, size: int, device: torch.device) -> Tensor:
    """Return Pillow's integer weights ``float64 [size, length]`` (``precompute_coeffs`` in its Resample.c)."""
    positions = torch.arange(length, dtype=torch.float64, device=device)
    # From a tensor, because the division of a traced length is in float32.
    scale = (positions[-1:] + 1) / size
    half_width = scale.clamp(min=1)
    centres = (torch.arange(size, dtype=torch.float64, device=device) + 0.5) * scale
    weights = (1 - ((positions - centres[:, None] + 0.5) / half_width).abs()).clamp(min=0)
    weights = weights / weights.sum(dim=1, keepdim=True)
    return torch.floor(weights * _PIL_PRECISION + 0.5)


def _round_to_bytes(sums: Tensor) -> Tensor:
    return torch.floor(sums / _PIL_PRECISION + 0.5).clamp(0, 255)
