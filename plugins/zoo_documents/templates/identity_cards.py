"""Compose identity cards."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.card_features import draw_chip
from zoo_documents.drawing.fields import Signature
from zoo_documents.templates.identity_elements import (
    TitledLayout,
    add_labelled_rows,
    add_machine_readable_zone,
    add_portrait,
    print_security_features,
    print_title_band,
)

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page


@dataclass(frozen=True, slots=True)
class _Layout(TitledLayout):
    portrait_right: float
    portrait_height: float
    portrait_grey: float
    columns: float
    ghost_portrait: float
    chip: float
    title_in_latin: float
    emblem_size: float


def compose_identity_card(page: Page) -> None:
    """Compose a title, a portrait, rows of labels and values, and often a chip or a machine-readable zone."""
    layout = _Layout.draw(page.generator("layout"))
    page.paint(calm=True)
    print_security_features(page)
    top = print_title_band(
        page, "identity", layout, title_in_latin=layout.title_in_latin < 0.3, emblem_size=layout.emblem_size
    )
    zone = layout.machine_readable_zone < 0.25
    on_right = layout.portrait_right < 0.3
    portrait_x = 0.72 if on_right else 0.05
    height = (0.42 if zone else 0.5) + 0.08 * layout.portrait_height
    edge = add_portrait(page, portrait_x, top + 0.04, 0.23, height, grey=layout.portrait_grey < 0.3)
    x = 0.05 if on_right else edge + 0.04
    width = 0.98 - x - (0.3 if on_right else 0)
    add_labelled_rows(page, x, top + 0.08, width, 0.74 if zone else 0.93, columns=1 + (layout.columns < 0.35))
    if layout.ghost_portrait < 0.4 and not on_right:
        add_portrait(page, 0.84, 0.58, 0.11, 0.2, grey=True, opacity=0.45)
    if layout.chip < 0.25:
        draw_chip(page, 0.8, top + 0.05, 0.15)
    if zone:
        add_machine_readable_zone(page, 3, 30)
    else:
        left, level = page.layer_pixel(portrait_x, min(top + height + 0.06, 0.88))
        page.fields.append(Signature(left, level, page.width // 4, max(6, page.height // 10), page.palette.ink))
