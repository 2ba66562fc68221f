"""Noise to cut from: drawing it anew for every capture would cost more than all the rest of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from zoo_core.api import UInt8Image

MARGIN = 64  # a cut begins at any of so many rows and columns
NOISE_SCALE = 32  # grey values of the bank's bytes per standard deviation
MOST_POINTS = 24  # of a surface's texture


@cache
def noise_bank(height: int, width: int) -> UInt8Image:
    """Return ``uint8 [height + MARGIN, width + MARGIN, 3]``: normally distributed about 128, mostly in brightness."""
    generator = np.random.Generator(np.random.PCG64(0))
    shape = (height + MARGIN, width + MARGIN)
    brightness = generator.standard_normal((*shape, 1), dtype=np.float32)
    colours = generator.standard_normal((*shape, 3), dtype=np.float32)
    bank = 128 + NOISE_SCALE * (0.8 * brightness + 0.6 * colours)
    return _frozen(np.asarray(bank.clip(0, 255), np.uint8))


@cache
def texture_bank() -> UInt8Image:
    """Return ``uint8 [MARGIN + MOST_POINTS, MARGIN + MOST_POINTS]``, evenly distributed over 0..255."""
    side = MARGIN + MOST_POINTS
    generator = np.random.Generator(np.random.PCG64(1))
    return _frozen(generator.integers(0, 256, (side, side), dtype=np.uint8))


def _frozen(bank: UInt8Image) -> UInt8Image:
    bank.setflags(write=False)
    return bank
