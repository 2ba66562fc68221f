"""The 24 views that make one image 24 classes: 4 rotations, flipped or not, whole or half."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from zoo_core.api import AffineMap, UInt8Image

# Each matrix maps points of the view to points of the image it is made from; both are unit squares with y down.
_QUARTER_TURN = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # counter-clockwise, as np.rot90
_FLIP = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 1.0], [0.0, 0.0, 1.0]])  # vertical, as np.flipud
_CROPS = {
    "whole": np.eye(3),
    "upper": np.diag([1.0, 0.5, 1.0]),
    "lower": np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]),
}


def views() -> tuple[tuple[str, AffineMap], ...]:
    """Return the name and matrix of each view, the unchanged image first; see ``Sample.view`` for the matrices.

    The image is rotated, then flipped, then cropped: ``r90-flip-upper`` is the upper half of the vertically flipped
    quarter turn.
    """
    return tuple(
        (
            f"r{90 * turns}" + ("-flip" if flipped else "") + ("" if crop == "whole" else f"-{crop}"),
            np.linalg.matrix_power(_QUARTER_TURN, turns) @ (_FLIP if flipped else np.eye(3)) @ _CROPS[crop],
        )
        for turns, flipped, crop in product(range(4), (False, True), _CROPS)
    )


def whole_size(view: AffineMap, size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of an image of which one of the ``views`` shows ``size`` (height, width) pixels."""
    width, height = np.linalg.solve(np.abs(view[:2, :2]).T, size[::-1])
    return round(height), round(width)


def shown(image: UInt8Image, view: AffineMap) -> UInt8Image:
    """Return what one of the ``views`` shows of an image ``uint8 [H, W, 3]``: pixels are moved, never mixed."""
    height, width = image.shape[:2]
    corners = np.rint(np.diag([width, height]) @ (view @ [[0, 1], [0, 1], [1, 1]])[:2]).astype(int)
    (left, right), (top, bottom) = np.sort(corners)
    mirrored, upside_down = corners[:, 0] > corners[:, 1]
    part = image[top:bottom, left:right][:: -1 if upside_down else 1, :: -1 if mirrored else 1]
    turned = bool(view[0, 0] == 0)
    return np.ascontiguousarray(part.transpose(1, 0, 2) if turned else part)
