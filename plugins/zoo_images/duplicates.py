"""Find images that show the same, but for their encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_core.api import UnreadableSample

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo_images.cache import DecodedImages

    Floats = npt.NDArray[np.float32]

# Side of the reductions that are compared.
SIDE = 32
# What JPEG at a quality of 50 or more and a resize by a third leave the same, in grey levels of 255: on average, and in
# any one place, where another emblem or label shows. Of 450 cards, the likest that are not the same differ by
# 9.2 and 128.
MEAN, PLACE = 3.0, 24.0
# How much the ratio of the sides may differ.
_ASPECT = 1.03


def groups(images: DecodedImages) -> list[int]:
    """Return for each image the number of the first image that shows the same: its own, where it is alone.

    Two images are the same if their sides' ratio is, and their 32x32 reductions nearly are. Groups grow by such pairs.
    What cannot be read is alone.
    """
    first = list(range(len(images)))
    for one, other in same_pairs(*_reductions(images)):
        low, high = sorted((_first(first, one), _first(first, other)))
        first[high] = low
    return [_first(first, number) for number in range(len(images))]


def same_pairs(reductions: Floats, aspects: Floats) -> list[tuple[int, int]]:
    """Return all pairs of ``reductions`` (``float32 [N, 32, 32, 3]``) that are the same, ``aspects`` (``[N]``) too.

    Means over large blocks differ by no more than the whole, so that sorting by them leaves few pairs to compare.
    """
    blocks = reductions.reshape(len(reductions), 4, SIDE // 4, 4, SIDE // 4, 3).mean((2, 4)).reshape(-1, 48)
    means = blocks.mean(1)
    order = np.argsort(means, kind="stable")
    ends = np.searchsorted(means[order], means[order] + MEAN, side="right")
    pairs = []
    for position, (one, end) in enumerate(zip(order, ends, strict=True)):
        others = order[position + 1 : end]
        others = others[np.abs(np.log(aspects[others] / aspects[one])) < np.log(_ASPECT)]
        others = others[np.abs(blocks[others] - blocks[one]).mean(1) < MEAN]
        differences = np.abs(reductions[others] - reductions[one]).mean(3)
        same = (differences.mean((1, 2)) < MEAN) & (differences.max((1, 2), initial=0) < PLACE)
        pairs += [(int(one), int(other)) for other in others[same]]
    return pairs


def _reductions(images: DecodedImages) -> tuple[Floats, Floats]:
    # Of what cannot be read NaN remains, which is near nothing.
    reductions = np.full((len(images), SIDE, SIDE, 3), np.nan, np.float32)
    aspects = np.ones(len(images), np.float32)
    for number in range(len(images)):
        try:
            image = images.read(number)
        except UnreadableSample:
            continue
        aspects[number] = image.shape[1] / image.shape[0]
        reductions[number] = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return reductions, aspects


def _first(first: list[int], number: int) -> int:
    while first[number] != number:
        number = first[number]
    return number
