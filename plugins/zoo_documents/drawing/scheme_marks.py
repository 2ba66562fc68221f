"""Draw the marks of made-up payment schemes in the lower right corner of cards."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.emblems import draw_shape
from zoo_documents.drawing.palettes import WHITE, Colour, mix, random_colour

if TYPE_CHECKING:
    from collections.abc import Callable

    from cv2.typing import MatLike

    from zoo_documents.drawing.pages import Page

_FONT = "DejaVuSans-BoldOblique"
_NAMES = ("SOLVA", "SOLVA", "norda", "ORBIS")


@dataclass(frozen=True, slots=True)
class _Mark:
    """Name and colours, size of the text, whether it has additional details, and the ink that is readable around it."""

    name: str
    colours: tuple[Colour, Colour, Colour]
    text_size: float
    detailed: bool
    ink: Colour


Box = tuple[float, float, float, float]


def draw_scheme_mark(page: Page) -> None:
    """Draw a mark in the lower right corner.

    Most cards carry the mark of one of a few schemes in the same colours, so that a mark says little about which card
    it is.
    """
    generator = page.generator("mark")
    kind, size, custom_colours, name = generator.random(4).tolist()
    height = 0.15 + 0.07 * size
    right, bottom = 0.96, 0.95
    left = right - 1.55 * height * min(page.width, page.height) / page.width
    top = bottom - height * min(page.width, page.height) / page.height
    colours: tuple[Colour, Colour, Colour] = ((225, 25, 35), (245, 160, 25), (20, 50, 140))
    if custom_colours < 0.12:
        colours = (random_colour(generator), random_colour(generator), random_colour(generator))
    ink = page.readable_ink((left + right) / 2, (top + bottom) / 2)
    for draw, share in _COMMON_MARKS:
        kind -= share
        if kind < 0:
            detailed = generator.random() < 0.5
            mark = _Mark(choose(name, _NAMES), colours, 60 * height, detailed, ink)
            draw(page, (left, top, right, bottom), mark)
            return
    _draw_rare_mark(page.canvas, generator, page.canvas_pixel(right, bottom), page.canvas_length(height))


def _draw_boxed_name(page: Page, box: Box, mark: _Mark) -> None:
    left, top, right, bottom = box
    page.box(*box, WHITE)
    _draw_name(page, box, mark, mark.colours[2], 1)
    if mark.detailed:
        page.box(left, bottom - 0.03, right, bottom, mark.colours[1])
        page.box(left, top, right, top + 0.03, mark.colours[2])


def _draw_plain_name(page: Page, box: Box, mark: _Mark) -> None:
    page.text(mark.name, box[2], (box[1] + box[3]) / 2, 1.3 * mark.text_size, mark.ink, _FONT, 1, max_width=0.3)


def _draw_discs(page: Page, box: Box, mark: _Mark) -> None:
    (x0, y0), (x1, y1) = page.canvas_pixel(*box[:2]), page.canvas_pixel(*box[2:])
    radius = (y1 - y0) // 2
    for x, colour in ((x0 + radius, mark.colours[0]), (x1 - radius, mark.colours[1])):
        cv2.circle(page.canvas, (x, (y0 + y1) // 2), radius, colour, -1, cv2.LINE_AA)
    if mark.detailed:
        _draw_name(page, box, mark, WHITE, 0.6)


def _draw_letters(page: Page, box: Box, mark: _Mark) -> None:
    left, top, right, bottom = box
    third = (right - left) / 3
    colours = (mark.colours[2], mark.colours[0], (20, 130, 60))
    for number, (colour, letter) in enumerate(zip(colours, "ZBK", strict=True)):
        x = left + third * number
        page.box(x, top, x + 0.9 * third, bottom, colour)
        page.text(letter, x + 0.45 * third, (top + bottom) / 2, 8, WHITE, "DejaVuSans-Bold", 0.5, max_width=third)


def _draw_slanted_bars(page: Page, box: Box, mark: _Mark) -> None:
    left, top, right, bottom = box
    for number, colour in enumerate((mark.colours[0], mark.colours[2], (0, 120, 130))):
        x0, y0 = page.canvas_pixel(left + 0.3 * number * (right - left), top)
        x1, y1 = page.canvas_pixel(left + (0.42 + 0.29 * number) * (right - left), bottom)
        slant = (y1 - y0) // 4
        points = [(x0 + slant, y0), (x1 + slant, y0), (x1 - slant, y1), (x0 - slant, y1)]
        cv2.fillConvexPoly(page.canvas, np.array(points, np.int32), colour, cv2.LINE_AA)
    _draw_name(page, box, mark, WHITE, 0.6)


def _draw_name(page: Page, box: Box, mark: _Mark, colour: Colour, size: float) -> None:
    left, top, right, bottom = box
    middle = ((left + right) / 2, (top + bottom) / 2)
    page.text(mark.name, *middle, size * mark.text_size, colour, _FONT, 0.5, max_width=0.9 * (right - left))


_COMMON_MARKS: tuple[tuple[Callable[[Page, Box, _Mark], None], float], ...] = (
    (_draw_boxed_name, 0.3),
    (_draw_plain_name, 0.12),
    (_draw_discs, 0.26),
    (_draw_letters, 0.14),
    (_draw_slanted_bars, 0.08),
)


def _draw_rare_mark(canvas: MatLike, generator: np.random.Generator, corner: tuple[int, int], height: int) -> None:
    """Draw a mark that few cards share, lower right corner given."""
    right, bottom = corner
    first, second = random_colour(generator), random_colour(generator)
    width = int(height * 1.55)
    kind = int(generator.integers(5))
    left, top = right - width, bottom - height
    middle = ((left + right) // 2, (top + bottom) // 2)
    if kind == 0:
        radius = height // 2
        cv2.circle(canvas, (left + radius, top + radius), radius, first, -1, cv2.LINE_AA)
        cv2.circle(canvas, (right - radius, top + radius), radius, second, -1, cv2.LINE_AA)
        centre, axes = (left + width // 2, top + radius), (max(1, radius // 3), int(radius * 0.8))
        cv2.ellipse(canvas, centre, axes, 0, 0, 360, mix(first, second, 0.5), -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.rectangle(canvas, (left, top), (right, bottom), WHITE, -1)
        cv2.rectangle(canvas, (left, top), (right, top + height // 5), first, -1)
        cv2.rectangle(canvas, (left, bottom - height // 5), (right, bottom), second, -1)
        zigzag = [(left + width * n // 8, top + height * (2 + n % 2) // 4) for n in range(1, 8)]
        cv2.polylines(canvas, [np.array(zigzag)], isClosed=False, color=first, thickness=3, lineType=cv2.LINE_AA)
    elif kind == 2:
        third = random_colour(generator)
        for stripe, colour in enumerate((first, second, third)):
            x = left + stripe * width // 3
            cv2.rectangle(canvas, (x, top), (x + width // 3 - 2, bottom), colour, -1)
    elif kind == 3:
        cv2.ellipse(canvas, middle, (width // 2, height // 2), 0, 0, 360, first, -1, cv2.LINE_AA)
        cv2.ellipse(canvas, middle, (width // 3, height // 5), -15, 0, 360, second, -1, cv2.LINE_AA)
    else:
        cv2.rectangle(canvas, (left, top), (right, bottom), first, -1)
        draw_shape(canvas, generator, middle, height // 3, WHITE)
