"""Group images that look the same except for their encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_core.api import REDUCED_SIDE, UnreadableSample, near_duplicates

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo_images.datasets.decoded_images import DecodedImages

    Floats = npt.NDArray[np.float32]

# What `near_duplicates` compares.


def duplicate_groups(images: DecodedImages) -> list[int]:
    """Return for each image the index of the first image that looks the same, its own index if none does.

    Two images look the same if their aspect ratios and their 32 x 32 reductions nearly agree. Groups are the connected
    components of such pairs. An unreadable image has no duplicates.
    """
    parents = list(range(len(images)))
    for one, other in near_duplicates(*_reductions(images)):
        low, high = sorted((_root(parents, one), _root(parents, other)))
        parents[high] = low
    return [_root(parents, index) for index in range(len(images))]


def _reductions(images: DecodedImages) -> tuple[Floats, Floats]:
    # Unreadable images stay NaN, which is near nothing.
    reductions = np.full((len(images), REDUCED_SIDE, REDUCED_SIDE, 3), np.nan, np.float32)
    aspects = np.ones(len(images), np.float32)
    for index in range(len(images)):
        try:
            image = images.read(index)
        except UnreadableSample:
            continue
        aspects[index] = image.shape[1] / image.shape[0]
        reductions[index] = cv2.resize(image, (REDUCED_SIDE, REDUCED_SIDE), interpolation=cv2.INTER_AREA)
    return reductions, aspects


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        index = parents[index]
    return index
