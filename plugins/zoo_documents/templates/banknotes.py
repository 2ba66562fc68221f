"""Compose banknotes."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.fields import Portrait
from zoo_documents.drawing.palettes import mix
from zoo_documents.templates.decisions import Decisions

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page
    from zoo_documents.drawing.palettes import Colour

_BLACK: Colour = (20, 20, 22)


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    pale_picture: float
    portrait: float
    portrait_x: float
    denomination: float
    country_size: float
    emblem_x: float


def compose_banknote(page: Page) -> None:
    """Compose a picture, a large portrait, the denomination in all corners, and a serial number."""
    layout = _Layout.draw(page.generator("layout"))
    page.paint(calm=True)
    page.picture(calm=layout.pale_picture < 0.5)
    palette = page.palette
    if layout.portrait < 0.6:
        x, y = page.layer_pixel(0.35 + 0.35 * layout.portrait_x, 0.12)
        size = round(0.24 * page.width), round(0.8 * page.height)
        # The same person on all samples: on a banknote the portrait is printed.
        number = int(page.generator("portrait").integers(2**31))
        tint = mix(palette.ink, palette.accent, 0.5)
        page.fields.insert(0, Portrait(page.faces, x, y, *size, number=number, tint=tint, opacity=0.75))
    denominations = ("1", "2", "5", "10", "20", "50", "100", "500", "1000", "10000")
    denomination = choose(layout.denomination, denominations)
    ink = mix(palette.accent, _BLACK, 0.4)
    corners = ((0.04, 0.14, 0, 20), (0.96, 0.86, 1, 26), (0.04, 0.86, 0, 12), (0.96, 0.14, 1, 14))
    for across, down, align, letters in corners:
        page.text(denomination, across, down, letters, ink, page.title_font, align, max_width=0.3)
    page.text(page.words("title", 2), 0.3, 0.12, 8 + 4 * layout.country_size, ink, page.title_font, max_width=0.5)
    page.emblem(0.15 + 0.1 * layout.emblem_x, 0.5, 0.14)
    serial_ink = mix(palette.second_accent, _BLACK, 0.5)
    for across, down in ((0.06, 0.28), (0.66, 0.72)):
        page.field("@@ ######", across, down, 7, serial_ink, page.number_font, script="latin")
