"""Items to batches and pixels, and how many processes make them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def collate(items: list[tuple[Any, ...]]) -> tuple[Tensor, ...]:
    """Stack items: the images as ``uint8 [N, H, W, 3]``, everything else as ``[N]``.

    What a ``DeviceAugmentation`` prepared in an image's place, a tuple of arrays, becomes a tuple of their stacks.
    """
    images, *others = zip(*items, strict=True)
    return (_stack(images), *(torch.tensor(other) for other in others))


def _stack(images: Sequence[Any]) -> Any:  # noqa: ANN401 - a tensor or a tuple of them
    if isinstance(images[0], tuple):
        return tuple(_stack(arrays) for arrays in zip(*images, strict=True))
    return torch.from_numpy(np.stack(images))


def loader_processes(wish: int | str, *, devices: int = 1, on_cpu: bool = False) -> int:
    """How many loader processes a device gets: the recipe's number, or its share of the cores, at most 16.

    Where the cores train too, half of them: measured on two, 264 images/s with one process and 242 with two.
    """
    if isinstance(wish, int):
        return wish
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(16, cores // (devices * (2 if on_cpu else 1))))


def to_pixels(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """``uint8 [N, H, W, 3]`` to ``[N, 3, H, W]`` in 0..1, channels_last in memory without a copy."""
    return images.permute(0, 3, 1, 2).to(dtype) / 255
