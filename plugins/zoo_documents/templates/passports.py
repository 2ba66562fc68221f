"""Compose the data pages of passports."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.words import TITLES
from zoo_documents.templates.decisions import Decisions
from zoo_documents.templates.identity_elements import (
    add_labelled_rows,
    add_machine_readable_zone,
    add_portrait,
    print_security_features,
)

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    title: float
    country_size: float
    country_colour: float
    title_size: float
    portrait_right: float
    portrait_grey: float
    columns: float
    emblem: float
    emblem_x: float
    emblem_y: float
    emblem_size: float


def compose_passport(page: Page) -> None:
    """Compose country and title at the top, a large portrait, and two lines of machine-readable zone."""
    layout = _Layout.draw(page.generator("layout"))
    page.paint(calm=True)
    print_security_features(page)
    accent = page.palette.accent
    country = page.words("title", 2, capitals=True)
    colour = accent if layout.country_colour < 0.5 else None
    page.text(country, 0.5, 0.06, 8 + 4 * layout.country_size, colour, page.title_font, align=0.5)
    page.text(choose(layout.title, TITLES["passport"]), 0.05, 0.15, 7 + 3 * layout.title_size, font=page.title_font)
    on_right = layout.portrait_right < 0.12
    edge = add_portrait(page, 0.68 if on_right else 0.05, 0.22, 0.27, 0.48, grey=layout.portrait_grey < 0.25)
    page.field("@########", 0.4 if on_right else 0.7, 0.15, 8, accent, page.number_font, script="latin")
    x = 0.05 if on_right else edge + 0.03
    add_labelled_rows(page, x, 0.25, 0.6, 0.75, columns=1 + (layout.columns < 0.5))
    if layout.emblem < 0.5:
        x, y = 0.6 + 0.3 * layout.emblem_x, 0.35 + 0.25 * layout.emblem_y
        page.emblem(x, y, 0.06 + 0.08 * layout.emblem_size)
    add_machine_readable_zone(page, 2, 44)
