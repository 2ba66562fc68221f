"""Compose the cards of members and customers: of clubs and shops."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.fields import Barcode
from zoo_documents.drawing.figures import draw_figure
from zoo_documents.drawing.palettes import WHITE
from zoo_documents.templates.decisions import Decisions

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    calm: float
    picture: float
    figure_x: float
    figure_size: float
    issuer_align: float
    issuer_words: float
    issuer_y: float
    issuer_size: float
    emblem_x: float
    number: float
    emblem_size: float


def compose_member_card(page: Page) -> None:
    """Compose a picture or a figure, the issuer's name, and a barcode, a number or the member's name."""
    layout = _Layout.draw(page.generator("layout"))
    page.paint(calm=layout.calm < 0.25)
    if layout.picture < 0.55:
        page.picture()
    elif layout.picture < 0.8:
        centre = page.canvas_pixel(0.3 + 0.5 * layout.figure_x, 0.5)
        radius = page.canvas_length(0.3 + 0.15 * layout.figure_size)
        draw_figure(page.canvas, page.generator("art"), page.palette, centre, radius)
    ink = WHITE if page.palette.dark else page.palette.ink
    x, align = choose(layout.issuer_align, ((0.07, 0.0), (0.5, 0.5), (0.93, 1.0)))
    issuer = page.words("title", 1 + int(2 * layout.issuer_words))
    y, size = 0.14 + 0.25 * layout.issuer_y, 11 + 14 * layout.issuer_size
    page.text(issuer, x, y, size, ink, page.title_font, align)
    page.text(page.words("slogan", 3), x, 0.3 + 0.25 * layout.issuer_y, 6, ink, align=align)
    page.emblem(0.12 + 0.76 * layout.emblem_x, 0.75, 0.1 + 0.06 * layout.emblem_size)
    if layout.number < 0.4:
        page.box(0.05, 0.74, 0.62, 0.95, WHITE)
        left, top = page.layer_pixel(0.08, 0.77)
        page.fields.append(Barcode(left, top, round(0.5 * page.width), max(8, page.height // 9), square=False))
        page.field("### #### ####", 0.1, 0.92, 5, (20, 20, 22), script="latin")
        return
    page.field("{U} {U}", 0.07, 0.92, 7, ink)
    if layout.number < 0.8:
        page.field("#### #### ####", 0.07, 0.82, 9, ink, page.number_font, script="latin")
