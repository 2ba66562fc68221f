"""Samples that show the same: to the bit, or nearly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

# What JPEG at a quality of 50 or more and a resize by a third leave the same, in grey levels of 255: on average over
# the 32x32 reductions, and in any one place, where another emblem or label shows.
MEAN, PLACE = 3.0, 24.0
_ASPECT = 1.03
_BLOCKS = 4


def same_digests(digests: npt.NDArray[np.uint64]) -> list[npt.NDArray[np.intp]]:
    """Return the groups, of two or more, of places where ``digests [N]`` are equal."""
    order = np.argsort(digests, kind="stable")
    ends = np.flatnonzero(np.diff(digests[order])) + 1
    return [group for group in np.split(order, ends) if len(group) > 1]


def near_pairs(thumbs: npt.NDArray[np.uint8], aspects: npt.NDArray[np.float64]) -> Iterable[tuple[int, int]]:
    """Find all pairs that look the same: ``thumbs [N, 32, 32, 3]`` and ``aspects [N]`` (width / height).

    Means of large blocks differ by no more than the whole, so that sorting by them leaves few pairs to compare.
    """
    count, side = thumbs.shape[:2]
    size = side // _BLOCKS
    shape = (count, _BLOCKS, size, _BLOCKS, size, 3)
    blocks = thumbs.reshape(shape).mean((2, 4), dtype=np.float32).reshape(count, -1)
    means = blocks.mean(1)
    order = np.argsort(means, kind="stable")
    ends = np.searchsorted(means[order], means[order] + MEAN, side="right")
    for position, (one, end) in enumerate(zip(order, ends, strict=True)):
        others = order[position + 1 : end]
        others = others[np.abs(np.log(aspects[others] / aspects[one])) < np.log(_ASPECT)]
        others = others[np.abs(blocks[others] - blocks[one]).mean(1) < MEAN]
        difference = np.abs(thumbs[others].astype(np.float32) - thumbs[one]).mean(3)
        same = (difference.mean((1, 2)) < MEAN) & (difference.max((1, 2), initial=0) < PLACE)
        for other in others[same].tolist():
            yield int(one), other
