"""A page while it is composed: the printed layer, and the fields that samples will fill."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing import fonts, pictures
from zoo_documents.drawing.backgrounds import SUPER, paint
from zoo_documents.drawing.faces import Faces
from zoo_documents.drawing.fields import Field, Text
from zoo_documents.drawing.fonts import Lettering, write
from zoo_documents.drawing.palettes import Colour, draw_palette, mixed
from zoo_documents.drawing.words import CASED, Pattern, Script, word

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_core.api import UInt8Image

LONG_SIDE = 160
# Sizes of letters are given for a longer side of 192.
_SCALE = LONG_SIDE / 192
_SCRIPTS: tuple[tuple[Script, float], ...] = (
    ("latin", 0.56),
    ("ideographs", 0.22),
    ("cyrillic", 0.08),
    ("greek", 0.06),
    ("georgian", 0.04),
    ("armenian", 0.04),
)


@dataclass(frozen=True)
class Stock:
    """What all templates share: letters and faces, each made when first asked for and kept."""

    lettering: Lettering = field(default_factory=Lettering)
    faces: Faces = field(default_factory=Faces)


class Page:
    """A document of ``aspect`` (width / height) to be composed.

    Coordinates are parts of width and height; sizes of letters are 192nds of the longer side. ``part(name)``
    returns the generator that decides one aspect of the design, so that a variant can change one aspect alone.
    ``hue_turn`` is added to the hue, in turns.
    """

    def __init__(
        self,
        aspect: float,
        part: Callable[[str], np.random.Generator],
        stock: Stock,
        *,
        calm: bool,
        hue_turn: float = 0.0,
    ) -> None:
        self.width = min(LONG_SIDE, round(LONG_SIDE * aspect))
        self.height = min(LONG_SIDE, round(LONG_SIDE / aspect))
        self.part = part
        self.palette = draw_palette(float(part("hue").random()), part("scheme"), pale=calm, hue_turn=hue_turn)
        self.canvas = np.zeros((self.height * SUPER, self.width * SUPER, 3), np.uint8)
        self.fields: list[Field] = []
        self.faces = stock.faces
        self._lettering = stock.lettering
        generator = part("fonts")
        draw = float(generator.random())
        self.script: Script = "latin"
        for script, share in _SCRIPTS:
            self.script = script
            draw -= share
            if draw < 0:
                break
        self.title_font, self.body_font = (self._font(generator) for _ in range(2))
        self.number_font = fonts.MONO[int(generator.integers(3))] if generator.random() < 0.6 else self.body_font
        self.number_stretch = (0.9, 1.0, 1.15)[int(generator.integers(3))]

    def _font(self, generator: np.random.Generator) -> str:
        choices = {
            "latin": fonts.SANS + fonts.SERIF + fonts.LATIN,
            "cyrillic": fonts.SANS + fonts.SERIF,
            "greek": fonts.SANS + fonts.SERIF,
        }
        names = choices.get(self.script, fonts.SANS[:2])
        return names[int(generator.integers(len(names)))]

    def paint(self, *, calm: bool) -> None:
        """Paint the background."""
        paint(self.canvas, self.part("background"), self.palette, calm=calm)

    def picture(self, part: str = "art", *, calm: bool = False) -> None:
        """Print a picture."""
        pictures.lay(self.canvas, self.part(part), self.palette, calm=calm)

    def pixels(self, x: float, y: float) -> tuple[int, int]:
        """Pixel of the canvas at parts of width and height."""
        return round(x * self.canvas.shape[1]), round(y * self.canvas.shape[0])

    def place(self, x: float, y: float) -> tuple[int, int]:
        """Pixel of the finished layer at parts of width and height."""
        return round(x * self.width), round(y * self.height)

    def length(self, part: float) -> int:
        """Pixels of the canvas that are ``part`` of its shorter side."""
        return max(1, round(part * min(self.canvas.shape[:2])))

    def box(self, x: float, y: float, right: float, bottom: float, colour: Colour, thickness: int = -1) -> None:
        """Print a rectangle."""
        cv2.rectangle(self.canvas, self.pixels(x, y), self.pixels(right, bottom), colour, thickness)

    def text(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        colour: Colour | None = None,
        font: str | None = None,
        align: float = 0.0,
        room: float = 1.0,
    ) -> None:
        """Print a line, its middle at height ``y``; ``align`` 0 starts, 0.5 centres, 1 ends it at ``x``.

        It is made smaller until it fits the page and ``room`` of its width.
        """
        on_page = x if align == 1 else 1 - x if align == 0 else 2 * min(x, 1 - x)
        room = min(max(on_page, 0.1) * 0.97, room)
        typeface = self._lettering.typeface(font or self.body_font)
        mask = typeface.line(text, size * _SCALE * SUPER, round(room * self.canvas.shape[1]))
        left, middle = self.pixels(x, y)
        write(
            self.canvas,
            mask,
            round(left - align * mask.shape[1]),
            middle - mask.shape[0] // 2,
            colour or self.palette.ink,
        )

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
        room: float = 1.0,
    ) -> None:
        """Leave a line to be filled, its middle at height ``y``, cut at ``room`` of the width."""
        face = self.face(size, font, stretch)
        left, middle = self.place(x, y)
        self.fields.append(
            Text(
                face,
                Pattern(pattern, script or self.script),
                left,
                middle - face.height // 2,
                colour or self.palette.ink,
                relief,
                right,
                round(room * self.width),
            )
        )

    def face(self, size: float, font: str | None = None, stretch: float = 1.0) -> fonts.Face:
        """A face at a size of the finished layer."""
        return self._lettering.face(font or self.body_font, max(4, round(size * _SCALE)), stretch)

    def pitch(self, size: float) -> int:
        """Pixels of the finished layer from line to line."""
        return max(4, round(size * _SCALE))

    def words(self, part: str, count: int, *, capitals: bool = False) -> str:
        """Made-up words of the page's script, decided by ``part``; in capitals if asked and the script has them."""
        generator = self.part(part)
        words = [word(generator, self.script) for _ in range(count)]
        made = ("" if self.script == "ideographs" else " ").join(words)
        return made.upper() if capitals and self.script in CASED else made

    def faint(self, share: float = 0.45) -> Colour:
        """The ink, paler."""
        return mixed(self.palette.ink, self.palette.paper, share)

    def finished(self) -> UInt8Image:
        """The printed layer at its final size."""
        return np.asarray(cv2.resize(self.canvas, (self.width, self.height), interpolation=cv2.INTER_AREA), np.uint8)
