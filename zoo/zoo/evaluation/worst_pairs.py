"""The pairs of images that a model gets most wrong, as a sheet to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from zoo.atomic import replacing
from zoo.captions import Lettering

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zoo.metrics.worst_pairs import WorstPairs
    from zoo_core.contracts import UInt8Image

_SIDE = 144
_GAP = 8
_LINE = 18


def draw_worst(
    worst: WorstPairs, image_of: Callable[[int], UInt8Image], name_of: Callable[[int], str], path: Path
) -> None:
    """Draw the worst pairs side by side: strangers on the left, look-alikes if there are any, one class on the right.

    ``image_of`` gives the image ``uint8 [H, W, 3]`` at an index, ``name_of`` the name of its class. Written as JPEG:
    it shows the data itself, so it stays in the run folder and is never published, unlike the figures that are PNG.
    """
    columns = [("different classes, yet alike", worst.impostor)]
    columns += [("look-alikes", worst.look_alike)] if worst.look_alike else []
    columns += [("one class, yet unlike", worst.genuine)]
    rows = max(len(pairs) for _, pairs in columns)
    width, height = 2 * _SIDE + 3 * _GAP, _SIDE + 2 * _LINE
    sheet = Image.new("RGB", (len(columns) * width, rows * height + 2 * _LINE), "white")
    draw, lettering = ImageDraw.Draw(sheet), Lettering(11)
    for column, (title, pairs) in enumerate(columns):
        left = column * width + _GAP
        lettering.draw(draw, (left, _LINE // 2), title, "black", width - _GAP)
        for row, pair in enumerate(pairs):
            top = 2 * _LINE + row * height
            for index, image in enumerate((pair.first, pair.second)):
                x = left + index * (_SIDE + _GAP)
                sheet.paste(Image.fromarray(image_of(image)).resize((_SIDE, _SIDE)), (x, top))
                lettering.draw(draw, (x, top + _SIDE), name_of(image), "black", _SIDE)
            lettering.draw(draw, (left, top + _SIDE + _LINE - 4), f"cosine {pair.cosine:.3f}", "dimgray", width)
    with replacing(path) as beside:
        sheet.save(beside, "JPEG", quality=90)
    lettering.warn_of_escapes(path)
