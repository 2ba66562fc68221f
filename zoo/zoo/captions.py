"""Text in pictures, in each script for which this machine has a font."""

from __future__ import annotations

import os
import sys
import unicodedata
import warnings
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ft2font import FT2Font
from PIL import ImageFont, features

from zoo_core.escaping import JOINERS, escape, escaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import ImageDraw

_LISTED = 20
_SUFFIXES = {".ttf", ".otf", ".ttc", ".otc"}
# Fonts that draw a box, or nothing, for any character.
_EMPTY = ("lastresort", "blank")
# Better a plain font than one of these words, and than one made of pixels.
_STYLES = ("bold", "black", "heavy", "thin", "light", "italic", "oblique", "condensed", "mono", "serif", "unifont")
# Only complex layout puts letters of these classes in their place: right to left, and marks on their letters.
_COMPLEX = {"R", "AL", "NSM"}


class Lettering:
    r"""A typeface at one size in pixels, with other fonts of this machine for characters that it lacks.

    Characters that no font has are drawn as escapes such as ``\u5317``.
    """

    def __init__(self, size: int, *, bold: bool = False) -> None:
        self._size = size
        self._fonts = _Fonts(_own_font("DejaVuSans-Bold" if bold else "DejaVuSans"), size)
        self._without_font: dict[str, None] = {}

    def draw(self, page: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: object, room: float) -> None:
        """Draw a line whose upper left corner is at (x, y); cut out its middle where it is wider than ``room``."""
        x, y = at
        # From a common baseline: fonts differ in how far their letters rise.
        y += self._fonts.ascent
        for font, run in self._runs(self._fitted(self._drawable(text), room)):
            page.text((x, y), run, colour, font, anchor="ls")  # type: ignore[arg-type] # Pillow's own type of colours
            x += font.getlength(run)

    def warn_of_escapes(self, path: Path) -> None:
        """Warn of the texts in the picture at ``path`` that hold characters without a font."""
        texts = [f"'{text}'" for text in self._without_font]
        if texts:
            more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
            warnings.warn(
                f"{path}: no installed font has all characters of {', '.join(texts[:_LISTED])}{more}; shown as "
                f"escapes; install one, such as Debian's fonts-noto-cjk or fonts-unifont{self._fonts.lacks}",
                stacklevel=2,
            )

    def _drawable(self, text: str) -> str:
        """Escape what cannot be shown and what no font has."""
        plain = _plain(text)
        shown = "".join(one if self._fonts.find(one) else escape(one) for one in plain)
        if shown != plain:
            self._without_font[plain] = None
        return shown

    def _runs(self, text: str) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        """Cut the text where its font changes."""
        chosen, fonts = None, []
        for character in text:
            chosen = self._fonts.find(character, chosen)
            fonts.append(chosen)
        for font, pairs in groupby(zip(fonts, text, strict=True), key=lambda pair: pair[0]):
            if font is not None:
                yield font, "".join(character for _, character in pairs)

    def _fitted(self, text: str, room: float) -> str:
        """Cut out the middle of a text that does not fit: the ends of names tell most."""
        keep = min(len(text) // 2, int(room))
        shortened = text if len(text) <= 2 * keep + 1 else f"{text[:keep]}…{text[len(text) - keep :]}"
        while keep and self._length(shortened) > room:
            keep -= 1
            shortened = f"{text[:keep]}…{text[len(text) - keep :]}"
        return shortened

    def _length(self, text: str) -> float:
        return sum(font.getlength(run) for font, run in self._runs(text))


def font_of(text: str) -> tuple[str, Path]:
    """Return one font that has all characters of a line, for who draws by one font alone, and the line.

    Where there is none, it is matplotlib's own, and what that lacks is escaped.
    """
    own, plain = _own_font("DejaVuSans"), _plain(text)
    for path in (own, *_installed()):
        if _characters(path).issuperset(map(ord, plain)):
            return plain, path
    known = _characters(own)
    return "".join(one if ord(one) in known else escape(one) for one in plain), own


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", escaped(text))


class _Fonts:
    """The font at ``path``, and those of this machine, opened as far as they are needed."""

    def __init__(self, path: Path, size: int) -> None:
        self._size = size
        first = ImageFont.truetype(path, size)
        self.ascent = first.getmetrics()[0]
        self._opened = [(first, _characters(path))]
        self._found: dict[str, ImageFont.FreeTypeFont | None] = {}
        self._complex_layout = features.check("raqm")
        self.lacks = "" if self._complex_layout else "; Arabic, Hindi and the like need libfribidi0 too"

    def find(self, character: str, before: ImageFont.FreeTypeFont | None = None) -> ImageFont.FreeTypeFont | None:
        """Return the font ``before`` if it has the character, so that words stay whole, else another that has it."""
        if before is not None and (character in JOINERS or self._has(before, character)):
            return before
        if character not in self._found:
            self._found[character] = self._search(character)
        return self._found[character]

    def _has(self, font: ImageFont.FreeTypeFont, character: str) -> bool:
        return any(ord(character) in characters for opened, characters in self._opened if opened is font)

    def _search(self, character: str) -> ImageFont.FreeTypeFont | None:
        if not self._complex_layout and unicodedata.bidirectional(character) in _COMPLEX:
            return None
        for font, characters in self._opened:
            if ord(character) in characters:
                return font
        for font, characters in self._more:
            self._opened.append((font, characters))
            if ord(character) in characters:
                return font
        return None

    @cached_property
    def _more(self) -> Iterator[tuple[ImageFont.FreeTypeFont, frozenset[int]]]:
        """Open one font after the other."""
        return filter(None, (self._open(path) for path in _installed()))

    def _open(self, path: Path) -> tuple[ImageFont.FreeTypeFont, frozenset[int]] | None:
        try:
            # One whose letters are pictures, such as emoji, has no other size than its own.
            return ImageFont.truetype(path, self._size), _characters(path)
        except OSError:
            return None


def _own_font(name: str) -> Path:
    # matplotlib's, for they are always there and have more letters than Pillow's own.
    return Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"


def _characters(path: Path) -> frozenset[int]:
    """Return the code points that a font has: none, if it cannot be read."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def _installed() -> list[Path]:
    """Return the files of the fonts that are installed, plain ones first."""
    found = [
        Path(folder, name)
        for top in _folders()
        for folder, _, names in os.walk(top)
        for name in names
        if Path(name).suffix.lower() in _SUFFIXES and not any(word in name.lower() for word in _EMPTY)
    ]
    return sorted(found, key=lambda path: (any(word in path.name.lower() for word in _STYLES), path.name))


def _folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")
        return [Path(os.environ.get("WINDIR", "C:/Windows"), "Fonts"), Path(local, "Microsoft", "Windows", "Fonts")]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    own = os.environ.get("XDG_DATA_HOME") or home / ".local" / "share"
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [Path(own, "fonts"), home / ".fonts", *(Path(folder, "fonts") for folder in shared.split(":"))]
