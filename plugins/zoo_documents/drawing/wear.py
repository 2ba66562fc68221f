"""Scratch and stain a document."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cv2.typing import MatLike


def add_wear(image: MatLike, generator: np.random.Generator) -> None:
    """Scratch some documents and stain some, in place."""
    scratched, stained, extent, tone, *stain = generator.random(7).tolist()
    if scratched < 0.15:
        _scratch(image, generator, 1 + int(3 * extent), int(120 + 120 * tone))
    if stained < 0.1:
        height, width = image.shape[:2]
        side = int(8 + 20 * extent)
        left, top = int(stain[0] * (width - side)), int(stain[1] * (height - side))
        region = image[max(0, top) : top + side, max(0, left) : left + side]
        region[:] = cv2.addWeighted(region, 0.85, np.full_like(region, int(180 * stain[2])), 0.15, 0)


def _scratch(image: MatLike, generator: np.random.Generator, count: int, grey: int) -> None:
    height, width = image.shape[:2]
    for x, y, angle, length in generator.random((count, 4)).tolist():
        start = (int(x * width), int(y * height))
        reach = 0.3 * length * width
        end = (int(start[0] + reach * math.cos(6 * angle)), int(start[1] + reach * math.sin(6 * angle)))
        cv2.line(image, start, end, (grey, grey, grey), 1, cv2.LINE_AA)
