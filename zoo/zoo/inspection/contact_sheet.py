"""Pictures in rows on a white page, with text under them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

from zoo.atomic import replacing
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from zoo_core.contracts import UInt8Image

_WIDTH, _HEIGHT = 150, 110  # pixels of a cell's picture
_GAP, _CAPTION, _MARGIN = 10, 17, 18
_HEADING, _TITLE = 30, 20
_TOP, _ROW = _MARGIN + 2 * _TITLE + _HEADING, _HEIGHT + _CAPTION + _GAP
# Pixels of a side that a format can hold.
_LIMITS = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
_INK, _FAINT, _RULE = (30, 30, 34), (120, 120, 126), (214, 214, 218)


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture ``uint8 [H, W, 3]``, or none, and the text under it."""

    image: UInt8Image | None = None
    caption: str = ""


@dataclass
class Sheet:
    """A page of rows; ``columns`` are the headings and how many cells each stands over."""

    title: str
    subtitle: str
    columns: list[tuple[str, int]]
    rows: list[list[Cell]] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Draw the page and write it, all or nothing; the suffix decides the format.

        Raises:
            UsageError: there are more rows than the format can hold.
        """
        limit = _LIMITS.get(path.suffix.lower(), self._height())
        if self._height() > limit:
            msg = f"{path}: a sheet of {len(self.rows):,} rows is higher than the {limit:,} pixels of this format"
            raise UsageError(msg, hint="write a .png, or show fewer")
        page = self._drawn()
        with replacing(path) as beside:
            page.save(beside)

    def _drawn(self) -> Image.Image:
        pitch_x = _WIDTH + _GAP
        starts = self._starts()
        width = starts[-1] - _GAP + _MARGIN
        page = Image.new("RGB", (width, self._height()), "white")
        draw = ImageDraw.Draw(page)
        bold, plain, small = _font("DejaVuSans-Bold", 15), _font("DejaVuSans", 11), _font("DejaVuSans", 10)
        draw.text((_MARGIN, _MARGIN), _cut(self.title, bold, width - 2 * _MARGIN), _INK, bold)
        draw.text((_MARGIN, _MARGIN + _TITLE), _cut(self.subtitle, plain, width - 2 * _MARGIN), _FAINT, plain)
        first = 0
        for heading, count in self.columns:
            left, right = starts[first], starts[first + count - 1] + _WIDTH
            draw.text((left, _TOP - _HEADING + 6), heading, _INK, plain)
            draw.line((left, _TOP - 5, right, _TOP - 5), _RULE)
            first += count
        for number, row in enumerate(self.rows):
            y = _TOP + number * _ROW
            for left, cell, following in zip(starts, row, [*row[1:], None], strict=False):
                if cell.image is not None:
                    page.paste(picture := _fitted(cell.image), (left, y + _HEIGHT - picture.height))
                # A caption may continue below a picture that has none.
                room = _WIDTH if following is None or following.caption else pitch_x + _WIDTH
                draw.text((left, y + _HEIGHT + 2), _cut(cell.caption, small, room), _INK, small)
        return page

    def _height(self) -> int:
        return _TOP + len(self.rows) * _ROW + _MARGIN - _GAP

    def _starts(self) -> list[int]:
        """Return the left edge of each cell, and of one more, with more room between the columns' groups."""
        starts, x = [], _MARGIN
        for _, count in self.columns:
            for _ in range(count):
                starts.append(x)
                x += _WIDTH + _GAP
            x += 2 * _GAP
        return [*starts, x - 2 * _GAP]


def _fitted(image: UInt8Image) -> Image.Image:
    picture = Image.fromarray(image)
    scale = min(_WIDTH / picture.width, _HEIGHT / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    # matplotlib's, for they are always there and have more letters than Pillow's own.
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size)


def _cut(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    """Cut out the middle of a text that does not fit: the ends of names tell most."""
    shortened, keep = text, len(text) // 2
    while keep and font.getlength(shortened) > room:
        keep -= 1
        shortened = f"{text[:keep]}…{text[len(text) - keep :]}"
    return shortened
