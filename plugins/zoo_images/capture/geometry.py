"""All geometry of an augmented view as one matrix from pixels of the frame to pixels of the decoded image."""

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
    Row = tuple[float, float, float]

# At strength 1 hardly a view shows its document larger than this: of 8,000 drawn none where its sides are alike. Those
# that do are a little softer where the pixels stay on the device.
_NEAREST = 1.25
_MAX_STEP = 2.0  # image pixels per frame pixel; beyond, bilinear sampling aliases visibly


def canvas_side(frame: tuple[int, int]) -> int:
    """Return the longest side of the sources that the device gets, for a frame of this height and width."""
    return 2 * max(frame)


def frame_to_image(
    image: UInt8Image,
    view: AffineMap,
    corners: Sequence[float],
    frame: tuple[int, int],
    max_side: int | None = None,
) -> tuple[UInt8Image, Floats]:
    """Return the image, reduced if it is much finer than the frame, and the map from pixels of the frame to its pixels.

    Args:
        image: ``uint8 [H, W, 3]``.
        view: see ``Sample.view``.
        corners: x, y of each corner of the view in the frame, as fractions of its width and height.
        frame: height and width of the frame in pixels.
        max_side: longest side of the returned image.

    The map is ``float64 [3, 3]`` of homogeneous points; the centres of pixels are at whole numbers.
    """
    height, width = image.shape[:2]
    size, matrix = frame_to_size((height, width), view, corners, frame, max_side)
    return reduced(image, size), matrix


def frame_to_size(
    decoded: tuple[int, int],
    view: AffineMap,
    corners: Sequence[float],
    frame: tuple[int, int],
    max_side: int | None = None,
) -> tuple[tuple[int, int], Floats]:
    """Return what ``frame_to_image`` does to an image of the size ``decoded``: its new size, and the map."""
    height, width = new_height, new_width = decoded
    across, down, depth = _homography(view, corners, frame)
    columns, rows = width * _span(across, depth, frame), height * _span(down, depth, frame)
    while columns > _MAX_STEP and new_width > 1:
        new_width, columns = math.ceil(new_width / 2), columns / 2
    while rows > _MAX_STEP and new_height > 1:
        new_height, rows = math.ceil(new_height / 2), rows / 2
    if max_side is not None:
        new_height, new_width = min(new_height, max_side), min(new_width, max_side)
    (a, b, c), (d, e, f), (g, h, i) = across, down, depth
    matrix = (
        (a * new_width - 0.5 * g, b * new_width - 0.5 * h, c * new_width - 0.5 * i),
        (d * new_height - 0.5 * g, e * new_height - 0.5 * h, f * new_height - 0.5 * i),
        depth,
    )
    return (new_height, new_width), np.array(matrix)


def resident_size(
    decoded: tuple[int, int], view: AffineMap, frame: tuple[int, int], canvas: int, strength: float
) -> tuple[int, int]:
    """Return the size to which every view reduces an image, in halves alone, so that no pixel is resized twice.

    ``canvas`` is the longest side of a source that ``frame_to_image`` returns, ``strength`` that of the augmentation.
    """
    near = 0.5 * _NEAREST**strength
    low, high = 0.5 - near, 0.5 + near
    (height, width), _ = frame_to_size(decoded, view, (low, low, high, low, high, high, low, high), frame)
    return _halved_towards(height, canvas), _halved_towards(width, canvas)


def _halved_towards(side: int, least: int) -> int:
    """Halve a side as often as it stays at least ``least``, by the steps of ``reduced``."""
    while (half := math.ceil(side / 2)) >= least:
        side = half
    return side


def _homography(view: AffineMap, corners: Sequence[float], frame: tuple[int, int]) -> tuple[Row, Row, Row]:
    """Return the map from pixels of the frame to fractions of the image's sides, with depth 1 at the frame's centre.

    In plain floats, because OpenCV takes three times as long to solve for eight unknowns.
    """
    height, width = frame
    x0, x1, x2, x3 = [width * x - 0.5 for x in corners[::2]]
    y0, y1, y2, y3 = [height * y - 0.5 for y in corners[1::2]]
    # From the view's unit square to the frame (Heckbert, 1989), multiplied by the usual denominator.
    side_x, side_y, foot_x, foot_y = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    skew_x, skew_y = x0 - x1 - foot_x, y0 - y1 - foot_y
    g, h, i = skew_x * foot_y - foot_x * skew_y, side_x * skew_y - skew_x * side_y, side_x * foot_y - foot_x * side_y
    a, b, c = (x1 - x0) * i + g * x1, (x3 - x0) * i + h * x3, x0 * i
    d, e, f = (y1 - y0) * i + g * y1, (y3 - y0) * i + h * y3, y0 * i
    # The adjugate inverts it, because homogeneous points have no scale.
    right = (e * i - f * h, c * h - b * i, b * f - c * e)
    below = (f * g - d * i, a * i - c * g, c * d - a * f)
    depth = (d * h - e * g, b * g - a * h, a * e - b * d)
    # If the horizon of a folded document crosses the centre, nothing is visible at any scale.
    scale = (0.5 * (width - 1) * depth[0] + 0.5 * (height - 1) * depth[1] + depth[2]) or 1.0
    (p, q, r), (s, t, u) = view[:2].tolist()
    (k0, k1, k2), (l0, l1, l2), (m0, m1, m2) = right, below, depth
    return (
        ((p * k0 + q * l0 + r * m0) / scale, (p * k1 + q * l1 + r * m1) / scale, (p * k2 + q * l2 + r * m2) / scale),
        ((s * k0 + t * l0 + u * m0) / scale, (s * k1 + t * l1 + u * m1) / scale, (s * k2 + t * l2 + u * m2) / scale),
        (m0 / scale, m1 / scale, m2 / scale),
    )


def _span(row: Row, depth: Row, frame: tuple[int, int]) -> float:
    """Return the fraction of the image's side that one pixel spans at the centre of the frame, where the depth is 1."""
    centre = 0.5 * (frame[1] - 1) * row[0] + 0.5 * (frame[0] - 1) * row[1] + row[2]
    return math.hypot(row[0] - centre * depth[0], row[1] - centre * depth[1])


def reduced(image: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    """Reduce an image in steps of a half, at which bilinear resizing is the mean of two pixels, and fast."""
    height, width = size
    while image.shape[:2] != (height, width):
        step = (max(width, math.ceil(image.shape[1] / 2)), max(height, math.ceil(image.shape[0] / 2)))
        image = np.asarray(cv2.resize(image, step, interpolation=cv2.INTER_LINEAR), np.uint8)
    return image
