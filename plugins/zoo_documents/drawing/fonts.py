"""Draw text with fonts that are always installed, and keep the glyphs for speed."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import unicodedata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from zoo_documents.drawing.palettes import Colour

# matplotlib ships these; all of DejaVu also have Greek, Cyrillic, and some or all of Armenian and Georgian.
SANS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique")
SERIF = ("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic")
MONO = ("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique")
LATIN = (
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta", "cmr10", "cmss10", "cmtt10", "cmb10",
    "cmti10", "cmmi10",
)  # fmt: skip
# Code points of private use stand for made-up ideographs.
FIRST_IDEOGRAPH, LAST_IDEOGRAPH = 0xE000, 0xE0FF

_BASE = 32


class Typeface:
    """A font file; draws glyphs at one large size, from which all other sizes are reduced."""

    def __init__(self, path: Path) -> None:
        self._font = ImageFont.truetype(path, _BASE, layout_engine=ImageFont.Layout.BASIC)
        ascent, descent = self._font.getmetrics()
        # Some fonts reserve height for stacked accents.
        self._ascent = min(ascent, round(1.1 * _BASE))
        self._height = self._ascent + min(descent, round(0.3 * _BASE))
        # Computer Modern has no accented letters.
        self._without_accents = path.name.startswith("cm")
        self._glyphs: dict[str, MatLike] = {}

    @property
    def line_height(self) -> float:
        """Height of a line in units of the font size."""
        return self._height / _BASE

    def draw_line(self, text: str, size: float, max_width: int) -> MatLike:
        """Draw a line as a mask ``uint8 [height, width]``, reduced until it fits ``max_width``."""
        large = np.concatenate([self.glyph(character) for character in text or " "], axis=1)
        reduction = min(1.0, max_width / (large.shape[1] * size / _BASE))
        # Up to a sixth is taken off the width alone.
        scale = size / _BASE * min(1.0, reduction / 0.84)
        width, height = max(1, round(large.shape[1] * size / _BASE * reduction)), max(1, round(self._height * scale))
        return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)

    def glyph(self, character: str) -> MatLike:
        """Return a character as a mask ``uint8 [height, width]``."""
        if character not in self._glyphs:
            self._glyphs[character] = self._draw_glyph(character)
        return self._glyphs[character]

    def _draw_glyph(self, character: str) -> MatLike:
        if FIRST_IDEOGRAPH <= ord(character) <= LAST_IDEOGRAPH:
            return self._draw_ideograph(ord(character))
        if self._without_accents:
            character = unicodedata.normalize("NFD", character)[0]
        picture = Image.new("L", (max(1, round(self._font.getlength(character))), self._height))
        ImageDraw.Draw(picture).text((0, self._ascent), character, 255, self._font, anchor="ls")
        return np.asarray(picture)

    def _draw_ideograph(self, code: int) -> MatLike:
        """Draw strokes on a grid, the same for the same code."""
        generator = np.random.Generator(np.random.PCG64(code))
        block = np.zeros((self._height, _BASE), np.uint8)
        top = self._ascent - round(0.9 * _BASE)
        for level, start, end, lean in generator.integers(0, 5, (int(generator.integers(5, 9)), 4)).tolist():
            # A stroke is horizontal, vertical, or slants down to the left.
            near, far = min(start, end - 1), max(start, end - 1) + 2
            points = ((near, level), (far, level)) if lean < 2 else ((level, near), (level, far))
            points = points if lean < 4 else ((level, start), (max(0, level - 2), min(start + 2, 5)))
            pixels = [(round((0.1 + 0.16 * x) * _BASE), top + round((0.1 + 0.16 * y) * _BASE)) for x, y in points]
            cv2.line(block, pixels[0], pixels[1], 255, _BASE // 12, cv2.LINE_AA)
        return block


class Font:
    """A typeface at one size in pixels, stretched in width."""

    def __init__(self, typeface: Typeface, size: int, stretch: float) -> None:
        self._typeface = typeface
        self._scale = size / _BASE * stretch
        self.height = max(1, round(size * typeface.line_height))
        self._glyphs: dict[str, MatLike] = {}

    def draw_line(self, text: str) -> MatLike:
        """Draw a line as a mask ``uint8 [height, width]``."""
        glyphs = self._glyphs
        for character in text:
            if character not in glyphs:
                glyphs[character] = self._reduce_glyph(character)
        if not text:
            return np.zeros((self.height, 0), np.uint8)
        return np.concatenate([glyphs[character] for character in text], axis=1)

    def _reduce_glyph(self, character: str) -> MatLike:
        large = self._typeface.glyph(character)
        width = max(1, round(large.shape[1] * self._scale))
        return cv2.resize(large, (width, self.height), interpolation=cv2.INTER_AREA)


class Fonts:
    """The fonts in use, loaded on first use and shared by all templates."""

    def __init__(self) -> None:
        self._typefaces: dict[str, Typeface] = {}
        self._fonts: dict[tuple[str, int, float], Font] = {}

    def font(self, name: str, size: int, stretch: float = 1.0) -> Font:
        """Return a font by the name of its file without ``.ttf``."""
        key = (name, size, stretch)
        if key not in self._fonts:
            self._fonts[key] = Font(self.typeface(name), size, stretch)
        return self._fonts[key]

    def typeface(self, name: str) -> Typeface:
        """Return a typeface by the name of its file without ``.ttf``."""
        if name not in self._typefaces:
            self._typefaces[name] = Typeface(_font_folder() / f"{name}.ttf")
        return self._typefaces[name]


def _font_folder() -> Path:
    """Return the folder of matplotlib's fonts, without the import of matplotlib, which is slow."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(name="matplotlib")
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


def blend_mask(canvas: MatLike, mask: MatLike, x: int, y: int, colour: Colour) -> None:
    """Blend a mask in ``colour`` onto the canvas in place, upper left corner at (x, y), clipped at the edges."""
    overlap = overlap_of(canvas, mask, x, y)
    if overlap is not None:
        below, ink = overlap
        ink = cv2.cvtColor(ink, cv2.COLOR_GRAY2RGB)
        kept = cv2.multiply(below, cv2.bitwise_not(ink), scale=1 / 255)
        below[:] = cv2.add(kept, cv2.multiply(ink, np.array([*colour, 0.0]), scale=1 / 255))


def overlap_of(canvas: MatLike, mask: MatLike, x: int, y: int) -> tuple[MatLike, MatLike] | None:
    """Return the views of the canvas and of a mask at (x, y) where they overlap, or ``None`` if they do not."""
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(mask.shape[0], canvas.shape[0] - y), min(mask.shape[1], canvas.shape[1] - x)
    if bottom <= top or right <= left:
        return None
    return canvas[y + top : y + bottom, x + left : x + right], mask[top:bottom, left:right]
