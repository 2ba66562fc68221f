"""Precomputed noise to crop from: new noise for every image would cost more than all other effects."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from zoo_core.api import UInt8Image

CROP_OFFSETS = 64  # a crop starts at any of this many rows and columns
NOISE_STD = 32  # standard deviation of the sensor noise in grey values, so that bytes resolve it
MAX_TEXTURE_POINTS = 24  # side of the largest crop of the surface texture


@cache
def sensor_noise(height: int, width: int) -> UInt8Image:
    """Return ``uint8 [height + CROP_OFFSETS, width + CROP_OFFSETS, 3]``, normal with mean 128, mostly in brightness."""
    generator = np.random.Generator(np.random.PCG64(0))
    shape = (height + CROP_OFFSETS, width + CROP_OFFSETS)
    brightness = generator.standard_normal((*shape, 1), dtype=np.float32)
    colours = generator.standard_normal((*shape, 3), dtype=np.float32)
    noise = 128 + NOISE_STD * (0.8 * brightness + 0.6 * colours)
    return _read_only(np.asarray(noise.clip(0, 255), np.uint8))


@cache
def surface_texture() -> UInt8Image:
    """Return ``uint8 [CROP_OFFSETS + MAX_TEXTURE_POINTS, CROP_OFFSETS + MAX_TEXTURE_POINTS]``, uniform in 0..255."""
    side = CROP_OFFSETS + MAX_TEXTURE_POINTS
    generator = np.random.Generator(np.random.PCG64(1))
    return _read_only(generator.integers(0, 256, (side, side), dtype=np.uint8))


def _read_only(array: UInt8Image) -> UInt8Image:
    array.setflags(write=False)
    return array
