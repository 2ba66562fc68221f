"""Compose business cards."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.palettes import WHITE, luminance, mix
from zoo_documents.templates.decisions import Decisions

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    white_paper: float
    decoration: float
    band_width: float
    band_side: float
    emblem_size: float
    company_x: float
    company_y: float
    company_size: float
    holder_size: float
    address_lines: float
    emblem_x: float
    emblem_y: float
    address_side: float


def compose_business_card(page: Page) -> None:
    """Compose a logo, a name and an address in small print, with much empty space."""
    layout = _Layout.draw(page.generator("layout"))
    palette = page.palette
    pale = mix(palette.paper, WHITE, 0.8)
    page.canvas[:] = pale if layout.white_paper < 0.6 else palette.paper
    if layout.decoration < 0.25:
        page.picture()
        page.box(0.04, 0.4, 0.6, 0.96, pale)
    elif layout.decoration < 0.6:
        width = 0.05 + 0.3 * layout.band_width
        bands = (
            (0.0, 0.0, width, 1.0),
            (1 - width, 0.0, 1.0, 1.0),
            (0.0, 1 - width / 2, 1.0, 1.0),
            (0.0, 0.0, 1.0, width),
        )
        page.box(*choose(layout.band_side, bands), palette.accent)
    page.emblem(0.15 + 0.7 * layout.emblem_x, 0.2 + 0.1 * layout.emblem_y, 0.08 + 0.1 * layout.emblem_size)
    ink = (20, 20, 22) if luminance(palette.paper) > 120 or layout.white_paper < 0.6 else WHITE
    x, y, size = 0.08 + 0.2 * layout.company_x, 0.2 + 0.1 * layout.company_y, 8 + 6 * layout.company_size
    page.text(page.words("title", 2), x, y, size, ink, page.title_font, max_width=0.6)
    page.field("{w} {w}", 0.08, 0.5, 10 + 3 * layout.holder_size, ink, page.title_font)
    page.text(page.words("role", 2), 0.08, 0.6, 5.5, mix(ink, palette.accent, 0.5), max_width=0.5)
    address = ("{w} ##, {w}", "## ### ####", "{w}@{w}.##", "www.{w}.com")[: 2 + int(3 * layout.address_lines)]
    for line, pattern in enumerate(address):
        page.field(pattern, 0.5 if layout.address_side < 0.4 else 0.08, 0.7 + 0.075 * line, 5.5, ink)
