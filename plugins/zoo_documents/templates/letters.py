"""Compose letters."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.fields import Paragraph, Signature
from zoo_documents.drawing.palettes import WHITE, luminance
from zoo_documents.drawing.words import Pattern
from zoo_documents.templates.decisions import Decisions
from zoo_documents.templates.paper import paint_paper

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page
    from zoo_documents.drawing.palettes import Colour


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    plain_paper: float
    band: float
    band_width: float
    sender_align: float
    emblem_y: float
    emblem_size: float
    sender_size: float
    address_y: float
    date_y: float
    subject_size: float
    paragraphs: float
    paragraph_lines: float
    signature_x: float
    footer: float
    footer_columns: float


def compose_letter(page: Page) -> None:
    """Compose a letterhead, an address, a date, paragraphs, a signature and a footer."""
    layout = _Layout.draw(page.generator("layout"))
    paint_paper(page, plain=layout.plain_paper < 0.75)
    colour = page.palette.accent if luminance(page.palette.accent) < 190 else page.palette.ink
    _print_letterhead(page, layout, colour)
    left = 0.2 if 0.3 <= layout.band < 0.45 else 0.1
    top = 0.18 + 0.04 * layout.address_y
    x, y = page.layer_pixel(left, top)
    address = Pattern("{w} {w} ##", page.script)
    pitch, ink = page.line_pitch(7), page.palette.ink
    page.fields.append(Paragraph(page.font(6), address, x, y, page.width // 2, pitch, 3, 3, ink))
    page.field("{d}.{m}.{y}", 0.92, top + 0.1 * layout.date_y, 6, right=True)
    page.field("{w} {w} {w}", left, top + 0.17, 7 + layout.subject_size, colour, page.title_font)
    bottom = _add_paragraphs(page, layout, left, top + 0.21)
    x, y = page.layer_pixel(left if layout.signature_x < 0.6 else 0.6, min(bottom + 0.02, 0.82))
    page.fields.append(Signature(x, y, page.width // 4, 12, (30, 40, 120)))
    if layout.footer < 0.7:
        for column in range(1 + int(3 * layout.footer_columns)):
            for row in range(2):
                text, faint = page.words(f"footer {column} {row}", 2), page.faint_ink()
                page.text(text, left + 0.28 * column, 0.94 + 0.025 * row, 4, faint)


def _print_letterhead(page: Page, layout: _Layout, colour: Colour) -> None:
    """Print the sender's name, slogan and emblem, with a band above or beside the text, a line, or neither."""
    if layout.band < 0.3:
        page.box(0, 0, 1, 0.1 + 0.06 * layout.band_width, colour)
    elif layout.band < 0.45:
        page.box(0, 0, 0.04 + 0.12 * layout.band_width, 1, colour)
    elif layout.band < 0.6:
        page.box(0.06, 0.13, 0.94, 0.135, colour)
    align, x, emblem_x = choose(layout.sender_align, ((0.0, 0.12, 0.85), (0.5, 0.5, 0.12), (1.0, 0.9, 0.14)))
    page.emblem(emblem_x, 0.065 + 0.02 * layout.emblem_y, 0.05 + 0.05 * layout.emblem_size)
    ink = WHITE if layout.band < 0.3 else colour
    page.text(page.words("title", 2), x, 0.05, 9 + 6 * layout.sender_size, ink, page.title_font, align)
    page.text(page.words("slogan", 3), x, 0.09, 5, ink, align=align)


def _add_paragraphs(page: Page, layout: _Layout, left: float, y: float) -> float:
    """Add paragraphs until the page is full; return the y of the last one's end."""
    pattern = Pattern(" ".join(["{w}"] * 9), page.script)
    width, pitch, ink = round(page.width * (0.92 - left)), page.line_pitch(6), page.faint_ink(0.2)
    most = 3 + int(4 * layout.paragraph_lines)
    for _ in range(1 + int(3 * layout.paragraphs)):
        x0, y0 = page.layer_pixel(left, y)
        page.fields.append(Paragraph(page.font(5), pattern, x0, y0, width, pitch, 2, most, ink))
        y += (most + 1.2) * pitch / page.height
        if y > 0.75:
            break
    return y
