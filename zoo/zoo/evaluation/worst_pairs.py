"""The pairs of images that a model gets most wrong, as a sheet to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from zoo.atomic import replacing
from zoo.captions import Lettering

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zoo.validation.embedded_images import EmbeddedImages
    from zoo_core.contracts import UInt8Image

_ROWS = 12
_SIDE = 144
_GAP = 8
_LINE = 18
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Pair:
    """The indices of two embedded images, and their cosine."""

    first: int
    second: int
    cosine: float


def worst_pairs(embedded: EmbeddedImages, count: int = _ROWS) -> tuple[list[Pair], list[Pair]]:
    """Find the most similar pairs of different classes and the least similar of the same class, worst first.

    Of two classes only their most similar pair is given, and of one class only its least similar pair: else one
    hard document would fill the list.
    """
    mixed: dict[tuple[int, int], Pair] = {}
    torn: dict[int, Pair] = {}
    labels, unit = embedded.labels, embedded.embeddings
    for start in range(0, len(unit), _BLOCK):
        cosines = unit[start : start + _BLOCK] @ unit[start:].T
        later = np.arange(len(unit) - start) > np.arange(len(cosines))[:, None]
        same = labels[start : start + _BLOCK, None] == labels[None, start:]
        for row, column in _highest(np.where(later & ~same, cosines, -np.inf)):
            pair = Pair(start + row, start + column, float(cosines[row, column]))
            first, second = sorted((int(labels[pair.first]), int(labels[pair.second])))
            if (first, second) not in mixed or mixed[first, second].cosine < pair.cosine:
                mixed[first, second] = pair
        for row, column in _highest(np.where(later & same, -cosines, -np.inf)):
            pair = Pair(start + row, start + column, float(cosines[row, column]))
            label = int(labels[pair.first])
            if label not in torn or torn[label].cosine > pair.cosine:
                torn[label] = pair
    return (
        sorted(mixed.values(), key=lambda pair: -pair.cosine)[:count],
        sorted(torn.values(), key=lambda pair: pair.cosine)[:count],
    )


def _highest(values: np.ndarray) -> list[tuple[int, int]]:
    """Return where the highest finite values are: enough to name several classes after doubles are dropped."""
    enough = min(values.size, 64 * _ROWS * _ROWS)
    positions = np.argpartition(values, -enough, axis=None)[-enough:]
    rows, columns = np.unravel_index(positions[np.isfinite(values.flat[positions])], values.shape)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def draw_worst(
    embedded: EmbeddedImages, image_of: Callable[[int], UInt8Image], name_of: Callable[[int], str], path: Path
) -> None:
    """Draw the worst pairs side by side: different classes on the left, the same class on the right.

    ``image_of`` gives the image ``uint8 [H, W, 3]`` at an index, ``name_of`` a label's class name. Written as JPEG:
    it shows the data itself, so it stays in the run folder and is never published, unlike the figures that are PNG.
    """
    columns = worst_pairs(embedded)
    titles = ("different classes, yet alike", "one class, yet unlike")
    rows = max(map(len, columns))
    width, height = 2 * _SIDE + 3 * _GAP, _SIDE + 2 * _LINE
    sheet = Image.new("RGB", (2 * width, rows * height + 2 * _LINE), "white")
    draw, lettering = ImageDraw.Draw(sheet), Lettering(11)
    for column, (title, pairs) in enumerate(zip(titles, columns, strict=True)):
        left = column * width + _GAP
        lettering.draw(draw, (left, _LINE // 2), title, "black", width - _GAP)
        for row, pair in enumerate(pairs):
            top = 2 * _LINE + row * height
            for index, image in enumerate((pair.first, pair.second)):
                x = left + index * (_SIDE + _GAP)
                sheet.paste(Image.fromarray(image_of(image)).resize((_SIDE, _SIDE)), (x, top))
                lettering.draw(draw, (x, top + _SIDE), name_of(int(embedded.labels[image])), "black", _SIDE)
            lettering.draw(draw, (left, top + _SIDE + _LINE - 4), f"cosine {pair.cosine:.3f}", "dimgray", width)
    with replacing(path) as beside:
        sheet.save(beside, "JPEG", quality=90)
    lettering.warn_of_escapes(path)
