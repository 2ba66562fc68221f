"""A shot as one row of numbers, so that a batch of them is a tensor."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from zoo_images.capture.parameters import Shot

_LENGTHS = {
    "matrix": 9,  # from the frame's pixels to the source's
    "source": 2,  # its height and width
    "surface": 9,
    "neighbour": 8,
    "finger": 8,
    "light": 5,
    "shadow": 5,
    "glare": 5,
    "colour": 12,
    "blur": 3,
    "noise": 3,
    "reduction": 1,
    "quality": 1,
}
_ENDS = list(accumulate(_LENGTHS.values()))
# Where each part stands; a part that is left out is all zeros.
PARTS = {name: slice(end - length, end) for (name, length), end in zip(_LENGTHS.items(), _ENDS, strict=True)}
LENGTH = _ENDS[-1]


def pack(shot: Shot, matrix: npt.NDArray[np.float64], source: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the shot as ``float32 [LENGTH]``, seen as bytes: floats would be rounded in true half precision."""
    row = np.zeros(LENGTH, np.float32)
    row[PARTS["matrix"]] = matrix.ravel()
    row[PARTS["source"]] = source
    if shot.surface is not None:
        (low, high, *place) = shot.surface
        row[PARTS["surface"]] = (*low, *high, *place)
    if shot.neighbour is not None:
        row[PARTS["neighbour"]] = (*shot.neighbour[:-1], *shot.neighbour.colour)
    if shot.finger is not None:
        row[PARTS["finger"]] = (*shot.finger[:-1], *shot.finger.colour)
    if shot.light is not None:
        row[PARTS["light"]] = (shot.light.x, shot.light.y, *shot.light.tint)
    if shot.colour is not None:
        row[PARTS["colour"]] = shot.colour.ravel()
    for name in ("shadow", "glare", "blur", "noise", "reduction", "quality"):
        part = getattr(shot, name)
        if part is not None:
            row[PARTS[name]] = part
    return row.view(np.uint8)
