"""Provide what procedural pictures are made of: pixel coordinates, noise, light from one side, soft masks."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cv2.typing import MatLike

Floats = npt.NDArray[np.floating[Any]]


class PixelGrid:
    """The coordinates of a picture's pixels: ``y [height, 1]`` in 0..1 and ``x [1, width]`` in 0..aspect."""

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self.aspect = width / height
        self.y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        self.x = np.linspace(0, self.aspect, width, dtype=np.float32)[None]

    def distance(self, x: float, y: float) -> Floats:
        """Return the distance of every pixel from a point, in heights of the picture."""
        return np.sqrt((self.x - x) ** 2 + (self.y - y) ** 2)

    def angle(self, x: float, y: float) -> Floats:
        """Return the direction of every pixel from a point, in degrees."""
        across, down = np.broadcast_arrays(self.x - x, self.y - y)
        return np.asarray(cv2.phase(np.ascontiguousarray(across), np.ascontiguousarray(down), angleInDegrees=True))

    def along(self, turn: float) -> Floats:
        """Return the coordinate of every pixel along a direction given in turns."""
        return math.cos(2 * math.pi * turn) * self.x + math.sin(2 * math.pi * turn) * self.y

    def blank(self) -> npt.NDArray[np.uint8]:
        """Return a black image."""
        return np.zeros((self.height, self.width), np.uint8)


def normalise(values: Floats) -> Floats:
    """Scale values to 0..1."""
    low, high, _, _ = cv2.minMaxLoc(values)
    return (values - low) * np.float32(1 / max(high - low, 1e-6))


def noise(generator: np.random.Generator, grid: PixelGrid, cells: int, octaves: int = 4, fade: float = 0.55) -> Floats:
    """Draw clouds in 0..1; the largest have about a ``cells``-th of the height."""
    total = np.zeros((grid.height, grid.width), np.float32)
    for octave in range(octaves):
        rows = cells << octave
        points = generator.random((rows + 1, round(rows * grid.aspect) + 1), dtype=np.float32) * fade**octave
        interpolation = cv2.INTER_CUBIC if octave < 2 else cv2.INTER_LINEAR
        total += np.asarray(cv2.resize(points, (grid.width, grid.height), interpolation=interpolation))
    return normalise(total)


def crest(generator: np.random.Generator, grid: PixelGrid, roughness: float) -> Floats:
    """Draw the crest of a range of hills: ``[1, width]`` in 0..1."""
    x = np.linspace(0, 1, grid.width)
    total = np.zeros(grid.width)
    for octave in range(5):
        points = generator.random((3 << octave) + 1)
        total += np.interp(x, np.linspace(0, 1, len(points)), points) * roughness**octave
    return normalise(total.astype(np.float32)[None])


def illuminate(height: MatLike, turn: float, strength: float) -> Floats:
    """Return the brightness of a surface in light from one side, 0..1."""
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1)
    slope = across * math.cos(2 * math.pi * turn) + down * math.sin(2 * math.pi * turn)
    return np.asarray(0.5 + strength * slope / (1 + np.abs(strength * slope)) * 0.5, np.float32)


def soften(mask: MatLike, size: float) -> Floats:
    """Blur a mask ``uint8``; the result is in 0..1."""
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(size, 0.4)), np.float32) / 255
