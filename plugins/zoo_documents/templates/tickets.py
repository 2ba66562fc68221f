"""Compose tickets."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.fields import Barcode
from zoo_documents.drawing.figures import draw_figure
from zoo_documents.drawing.palettes import BLACK, WHITE, mix, random_colour
from zoo_documents.drawing.words import TITLES
from zoo_documents.templates.decisions import Decisions

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page

_LABELS = (("DATE", "{d}.{m}.{s}", 0), ("ROW", "##", 0.36), ("SEAT", "##@", 0.52), ("NAME", "{w}", 0.72))


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    calm: float
    stub_x: float
    stub: float
    stub_colour: float
    band: float
    panel: float
    title: float
    issuer_size: float
    title_size: float
    title_colour: float
    figure: float
    square_barcode: float


def compose_ticket(page: Page) -> None:
    """Compose a title on a mostly vivid background, labelled values, and a stub with a barcode."""
    layout = _Layout.draw(page.generator("layout"))
    page.paint(calm=layout.calm < 0.35)
    palette = page.palette
    edge = 0.7 + 0.1 * layout.stub_x
    if layout.stub < 0.6:
        pale = mix(palette.paper, WHITE, 0.7)
        page.box(edge, 0, 1, 1, pale if layout.stub_colour < 0.6 else random_colour(page.generator("stub")))
    for dash in range(12):
        page.box(edge, dash / 12, edge + 0.004, (dash + 0.5) / 12, palette.ink)
    if layout.band < 0.4:
        page.box(0, 0, edge, 0.22, palette.accent)
    if layout.panel < 0.5:
        page.box(0.04, 0.55, edge - 0.04, 0.94, mix(palette.paper, BLACK if palette.dark else WHITE, 0.75))
    if layout.figure < 0.6:
        centre = page.canvas_pixel(edge - 0.12, 0.3)
        draw_figure(page.canvas, page.generator("art"), palette, centre, page.canvas_length(0.28))
    issuer = page.words("title", 2)
    page.text(issuer, 0.05, 0.12, 8 + 5 * layout.issuer_size, font=page.title_font, max_width=edge - 0.1)
    title = choose(layout.title, TITLES["ticket"]) if page.script == "latin" else page.words("heading", 1)
    colour = palette.second_accent if layout.title_colour < 0.4 else None
    page.text(title, 0.05, 0.36, 12 + 12 * layout.title_size, colour, page.title_font, max_width=edge - 0.1)
    page.emblem(edge + 0.1, 0.17, 0.13)
    for label, value, offset in _LABELS:
        x = 0.06 + offset * (edge - 0.08)
        text = label if page.script == "latin" else page.words(label, 1)
        page.text(text, x, 0.64, 5, page.faint_ink(0.2), max_width=0.1)
        page.field(value, x, 0.8, 7, font=page.number_font, stretch=0.9, max_width=edge - x)
    _add_barcode(page, edge, square=layout.square_barcode < 0.5)
    page.field("@@-#####", edge + 0.04, 0.92, 6, font=page.number_font, script="latin")


def _add_barcode(page: Page, edge: float, *, square: bool) -> None:
    left, top = page.layer_pixel(edge + 0.05, 0.35)
    width = round((0.9 - edge) * page.width)
    height = min(width, page.height // 2) if square else page.height // 3
    page.fields.append(Barcode(left, top, width, height, square=square))
