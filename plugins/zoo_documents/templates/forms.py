"""Compose forms."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.fields import Signature
from zoo_documents.drawing.palettes import WHITE, luminance, mix
from zoo_documents.drawing.words import LABELS, TITLES
from zoo_documents.templates.decisions import Decisions
from zoo_documents.templates.paper import paint_paper

if TYPE_CHECKING:
    import numpy as np

    from zoo_documents.drawing.pages import Page
    from zoo_documents.drawing.palettes import Colour


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    plain_paper: float
    band_height: float
    band: float
    title: float
    title_align: float
    title_size: float
    emblem_size: float
    handwriting_colour: float
    issuer_size: float
    # The rows of boxes are drawn from the same stream: without these three they would change.
    unused_1: float
    unused_2: float
    unused_3: float


def compose_form(page: Page) -> None:
    """Compose a title over rows of labelled boxes, some of them filled in."""
    generator = page.generator("layout")
    layout = _Layout.draw(generator)
    paint_paper(page, plain=layout.plain_paper < 0.55)
    palette = page.palette
    colour = palette.accent if luminance(palette.accent) < 190 else palette.ink
    y = _print_title(page, layout, colour) + 0.03
    handwriting = (25, 40, 130) if layout.handwriting_colour < 0.6 else palette.ink
    while y < 0.88:
        height = 0.045 + 0.05 * float(generator.random())
        columns = int(generator.integers(1, 5))
        if generator.random() < 0.15:
            page.box(0.05, y, 0.95, y + 0.03, colour)
            page.text(page.words(f"section {y:.3f}", 2), 0.07, y + 0.015, 5, WHITE)
            y += 0.04
            continue
        for column in range(columns):
            left, right = 0.05 + 0.9 * column / columns, 0.05 + 0.9 * (column + 1) / columns
            _add_box(page, generator, (left, y, right, height), f"{y:.3f} {column}", handwriting)
        y += height
    x0, y0 = page.layer_pixel(0.6, 0.91)
    page.fields.append(Signature(x0, y0, page.width // 3, max(8, page.height // 16), handwriting))


def _print_title(page: Page, layout: _Layout, colour: Colour) -> float:
    """Print issuer, title and emblem, on a band or not; return where they end."""
    height = 0.1 + 0.06 * layout.band_height
    band = layout.band < 0.6
    if band:
        page.box(0, 0, 1, height, colour)
    ink = WHITE if band else colour
    title = choose(layout.title, TITLES["form"]) if page.script == "latin" else page.words("heading", 2)
    x, align = (0.5, 0.5) if layout.title_align < 0.5 else (0.06, 0.0)
    issuer_size = 6 + 2 * layout.issuer_size
    page.text(page.words("title", 2), x, height * 0.25, issuer_size, ink, align=align, max_width=0.7)
    page.text(title, x, height * 0.65, 8 + 5 * layout.title_size, ink, page.title_font, align, max_width=0.7)
    page.emblem(0.9, height * 0.5, 0.06 + 0.03 * layout.emblem_size)
    return height


def _add_box(
    page: Page,
    generator: np.random.Generator,
    box: tuple[float, float, float, float],
    stream: str,
    handwriting: Colour,
) -> None:
    """Print a labelled box (left, top, right, height), and add a field to most boxes."""
    left, top, right, height = box
    if generator.random() < 0.3:
        page.box(left, top, right, top + height, mix(page.palette.paper, page.palette.tint, 0.7))
    page.box(left, top, right, top + height, page.faint_ink(0.4), 1)
    latin = page.script == "latin"
    label = LABELS[int(generator.integers(len(LABELS)))] if latin else page.words(stream, 1)
    page.text(label, left + 0.01, top + 0.013, 3.5, page.faint_ink(0.3))
    value = ("{w}", "{d}.{m}.{y}", "#####", "{w}", "##")[int(generator.integers(5))]
    if generator.random() < 0.75:
        page.field(value, left + 0.02, top + height * 0.62, 6, handwriting)
