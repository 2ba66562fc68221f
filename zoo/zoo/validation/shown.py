"""What a sample shows, plain and small: its view of its image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo.validation.dataset import plain_view

if TYPE_CHECKING:
    from zoo_core.contracts import Sample, UInt8Image


def shown_size(sample: Sample) -> tuple[int, int]:
    """Return height and width in pixels that a sample's view covers in its image."""
    height, width = sample.image.shape[:2]
    across, down = sample.view[:2, :2].T * (width, height)
    return max(1, round(float(np.hypot(*down)))), max(1, round(float(np.hypot(*across))))


def shown(sample: Sample, size: tuple[int, int]) -> UInt8Image:
    """Show a sample's view at ``size`` (height, width); the whole image, which most are, quickly."""
    if np.array_equal(sample.view, np.eye(3)):
        return np.asarray(cv2.resize(sample.image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    return plain_view(sample, size)
