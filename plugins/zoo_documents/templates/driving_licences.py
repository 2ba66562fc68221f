"""Compose driving licences."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo_documents.drawing.emblems import draw_flag
from zoo_documents.drawing.fields import Signature
from zoo_documents.drawing.palettes import mix
from zoo_documents.templates.identity_elements import (
    TitledLayout,
    add_portrait,
    print_security_features,
    print_title_band,
)

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page

_VALUES = ("{U}", "{U} {U}", "{d}.{m}.{y} {U}", "{d}.{m}.{y}", "{d}.{m}.{y}", "@@###### #@@", "{w} {w} ##")


@dataclass(frozen=True, slots=True)
class _Layout(TitledLayout):
    flag: float
    portrait_height: float
    portrait_grey: float
    rows: float
    value_size: float
    class_label: float
    title_in_latin: float
    emblem_size: float
    classes: float


def compose_driving_licence(page: Page) -> None:
    """Compose a title, on some licences a flag, a portrait, numbered rows, and a table of vehicle classes."""
    layout = _Layout.draw(page.generator("layout"))
    page.paint(calm=True)
    print_security_features(page)
    top = print_title_band(
        page, "licence", layout, title_in_latin=layout.title_in_latin < 0.3, emblem_size=layout.emblem_size
    )
    if layout.flag < 0.5:
        draw_flag(page.canvas, page.generator("flag"), page.canvas_pixel(0.8, 0.28), page.canvas_length(0.16))
    height = 0.42 + 0.1 * layout.portrait_height
    edge = add_portrait(page, 0.05, top + 0.08, 0.24, height, grey=layout.portrait_grey < 0.4)
    rows = 5 + int(3 * layout.rows)
    for row, value in enumerate(_VALUES[:rows]):
        y = top + 0.1 + row * (0.82 - top) / rows
        page.text(f"{row + 1}.", edge + 0.03, y, 6, page.faint_ink())
        page.field(value, edge + 0.09, y, 6.5 + layout.value_size, max_width=0.89 - edge)
    page.text("9." if layout.class_label < 0.5 else "CLASS", 0.05, 0.92, 7, page.faint_ink())
    frame = mix(page.palette.tint, page.palette.accent, 0.3)
    for column in range(3 + int(4 * layout.classes)):
        page.box(0.14 + 0.1 * column, 0.86, 0.23 + 0.1 * column, 0.97, frame, 1)
        page.text("ABCDEFM"[column], 0.185 + 0.1 * column, 0.92, 7, align=0.5)
    x, y = page.layer_pixel(0.74, 0.72)
    page.fields.append(Signature(x, y, page.width // 5, max(6, page.height // 9), page.palette.ink))
