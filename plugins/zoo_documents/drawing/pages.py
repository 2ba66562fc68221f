"""Compose a page: print its layer, and collect the fields that samples fill."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing.backgrounds import SUPERSAMPLING, paint_background
from zoo_documents.drawing.choices import choose_by_share
from zoo_documents.drawing.emblems import draw_emblem
from zoo_documents.drawing.faces import Faces
from zoo_documents.drawing.fields import Field, Text
from zoo_documents.drawing.fonts import LATIN, MONO, SANS, SERIF, Font, Fonts, blend_mask
from zoo_documents.drawing.palettes import Colour, draw_palette, luminance, mix
from zoo_documents.drawing.pictures import print_picture
from zoo_documents.drawing.words import CASED, Pattern, Script, make_word

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_core.api import UInt8Image

LONG_SIDE = 160
# Sizes of text are given for a longer side of 192.
_TEXT_SCALE = LONG_SIDE / 192
_SCRIPTS: tuple[tuple[Script, float], ...] = (
    ("latin", 0.56),
    ("ideographs", 0.22),
    ("cyrillic", 0.08),
    ("greek", 0.06),
    ("georgian", 0.04),
    ("armenian", 0.04),
)


@dataclass(frozen=True)
class Assets:
    """Fonts and faces, which all templates share."""

    fonts: Fonts = field(default_factory=Fonts)
    faces: Faces = field(default_factory=Faces)


class Page:
    """A document of ``aspect`` (width / height) that is being composed.

    ``generator(stream)`` returns the generator of a named stream of random numbers. Each element of the design has a
    stream, so that a variant of the document can change one element alone. ``hue_turn`` is added to the hue, in turns.

    Coordinates and widths are fractions of the page's width and height; sizes of text are 192nds of the longer side.
    """

    def __init__(
        self,
        aspect: float,
        generator: Callable[[str], np.random.Generator],
        assets: Assets,
        *,
        calm: bool,
        hue_turn: float = 0.0,
    ) -> None:
        self.width = min(LONG_SIDE, round(LONG_SIDE * aspect))
        self.height = min(LONG_SIDE, round(LONG_SIDE / aspect))
        self.generator = generator
        self.palette = draw_palette(float(generator("hue").random()), generator("scheme"), pale=calm, hue_turn=hue_turn)
        self.canvas = np.zeros((self.height * SUPERSAMPLING, self.width * SUPERSAMPLING, 3), np.uint8)
        self.fields: list[Field] = []
        self.faces = assets.faces
        self._fonts = assets.fonts
        numbers = generator("fonts")
        self.script = choose_by_share(float(numbers.random()), _SCRIPTS)
        self.title_font, self.body_font = (_choose_font(numbers, self.script) for _ in range(2))
        self.number_font = MONO[int(numbers.integers(3))] if numbers.random() < 0.6 else self.body_font

    def paint(self, *, calm: bool) -> None:
        """Paint the background."""
        paint_background(self.canvas, self.generator("background"), self.palette, calm=calm)

    def picture(self, stream: str = "art", *, calm: bool = False) -> None:
        """Print a picture."""
        print_picture(self.canvas, self.generator(stream), self.palette, calm=calm)

    def canvas_pixel(self, x: float, y: float) -> tuple[int, int]:
        """Return a position in pixels of the canvas."""
        return round(x * self.canvas.shape[1]), round(y * self.canvas.shape[0])

    def layer_pixel(self, x: float, y: float) -> tuple[int, int]:
        """Return a position in pixels of the finished layer."""
        return round(x * self.width), round(y * self.height)

    def canvas_length(self, fraction: float) -> int:
        """Return a length in pixels of the canvas, given as a fraction of its shorter side."""
        return max(1, round(fraction * min(self.canvas.shape[:2])))

    def box(self, x: float, y: float, right: float, bottom: float, colour: Colour, thickness: int = -1) -> None:
        """Print a rectangle."""
        cv2.rectangle(self.canvas, self.canvas_pixel(x, y), self.canvas_pixel(right, bottom), colour, thickness)

    def text(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        colour: Colour | None = None,
        font: str | None = None,
        align: float = 0.0,
        max_width: float = 1.0,
    ) -> None:
        """Print a line of text, vertically centred at ``y``; ``align`` 0 starts, 0.5 centres and 1 ends it at ``x``.

        The line is reduced until it fits ``max_width`` and the page.
        """
        on_page = x if align == 1 else 1 - x if align == 0 else 2 * min(x, 1 - x)
        max_width = min(max(on_page, 0.1) * 0.97, max_width)
        typeface = self._fonts.typeface(font or self.body_font)
        pixels = round(max_width * self.canvas.shape[1])
        mask = typeface.draw_line(text, size * _TEXT_SCALE * SUPERSAMPLING, pixels)
        left, middle = self.canvas_pixel(x, y)
        left, top = round(left - align * mask.shape[1]), middle - mask.shape[0] // 2
        blend_mask(self.canvas, mask, left, top, colour or self.palette.ink)

    def field(
        self,
        pattern: str,
        x: float,
        y: float,
        size: float,
        colour: Colour | None = None,
        font: str | None = None,
        *,
        script: Script | None = None,
        relief: Colour | None = None,
        right: bool = False,
        stretch: float = 1.0,
        max_width: float = 1.0,
    ) -> None:
        """Add a line of text that samples fill, vertically centred at ``y`` and cut at ``max_width``."""
        sized = self.font(size, font, stretch)
        left, middle = self.layer_pixel(x, y)
        self.fields.append(
            Text(
                sized,
                Pattern(pattern, script or self.script),
                left,
                middle - sized.height // 2,
                colour or self.palette.ink,
                relief,
                right,
                round(max_width * self.width),
            )
        )

    def emblem(self, x: float, y: float, radius: float, stream: str = "emblem") -> None:
        """Print an emblem; its radius is a fraction of the page's shorter side."""
        generator, centre = self.generator(stream), self.canvas_pixel(x, y)
        draw_emblem(self.canvas, generator, self.palette, centre, self.canvas_length(radius))

    def font(self, size: float, name: str | None = None, stretch: float = 1.0) -> Font:
        """Return a font for the finished layer."""
        return self._fonts.font(name or self.body_font, self.line_pitch(size), stretch)

    def line_pitch(self, size: float) -> int:
        """Return the distance of lines of text in pixels of the finished layer."""
        return max(4, round(size * _TEXT_SCALE))

    def words(self, stream: str, count: int, *, capitals: bool = False) -> str:
        """Make up words in the page's script; in capitals if asked for and if the script has them."""
        generator = self.generator(stream)
        words = [make_word(generator, self.script) for _ in range(count)]
        text = ("" if self.script == "ideographs" else " ").join(words)
        return text.upper() if capitals and self.script in CASED else text

    def faint_ink(self, share: float = 0.45) -> Colour:
        """Return the ink mixed with a share of the paper's colour."""
        return mix(self.palette.ink, self.palette.paper, share)

    def readable_ink(self, x: float, y: float) -> Colour:
        """Return white or near black, which of the two is readable on what is printed around a position."""
        left, top = self.canvas_pixel(max(0.0, x - 0.2), max(0.0, y - 0.06))
        right, bottom = self.canvas_pixel(min(1.0, x + 0.2), y + 0.06)
        red, green, blue, _ = cv2.mean(self.canvas[top:bottom, left:right])
        return (25, 25, 30) if luminance((int(red), int(green), int(blue))) > 140 else (248, 248, 248)

    def finished(self) -> UInt8Image:
        """Return the printed layer at its final size."""
        return np.asarray(cv2.resize(self.canvas, (self.width, self.height), interpolation=cv2.INTER_AREA), np.uint8)


def _choose_font(generator: np.random.Generator, script: Script) -> str:
    choices = {
        "latin": SANS + SERIF + LATIN,
        "cyrillic": SANS + SERIF,
        "greek": SANS + SERIF,
    }
    names = choices.get(script, SANS[:2])
    return names[int(generator.integers(len(names)))]
