"""What is exported: the branch of a trained model that inference needs, with plain pixels at its door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from zoo_core.api import TrainedModel

_PIL_PRECISION = 2.0**22


class WarpFeatureLearning(nn.Module):
    """Backbone, head, and embeddings of length one.

    ``forward`` takes ``float32 [N, 3, H, W]``, RGB in 0..1 at the model's image size, and returns ``float32 [N, D]``.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.head = model.head

    def forward(self, img: Tensor) -> Tensor:
        """Return embeddings of length one."""
        return nn.functional.normalize(self.head(self.backbone(img)))


class WarpFeatureLearningPixels(WarpFeatureLearning):
    """The same from the bytes that an image decoder gives, of any size: no preprocessing is left to the caller.

    ``forward`` takes ``uint8 [N, H, W, 3]`` RGB and returns ``float32 [N, D]``. The graph resizes as
    ``PIL.Image.resize(size, BILINEAR)`` does (see ``resize_bilinear``). It holds the batch as float64 while it
    resizes: 24 bytes a pixel.

    Args:
        model: the trained model.
        image_size: height and width that the model sees.
    """

    def __init__(self, model: TrainedModel, image_size: tuple[int, int]) -> None:
        super().__init__(model)
        self.image_size = image_size

    def forward(self, pixels: Tensor) -> Tensor:
        """Return embeddings of length one."""
        images = resize_bilinear(pixels.permute(0, 3, 1, 2), self.image_size)
        return super().forward(images.to(torch.float32) / 255)


def resize_bilinear(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize with antialiasing as Pillow does, which ONNX's own Resize offers from opset 18 only, and differently.

    Pillow convolves with a triangle as wide as the reduction factor (but at least one pixel), first along rows, then
    along columns, in fixed point with 22 bits, and rounds to bytes after each. Here each direction is a matrix product
    in float64, which holds these integers exactly: the result does not depend on the order of summation, so that every
    runtime gives the same pixels. They are Pillow's, bit for bit, except where Pillow 13 takes columns first (some
    tall images, and some that shrink in height alone): there pixels differ by one level at most.

    Args:
        images: ``uint8 [..., H, W]``; H and W may be symbolic.
        size: height and width to resize to.

    Returns:
        Whole numbers in 0..255, ``float64 [..., size[0], size[1]]``.
    """
    height, width = size
    rows = _rounded(images.to(torch.float64) @ _triangle(images.shape[-1], width, images.device).T)
    return _rounded(_triangle(images.shape[-2], height, images.device) @ rows)


def _triangle(length: int, size: int, device: torch.device) -> Tensor:
    """Return Pillow's integer weights ``float64 [size, length]`` (``precompute_coeffs`` in its Resample.c)."""
    places = torch.arange(length, dtype=torch.float64, device=device)
    # From a tensor, because a traced length would divide in float32.
    scale = (places[-1:] + 1) / size
    reach = scale.clamp(min=1)
    centres = (torch.arange(size, dtype=torch.float64, device=device) + 0.5) * scale
    weights = (1 - ((places - centres[:, None] + 0.5) / reach).abs()).clamp(min=0)
    weights = weights / weights.sum(dim=1, keepdim=True)
    return torch.floor(weights * _PIL_PRECISION + 0.5)


def _rounded(sums: Tensor) -> Tensor:
    return torch.floor(sums / _PIL_PRECISION + 0.5).clamp(0, 255)
