"""Pictures in rows on a white page, with text under them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from zoo.atomic import replacing
from zoo.captions import Lettering
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

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
        letterings = [Lettering(15, bold=True), Lettering(11), Lettering(10)]
        page = self._drawn(*letterings)
        with replacing(path) as beside:
            page.save(beside)
        for lettering in letterings:
            lettering.warn_of_escapes(path)

    def _drawn(self, bold: Lettering, plain: Lettering, small: Lettering) -> Image.Image:
        pitch_x = _WIDTH + _GAP
        starts = self._starts()
        width = starts[-1] - _GAP + _MARGIN
        page = Image.new("RGB", (width, self._height()), "white")
        draw = ImageDraw.Draw(page)
        bold.draw(draw, (_MARGIN, _MARGIN), self.title, _INK, width - 2 * _MARGIN)
        plain.draw(draw, (_MARGIN, _MARGIN + _TITLE), self.subtitle, _FAINT, width - 2 * _MARGIN)
        first = 0
        for heading, count in self.columns:
            left, right = starts[first], starts[first + count - 1] + _WIDTH
            plain.draw(draw, (left, _TOP - _HEADING + 6), heading, _INK, right + _GAP - left)
            draw.line((left, _TOP - 5, right, _TOP - 5), _RULE)
            first += count
        for number, row in enumerate(self.rows):
            y = _TOP + number * _ROW
            for left, cell, following in zip(starts, row, [*row[1:], None], strict=False):
                if cell.image is not None:
                    page.paste(picture := _fitted(cell.image), (left, y + _HEIGHT - picture.height))
                # A caption may continue below a picture that has none.
                room = _WIDTH if following is None or following.caption else pitch_x + _WIDTH
                small.draw(draw, (left, y + _HEIGHT + 2), cell.caption, _INK, room)
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
