"""Compose receipts."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.fields import Barcode, Paragraph
from zoo_documents.drawing.palettes import mix
from zoo_documents.drawing.words import Pattern
from zoo_documents.templates.decisions import Decisions
from zoo_documents.templates.paper import paint_paper

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page
    from zoo_documents.drawing.palettes import Colour


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    plain_paper: float
    ink: float
    emblem: float
    emblem_size: float
    band: float
    shop_words: float
    shop_size: float
    address_lines: float
    separator: float
    items: float
    item_size: float
    barcode: float


def compose_receipt(page: Page) -> None:
    """Compose a shop's name and address, items and prices, a total, and often a barcode."""
    layout = _Layout.draw(page.generator("layout"))
    paint_paper(page, plain=layout.plain_paper < 0.85)
    ink = (40, 40, 45) if layout.ink < 0.8 else mix(page.palette.ink, page.palette.accent, 0.5)
    y = _print_shop(page, layout, ink)
    page.text("-" * 40 if layout.separator < 0.5 else "=" * 40, 0.5, y, 5, ink, align=0.5)
    y = _add_items(page, layout, y, ink)
    total = "TOTAL" if page.script == "latin" else page.words("total", 1)
    page.text(total, 0.06, y + 0.03, 8, ink, page.title_font)
    page.field("##,##", 0.94, y + 0.03, 8, ink, page.number_font, right=True)
    page.field("{d}.{m}.{y}", 0.06, y + 0.08, 6, ink)
    if layout.barcode < 0.6:
        left, top = page.layer_pixel(0.12, 0.9)
        page.fields.append(Barcode(left, top, round(0.76 * page.width), max(8, page.height // 15), square=False))
    else:
        page.text(page.words("thanks", 3), 0.5, 0.94, 6, ink, align=0.5)


def _print_shop(page: Page, layout: _Layout, ink: Colour) -> float:
    """Print emblem, name and address; return where they end."""
    y = 0.07
    if layout.emblem < 0.7:
        page.emblem(0.5, 0.08, 0.1 + 0.1 * layout.emblem_size)
        y = 0.17
    band = layout.band < 0.3
    if band:
        page.box(0.05, y - 0.03, 0.95, y + 0.03, ink)
    name, size = page.words("title", 1 + (layout.shop_words < 0.4)), 9 + 6 * layout.shop_size
    page.text(name, 0.5, y, size, page.palette.paper if band else ink, page.title_font, 0.5)
    for line in range(1 + int(3 * layout.address_lines)):
        page.text(page.words(f"head {line}", 2), 0.5, y + 0.05 + 0.03 * line, 5, ink, align=0.5)
    return y + 0.14


def _add_items(page: Page, layout: _Layout, y: float, ink: Colour) -> float:
    """Add lines of items and prices; return where the longest list ends."""
    most = 5 + int(6 * layout.items)
    font = page.font(6 + layout.item_size, page.number_font if page.script == "latin" else None, 0.9)
    left, top = page.layer_pixel(0.06, y + 0.02)
    width, pattern = round(0.9 * page.width), Pattern("{w}   #,##", page.script)
    page.fields.append(Paragraph(font, pattern, left, top, width, font.height, max(2, most - 3), most, ink))
    return min(y + 0.04 + most * font.height / page.height, 0.78)
