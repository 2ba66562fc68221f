"""Payment schemes' marks: made-up ones, few, and on most cards in the same colours."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing import artwork
from zoo_documents.drawing.palettes import Colour, any_colour

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_documents.drawing.pages import Page

_WHITE: Colour = (255, 255, 255)
_FONT = "DejaVuSans-BoldOblique"
_NAMES = ("SOLVA", "SOLVA", "norda", "ORBIS")


@dataclass(frozen=True, slots=True)
class _Mark:
    """Its name and colours, how large its letters are, whether it has a second part, and the ink around it."""

    name: str
    colours: tuple[Colour, Colour, Colour]
    letters: float
    second: bool
    ink: Colour


Box = tuple[float, float, float, float]


def scheme(page: Page, ink: Callable[[float, float], Colour]) -> None:
    """Print a mark in the lower right corner; ``ink`` says what can be read at a place.

    Most cards carry the mark of one of few schemes, so that a mark says little about which card it is.
    """
    generator = page.part("mark")
    kind, size, own, word = generator.random(4).tolist()
    height = 0.15 + 0.07 * size
    right, bottom = 0.96, 0.95
    left = right - 1.55 * height * min(page.width, page.height) / page.width
    top = bottom - height * min(page.width, page.height) / page.height
    colours: tuple[Colour, Colour, Colour] = ((225, 25, 35), (245, 160, 25), (20, 50, 140))
    if own < 0.12:
        colours = (any_colour(generator), any_colour(generator), any_colour(generator))
    around = ink((left + right) / 2, (top + bottom) / 2)
    mark = _Mark(_NAMES[int(4 * word)], colours, 60 * height, size < 0.5, around)
    for draw, share in _DRAWN:
        kind -= share
        if kind < 0:
            draw(page, (left, top, right, bottom), mark)
            return
    artwork.mark(page.canvas, generator, page.pixels(right, bottom), page.length(height))


def _boxed(page: Page, box: Box, mark: _Mark) -> None:
    left, top, right, bottom = box
    page.box(*box, _WHITE)
    _name(page, box, mark, mark.colours[2], 1)
    if mark.second:
        page.box(left, bottom - 0.03, right, bottom, mark.colours[1])
        page.box(left, top, right, top + 0.03, mark.colours[2])


def _written(page: Page, box: Box, mark: _Mark) -> None:
    page.text(mark.name, box[2], (box[1] + box[3]) / 2, 1.3 * mark.letters, mark.ink, _FONT, 1, room=0.3)


def _discs(page: Page, box: Box, mark: _Mark) -> None:
    (x0, y0), (x1, y1) = page.pixels(*box[:2]), page.pixels(*box[2:])
    reach = (y1 - y0) // 2
    for x, colour in ((x0 + reach, mark.colours[0]), (x1 - reach, mark.colours[1])):
        cv2.circle(page.canvas, (x, (y0 + y1) // 2), reach, colour, -1, cv2.LINE_AA)
    if mark.second:
        _name(page, box, mark, _WHITE, 0.6)


def _letters(page: Page, box: Box, mark: _Mark) -> None:
    left, top, right, bottom = box
    third = (right - left) / 3
    colours = (mark.colours[2], mark.colours[0], (20, 130, 60))
    for number, (colour, letter) in enumerate(zip(colours, "ZBK", strict=True)):
        x = left + third * number
        page.box(x, top, x + 0.9 * third, bottom, colour)
        page.text(letter, x + 0.45 * third, (top + bottom) / 2, 8, _WHITE, "DejaVuSans-Bold", 0.5, room=third)


def _slanted(page: Page, box: Box, mark: _Mark) -> None:
    left, top, right, bottom = box
    for number, colour in enumerate((mark.colours[0], mark.colours[2], (0, 120, 130))):
        x0, y0 = page.pixels(left + 0.3 * number * (right - left), top)
        x1, y1 = page.pixels(left + (0.42 + 0.29 * number) * (right - left), bottom)
        lean = (y1 - y0) // 4
        points = [(x0 + lean, y0), (x1 + lean, y0), (x1 - lean, y1), (x0 - lean, y1)]
        cv2.fillConvexPoly(page.canvas, np.array(points, np.int32), colour, cv2.LINE_AA)
    _name(page, box, mark, _WHITE, 0.6)


def _name(page: Page, box: Box, mark: _Mark, colour: Colour, size: float) -> None:
    left, top, right, bottom = box
    middle = ((left + right) / 2, (top + bottom) / 2)
    page.text(mark.name, *middle, size * mark.letters, colour, _FONT, 0.5, room=0.9 * (right - left))


_DRAWN: tuple[tuple[Callable[[Page, Box, _Mark], None], float], ...] = (
    (_boxed, 0.3),
    (_written, 0.12),
    (_discs, 0.26),
    (_letters, 0.14),
    (_slanted, 0.08),
)
