"""Compose the back of payment cards."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.card_features import draw_hologram
from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.fields import Signature
from zoo_documents.templates.decisions import Decisions

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    picture: float
    stripe_y: float
    stripe_height: float
    stripe_colour: float
    panel_width: float
    lines: float
    line_width: float
    hologram: float


def compose_card_back(page: Page) -> None:
    """Compose a magnetic stripe, a signature panel and small text."""
    layout = _Layout.draw(page.generator("layout"))
    page.paint(calm=False)
    if layout.picture < 0.3:
        page.picture()
    top = 0.06 + 0.1 * layout.stripe_y
    # Squared, because most stripes are black.
    stripe = choose(layout.stripe_colour**2, ((15, 15, 18), (60, 45, 30), (190, 160, 80)))
    page.box(0, top, 1, top + 0.17 + 0.05 * layout.stripe_height, stripe)
    panel = top + 0.28
    right = 0.55 + 0.3 * layout.panel_width
    page.box(0.06, panel, right, panel + 0.14, (240, 238, 228))
    x, y = page.layer_pixel(0.08, panel + 0.01)
    page.fields.append(Signature(x, y, int(page.width * 0.35), max(6, int(page.height * 0.12)), (30, 35, 90)))
    page.field("#### ###", right - 0.2, panel + 0.07, 7, (40, 40, 45), page.number_font, script="latin")
    ink = page.readable_ink(0.4, 0.75)
    for line in range(2 + int(4 * layout.lines)):
        text, level = page.words(f"print {line}", 5), panel + 0.22 + 0.055 * line
        page.text(text, 0.06, level, 4, ink, max_width=0.6 + 0.3 * layout.line_width)
    if layout.hologram < 0.5:
        draw_hologram(page, 0.74, panel + 0.02, 0.16, 0.14)
    page.emblem(0.88, 0.86, 0.09)
    page.text(page.words("title", 1), 0.78, 0.88, 8, ink, page.title_font, 1, max_width=0.4)
