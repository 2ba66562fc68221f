"""Reduce the images of a batch on its device, each to a size of its own, as ``geometry.reduced`` does in the loader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


# Bytes of the floats that are resized at once.
_LARGEST_TENSOR = 2**28


def reduced(images: Tensor, sizes: Tensor, wanted: Tensor, steps: Sequence[Tensor]) -> Tensor:
    """Reduce images in the upper left corners of ``uint8 [N, C, C, 3]`` from ``sizes [N, 2]`` to ``wanted [N, 2]``.

    ``steps`` are the indices of the images that are halved once, twice and so on: see ``batch_plan.halvings``. What
    lies outside of an image's new size is left as it falls.
    """
    sizes, wanted = sizes.to(torch.float32, copy=True), wanted.float()
    result = images.clone() if steps else images
    at_once = max(1, _LARGEST_TENSOR // (4 * images[0].numel()))
    for affected in (some for step in steps for some in torch.split(step, at_once)):
        before = sizes[affected]
        after = wanted[affected].maximum((before / 2).ceil())
        pixels = result[affected].float()
        for axis in (0, 1):
            pixels = _resized(pixels, axis + 1, before[:, axis], after[:, axis])
        # Halves are rounded up, as in OpenCV.
        result[affected] = (pixels + 0.5).floor_().to(torch.uint8)
        sizes[affected] = after
    return result


def _resized(pixels: Tensor, axis: int, before: Tensor, after: Tensor) -> Tensor:
    """Resize one axis bilinearly, from ``before [N]`` to ``after [N]`` pixels; indices keep means of two exact."""
    side = pixels.shape[axis]
    steps = torch.arange(side, device=pixels.device, dtype=pixels.dtype)
    at = ((steps + 0.5) * (before / after)[:, None] - 0.5).clamp(min=0).minimum(before[:, None] - 1)
    low = at.floor()
    shape = [len(pixels), 1, 1, 1]
    shape[axis] = side
    below = low.long().view(shape)
    above = (below + 1).clamp(max=side - 1)
    weight = (at - low).view(shape)
    return torch.lerp(pixels.take_along_dim(below, axis), pixels.take_along_dim(above, axis), weight)
