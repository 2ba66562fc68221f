"""Find images that show the same, but for their encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_core.api import UnreadableSample, near_duplicates

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo_images.datasets.decoded_images import DecodedImages

    Floats = npt.NDArray[np.float32]

_SIDE = 32


def groups(images: DecodedImages) -> list[int]:
    """Return for each image the number of the first image that shows the same: its own, where it is alone.

    Two images are the same if their sides' ratio is, and their 32x32 reductions nearly are. Groups grow by such pairs.
    What cannot be read is alone.
    """
    first = list(range(len(images)))
    for one, other in near_duplicates(*_reductions(images)):
        low, high = sorted((_first(first, one), _first(first, other)))
        first[high] = low
    return [_first(first, number) for number in range(len(images))]


def _reductions(images: DecodedImages) -> tuple[Floats, Floats]:
    # Of what cannot be read NaN remains, which is near nothing.
    reductions = np.full((len(images), _SIDE, _SIDE, 3), np.nan, np.float32)
    aspects = np.ones(len(images), np.float32)
    for number in range(len(images)):
        try:
            image = images.read(number)
        except UnreadableSample:
            continue
        aspects[number] = image.shape[1] / image.shape[0]
        reductions[number] = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return reductions, aspects


def _first(first: list[int], number: int) -> int:
    while first[number] != number:
        number = first[number]
    return number
