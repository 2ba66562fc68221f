"""Pack the parameters of a photo into a vector of fixed size, so that a batch of them is one tensor."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from zoo_images.capture.parameters import CaptureParameters

_LENGTHS = {
    "matrix": 9,  # from pixels of the frame to pixels of the source
    "source": 2,  # height and width of the source
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
# Where each field is in the vector; the field of an effect that is not applied is all zeros.
FIELDS = {name: slice(end - length, end) for (name, length), end in zip(_LENGTHS.items(), _ENDS, strict=True)}
PACKED_LENGTH = _ENDS[-1]


def pack(
    parameters: CaptureParameters, matrix: npt.NDArray[np.float64], source_size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Return the bytes of ``float32 [PACKED_LENGTH]``; floats would be rounded in true half precision."""
    packed = np.zeros(PACKED_LENGTH, np.float32)
    packed[FIELDS["matrix"]] = matrix.ravel()
    packed[FIELDS["source"]] = source_size
    if parameters.surface is not None:
        (low, high, *crop) = parameters.surface
        packed[FIELDS["surface"]] = (*low, *high, *crop)
    if parameters.neighbour is not None:
        packed[FIELDS["neighbour"]] = (*parameters.neighbour[:-1], *parameters.neighbour.colour)
    if parameters.finger is not None:
        packed[FIELDS["finger"]] = (*parameters.finger[:-1], *parameters.finger.colour)
    if parameters.light is not None:
        packed[FIELDS["light"]] = (parameters.light.x, parameters.light.y, *parameters.light.tint)
    if parameters.colour is not None:
        packed[FIELDS["colour"]] = parameters.colour.ravel()
    for name in ("shadow", "glare", "blur", "noise", "reduction", "quality"):
        values = getattr(parameters, name)
        if values is not None:
            packed[FIELDS[name]] = values
    return packed.view(np.uint8)
