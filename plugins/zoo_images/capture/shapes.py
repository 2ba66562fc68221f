"""Draw the shapes of a simulated photo, a neighbouring sheet and a finger, by OpenCV."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from zoo_images.capture.parameters import Finger, Neighbour

# OpenCV draws at fixed-point positions with this many fractional bits.
_FRACTION_BITS = 4
_FRACTIONS = 1 << _FRACTION_BITS


def draw_neighbour(image: MatLike, neighbour: Neighbour, side: float) -> None:
    """Draw a sheet as a rectangle on ``image [H, W, 4]``; ``side`` is the frame's side in pixels."""
    height, width = image.shape[:2]
    cos, sin = math.cos(neighbour.angle), math.sin(neighbour.angle)
    x, y = neighbour.x * width - 0.5, neighbour.y * height - 0.5
    half_width, half_height = neighbour.half_width * side, neighbour.half_height * side
    right_x, right_y, down_x, down_y = half_width * cos, half_width * sin, -half_height * sin, half_height * cos
    corners = [
        (x - right_x - down_x, y - right_y - down_y),
        (x + right_x - down_x, y + right_y - down_y),
        (x + right_x + down_x, y + right_y + down_y),
        (x - right_x + down_x, y - right_y + down_y),
    ]
    points = [(round(_FRACTIONS * x), round(_FRACTIONS * y)) for x, y in corners]
    cv2.fillConvexPoly(image, np.array(points, np.int32), (*neighbour.colour, 0), cv2.LINE_AA, _FRACTION_BITS)


def draw_finger(image: MatLike, finger: Finger, side: float) -> None:
    """Draw a finger as a thick line on ``image [H, W, 3]``; ``side`` is the frame's side in pixels."""
    height, width = image.shape[:2]
    start = (_fixed_point(finger.x * width), _fixed_point(finger.y * height))
    tip = (_fixed_point(finger.tip_x * width), _fixed_point(finger.tip_y * height))
    for share, shade in ((1.0, 0.7), (0.6, 1.0)):  # darker along the sides, which face away
        # OpenCV rounds odd thicknesses to even ones.
        thickness = 2 * max(1, round(share * finger.radius * side))
        colour = [shade * channel for channel in finger.colour]
        cv2.line(image, start, tip, colour, thickness, cv2.LINE_AA, _FRACTION_BITS)


def _fixed_point(position: float) -> int:
    """Convert a position in pixels to OpenCV's fixed point, where the centres of pixels are whole numbers."""
    return round((position - 0.5) * _FRACTIONS)
