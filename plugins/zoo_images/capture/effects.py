"""Effects of light, lens, sensor and file on one image ``uint8 [H, W, 3]``, on the CPU by OpenCV."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_images.capture.noise_textures import CROP_OFFSETS, NOISE_STD
from zoo_images.capture.parameters import GAUSSIAN, MOTION

if TYPE_CHECKING:
    import numpy.typing as npt
    from cv2.typing import MatLike

    from zoo_core.api import UInt8Image
    from zoo_images.capture.parameters import Blur, Glare, Light, Noise, Shadow

GRID_SIZE = 16  # glare and shadows vary slowly, so they are computed on a grid of this side and enlarged
_CENTRES = (np.arange(GRID_SIZE, dtype=np.float32) + np.float32(0.5)) / GRID_SIZE - np.float32(0.5)
# x, y and 1 at each point of the grid.
_GRID = np.stack([*np.meshgrid(_CENTRES, _CENTRES), np.ones((GRID_SIZE, GRID_SIZE), np.float32)], axis=2)


def pixel_coordinates(height: int, width: int) -> UInt8Image:
    """Return ``uint8 [height, width, 3]``: x and y of each pixel in 255ths of the frame's width and height, and 255."""
    across, down = (np.rint((np.arange(side) + 0.5) * (255 / side)) for side in (width, height))
    return np.dstack([*np.meshgrid(across, down), np.full((height, width), 255)]).astype(np.uint8)


def light_gain(light: Light, coordinates: UInt8Image) -> MatLike:
    """Return the gain ``uint8 [H, W, 3]`` at ``pixel_coordinates``; 128 is a gain of 1."""
    x, y, tint = light
    across, down, level = 128 / 255 * x, 128 / 255 * y, 128 / 255 * (1 - 0.5 * x - 0.5 * y)
    rows = [(channel * across, channel * down, channel * level) for channel in tint]
    return cv2.transform(coordinates, np.array(rows))


def shadow_gain(shadow: Shadow) -> MatLike:
    """Return the gain ``uint8 [GRID_SIZE, GRID_SIZE]``; 255 is a gain of 1."""
    x, y, offset, softness, depth = shadow
    within = np.exp(cv2.transform(_GRID, np.array([(-x / softness, -y / softness, offset / softness)])))
    return cv2.convertScaleAbs(255 - 255 * depth / (1 + within))


def glare_light(glare: Glare) -> MatLike:
    """Return the light to add ``uint8 [GRID_SIZE, GRID_SIZE]``."""
    x, y, width, height, power = glare
    across = np.exp(-(((_CENTRES + (0.5 - x)) / width) ** 2))
    down = np.exp(-(((_CENTRES + (0.5 - y)) / height) ** 2))
    return cv2.convertScaleAbs(np.outer(power * down, across))


def blurred(image: MatLike, blur: Blur) -> MatLike:
    """Blur an image, whose border is replicated."""
    if blur.kind == GAUSSIAN:
        weights = gaussian_weights(blur.size)
        if len(weights) == 1:
            return image
        return cv2.sepFilter2D(image, -1, weights, weights, borderType=cv2.BORDER_REPLICATE)
    weights = blur_kernel(blur)
    if len(weights) == 1:
        return image
    return cv2.filter2D(image, -1, weights, borderType=cv2.BORDER_REPLICATE)


# As many as there are blurs at strength 1 and 96 pixels: computing a kernel takes as long as applying it.
@lru_cache(4096)
def gaussian_weights(sigma: float) -> npt.NDArray[np.float32]:
    """Return ``float32 [k]``, a Gaussian that is cut off at 2.5 sigma and sums to 1."""
    reach = math.floor(2.5 * sigma)
    weights = np.exp(np.arange(-reach, reach + 1) ** 2 * (-0.5 / (sigma * sigma + 1e-9)))
    return np.asarray(weights / weights.sum(), np.float32)


@lru_cache(4096)
def blur_kernel(blur: Blur) -> npt.NDArray[np.float32]:
    """Return ``float32 [k, k]`` of motion (an antialiased line) or defocus (an antialiased disc) that sums to 1."""
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


def jpeg_compressed(image: MatLike, quality: int) -> MatLike:
    """Compress and decompress an image, with 4:2:0 chroma."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def with_noise(image: MatLike, noise: Noise, sensor: UInt8Image) -> MatLike:
    """Add a crop of ``sensor``, which ``sensor_noise`` made, to the image."""
    height, width = image.shape[:2]
    top, left = int(noise.down * CROP_OFFSETS), int(noise.right * CROP_OFFSETS)
    weight = noise.sigma / NOISE_STD
    return cv2.addWeighted(image, 1, sensor[top : top + height, left : left + width], weight, -128 * weight)
