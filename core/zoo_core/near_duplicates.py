"""Find images that show the same but for their encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

# Side of the reductions that are compared.
REDUCED_SIDE = 32
# What JPEG at a quality of 50 or more and a resize by a third leave the same, in grey levels of 255: on average, and in
# any one pixel, where another emblem or label shows. Of 450 cards, the most similar ones that are not the
# same differ by 9.2 and 128.
_MEAN, _PIXEL = 3.0, 24.0
# How much the ratio of the sides may differ.
_ASPECT = 1.03
_BLOCKS = 4


def near_duplicates(
    reductions: npt.NDArray[np.uint8 | np.float32], aspects: npt.NDArray[np.floating]
) -> Iterator[tuple[int, int]]:
    """Find all pairs of images that look the same, as pairs of indices.

    Two images look the same if the ratios of their sides do and their reductions nearly agree. Means over large blocks
    differ by no more than the whole, so that sorting by them leaves few pairs to compare.

    Args:
        reductions: ``uint8`` or ``float32 [N, 32, 32, 3]`` in 0..255, each image reduced by area; NaN is near nothing.
        aspects: ``float [N]``, width / height of each image.
    """
    count, side = reductions.shape[:2]
    shape = (count, _BLOCKS, side // _BLOCKS, _BLOCKS, side // _BLOCKS, 3)
    blocks = reductions.reshape(shape).mean((2, 4), dtype=np.float32).reshape(count, 3 * _BLOCKS**2)
    means = blocks.mean(1)
    order = np.argsort(means, kind="stable")
    ends = np.searchsorted(means[order], means[order] + _MEAN, side="right")
    for position, (one, end) in enumerate(zip(order, ends, strict=True)):
        others = order[position + 1 : end]
        others = others[np.abs(np.log(aspects[others] / aspects[one])) < np.log(_ASPECT)]
        others = others[np.abs(blocks[others] - blocks[one]).mean(1) < _MEAN]
        difference = np.abs(reductions[others].astype(np.float32, copy=False) - reductions[one]).mean(3)
        same = (difference.mean((1, 2)) < _MEAN) & (difference.max((1, 2), initial=0) < _PIXEL)
        for other in others[same].tolist():
            yield int(one), other
