"""What light, lens, sensor and file do to one picture ``uint8 [H, W, 3]``, on the CPU by OpenCV."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_images.shots import GAUSSIAN, MOTION

if TYPE_CHECKING:
    import numpy.typing as npt
    from cv2.typing import MatLike

    from zoo_images.shots import Blur, Glare, Light, Shadow

GRID = 16  # light varies slowly: it is worked out on this grid and enlarged
_CENTRES = (np.arange(GRID, dtype=np.float32) + np.float32(0.5)) / GRID - np.float32(0.5)
# x, y and 1 of each point of the grid.
_PLANE = np.stack([*np.meshgrid(_CENTRES, _CENTRES), np.ones((GRID, GRID), np.float32)], axis=2)


def gain(light: Light, shadow: Shadow | None) -> MatLike:
    """Return ``uint8 [GRID, GRID, 3]``: what the picture is multiplied by, 128 is 1."""
    x, y, tint = light
    grid = cv2.transform(_PLANE, np.array([(128 * part * x, 128 * part * y, 128 * part) for part in tint]))
    if shadow is not None:
        grid = grid * _shade(*shadow)
    # All are positive: it rounds and limits to 255, which is all that is wanted of it.
    return cv2.convertScaleAbs(grid)


def _shade(x: float, y: float, offset: float, softness: float, depth: float) -> MatLike:
    """What is left of the light beside a shadow's edge: ``float32 [GRID, GRID, 1]``."""
    within = np.exp(cv2.transform(_PLANE, np.array([(-x / softness, -y / softness, offset / softness)])))
    return (1 - depth / (1 + within))[:, :, None]


def spot(glare: Glare) -> MatLike:
    """Return ``uint8 [GRID, GRID, 3]``: light to add."""
    x, y, width, height, power = glare
    across = np.exp(-(((_CENTRES + (0.5 - x)) / width) ** 2))
    down = np.exp(-(((_CENTRES + (0.5 - y)) / height) ** 2))
    return cv2.cvtColor(cv2.convertScaleAbs(np.outer(power * down, across)), cv2.COLOR_GRAY2RGB)


def blurred(image: MatLike, blur: Blur) -> MatLike:
    """Blur; the border repeats."""
    if blur.kind == GAUSSIAN:
        weights = gaussian_weights(blur.size)
        if len(weights) == 1:
            return image
        return cv2.sepFilter2D(image, -1, weights, weights, borderType=cv2.BORDER_REPLICATE)
    weights = kernel(blur)
    if len(weights) == 1:
        return image
    return cv2.filter2D(image, -1, weights, borderType=cv2.BORDER_REPLICATE)


# As many as there are blurs at strength 1 and 96 pixels: to make a kernel takes as long as to use it.
@lru_cache(4096)
def gaussian_weights(sigma: float) -> npt.NDArray[np.float32]:
    """Return ``float32 [k]``, a Gaussian out to 2.5 sigma; sums to 1."""
    reach = math.floor(2.5 * sigma)
    weights = np.exp(np.arange(-reach, reach + 1) ** 2 * (-0.5 / (sigma * sigma + 1e-9)))
    return np.asarray(weights / weights.sum(), np.float32)


@lru_cache(4096)
def kernel(blur: Blur) -> npt.NDArray[np.float32]:
    """Return ``float32 [k, k]`` of motion (a line, half a pixel soft) or defocus (a disc); sums to 1."""
    reach = math.floor(blur.size + 0.5)
    steps = np.arange(-reach, reach + 1, dtype=np.float64)
    x, y = steps[None, :], steps[:, None]
    if blur.kind == MOTION:
        cos, sin = math.cos(blur.angle), math.sin(blur.angle)
        along, across = np.abs(x * cos + y * sin), np.abs(y * cos - x * sin)
        weights = np.minimum(np.maximum(blur.size + 0.5 - along, 0), 1) * np.maximum(1 - across, 0)
    else:
        weights = np.minimum(np.maximum(blur.size + 0.5 - np.hypot(x, y), 0), 1)
    return np.asarray(weights / weights.sum(), np.float32)


def through_jpeg(image: MatLike, quality: int) -> MatLike:
    """Compress and decompress, with the colours at half the resolution."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
