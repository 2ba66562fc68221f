"""The 24 views that make one image 24 classes: 4 rotations, flipped or not, whole or half."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from zoo_core.api import AffineMap

# Each maps points of what is seen to points of what it was made from, both as unit squares with y down.
_QUARTER_TURN = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # counter-clockwise, as np.rot90
_FLIP = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 1.0], [0.0, 0.0, 1.0]])  # upside down, as np.flipud
_PARTS = {
    "whole": np.eye(3),
    "upper": np.diag([1.0, 0.5, 1.0]),
    "lower": np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]),
}


def views() -> tuple[tuple[str, AffineMap], ...]:
    """Return name and map of each view, the plain one first; see ``Sample.view`` for the maps.

    The image is first turned, then flipped, then cut in half: ``r90-flip-upper`` is the upper half of the
    upside-down image of a quarter turn.
    """
    return tuple(
        (
            f"r{90 * turns}" + ("-flip" if flipped else "") + ("" if part == "whole" else f"-{part}"),
            np.linalg.matrix_power(_QUARTER_TURN, turns) @ (_FLIP if flipped else np.eye(3)) @ _PARTS[part],
        )
        for turns, flipped, part in product(range(4), (False, True), _PARTS)
    )
