"""All geometry of a capture as one matrix from the frame's pixels to those of the decoded image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from zoo_core.api import AffineMap, UInt8Image

    Floats = npt.NDArray[np.float64]

_COARSEST = 2.0  # pixels of the image to one of the frame; bilinear sampling aliases visibly beyond


def frame_to_image(
    image: UInt8Image,
    view: AffineMap,
    corners: Sequence[float],
    frame: tuple[int, int],
    largest: int | None = None,
) -> tuple[UInt8Image, Floats]:
    """Return the image, reduced where it is much finer than the frame, and the map from the frame's pixels to its own.

    Args:
        image: ``uint8 [H, W, 3]``.
        view: see ``Sample.view``.
        corners: x, y of where the view's corners land in the frame (``height, width``), in parts of its sides.
        frame: height and width in pixels.
        largest: no side of the returned image is longer.

    The map is ``float64 [3, 3]`` of homogeneous points; pixels' centres are at whole numbers.
    """
    height, width = image.shape[:2]
    matrix = _homography(view, corners, frame, (height, width))
    across, down = _spans(matrix.tolist(), frame)
    new_height, new_width = height, width
    while across > _COARSEST and new_width > 1:
        new_width, across = math.ceil(new_width / 2), across / 2
    while down > _COARSEST and new_height > 1:
        new_height, down = math.ceil(new_height / 2), down / 2
    if largest is not None:
        new_height, new_width = min(new_height, largest), min(new_width, largest)
    if (new_height, new_width) != (height, width):
        image = _reduced(image, new_height, new_width)
        matrix = _homography(view, corners, frame, (new_height, new_width))
    return image, matrix


def _homography(
    view: AffineMap, corners: Sequence[float], frame: tuple[int, int], size: tuple[int, int]
) -> npt.NDArray[np.float64]:
    height, width = size
    (a, b, c), (d, e, f) = view[:2].tolist()
    # The view is affine: where its four corners are in the image says all about it.
    source = [c, f, a + c, d + f, a + b + c, d + e + f, b + c, e + f]
    return np.asarray(cv2.getPerspectiveTransform(_pixels(corners, *frame), _pixels(source, height, width)))


def _pixels(points: Sequence[float], height: int, width: int) -> npt.NDArray[np.float32]:
    """Points in parts of the sides to pixels, whose centres are at whole numbers: ``float32 [4, 2]``."""
    x, y = points[::2], points[1::2]
    return np.array([(u * width - 0.5, v * height - 0.5) for u, v in zip(x, y, strict=True)], np.float32)


def _spans(matrix: list[list[float]], frame: tuple[int, int]) -> tuple[float, float]:
    """How many pixels of the image one of the frame spans at its centre, across and down."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    x, y = (frame[1] - 1) / 2, (frame[0] - 1) / 2
    depth = g * x + h * y + i
    if abs(depth) < 1e-9:  # noqa: PLR2004 - a horizon in the middle of the frame: a fold, of which nothing is seen
        return 1.0, 1.0
    u, v = (a * x + b * y + c) / depth, (d * x + e * y + f) / depth
    across = math.hypot(a - u * g, b - u * h) / abs(depth)
    down = math.hypot(d - v * g, e - v * h) / abs(depth)
    return across, down


def _reduced(image: UInt8Image, height: int, width: int) -> UInt8Image:
    """Reduce by halving while that is possible: then bilinear resizing is the mean of two pixels, and fast."""
    while image.shape[:2] != (height, width):
        size = (max(width, math.ceil(image.shape[1] / 2)), max(height, math.ceil(image.shape[0] / 2)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return image
