"""Compose business cards, banknotes and members' cards."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_documents.drawing import emblems, figures
from zoo_documents.drawing.fields import Barcode, Portrait
from zoo_documents.drawing.palettes import luminance, mix

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page
    from zoo_documents.drawing.palettes import Colour

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (20, 20, 22)


def business_card(page: Page) -> None:
    """A logo, a name, an address in small print, much room."""
    u = page.generator("layout").random(10).tolist()
    palette = page.palette
    page.canvas[:] = mix(palette.paper, _WHITE, 0.8) if u[0] < 0.6 else palette.paper
    if u[1] < 0.25:
        page.picture()
        page.box(0.04, 0.4, 0.6, 0.96, mix(palette.paper, _WHITE, 0.8))
    elif u[1] < 0.6:
        side = 0.05 + 0.3 * u[2]
        edges = ((0.0, 0.0, side, 1.0), (1 - side, 0.0, 1.0, 1.0), (0.0, 1 - side / 2, 1.0, 1.0), (0.0, 0.0, 1.0, side))
        left, top, right, bottom = edges[int(4 * u[3])]
        page.box(left, top, right, bottom, palette.accent)
    x, y = page.canvas_pixel(0.15 + 0.7 * u[2], 0.2 + 0.1 * u[3])
    emblems.draw_emblem(page.canvas, page.generator("emblem"), palette, (x, y), page.canvas_length(0.08 + 0.1 * u[4]))
    ink = _BLACK if luminance(palette.paper) > 120 or u[0] < 0.6 else _WHITE
    page.text(
        page.words("title", 2), 0.08 + 0.2 * u[5], 0.2 + 0.1 * u[6], 8 + 6 * u[7], ink, page.title_font, max_width=0.6
    )
    page.field("{w} {w}", 0.08, 0.5, 10 + 3 * u[8], ink, page.title_font)
    page.text(page.words("role", 2), 0.08, 0.6, 5.5, mix(ink, palette.accent, 0.5), max_width=0.5)
    for row, pattern in enumerate(("{w} ##, {w}", "## ### ####", "{w}@{w}.##", "www.{w}.com")[: 2 + int(3 * u[9])]):
        page.field(pattern, 0.08 + (0.42 if u[4] < 0.4 else 0), 0.7 + 0.075 * row, 5.5, ink)


def banknote(page: Page) -> None:
    """A large portrait or view, rosettes, figures in all corners, a serial number."""
    u = page.generator("layout").random(10).tolist()
    page.paint(calm=True)
    page.picture(calm=u[0] < 0.5)
    palette = page.palette
    if u[1] < 0.6:
        x, y = page.layer_pixel(0.35 + 0.35 * u[2], 0.12)
        size = round(0.24 * page.width), round(0.8 * page.height)
        # The same person on all notes: a portrait is part of what is printed here.
        number = int(page.generator("portrait").integers(2**31))
        tint = mix(palette.ink, palette.accent, 0.5)
        portrait = Portrait(page.faces, x, y, *size, number=number, tint=tint, opacity=0.75)
        page.fields.insert(0, portrait)
    value = ("1", "2", "5", "10", "20", "50", "100", "500", "1000", "10000")[int(10 * u[3])]
    ink = mix(palette.accent, _BLACK, 0.4)
    corners = ((0.04, 0.14, 0, 20), (0.96, 0.86, 1, 26), (0.04, 0.86, 0, 12), (0.96, 0.14, 1, 14))
    for across, down, align, letters in corners:
        page.text(value, across, down, letters, ink, page.title_font, align, max_width=0.3)
    page.text(page.words("title", 2), 0.3, 0.12, 8 + 4 * u[4], ink, page.title_font, max_width=0.5)
    page.emblem(0.15 + 0.1 * u[5], 0.5, 0.14)
    for place in ((0.06, 0.28), (0.66, 0.72)):
        page.field("@@ ######", *place, 7, mix(palette.second_accent, _BLACK, 0.5), page.number_font, script="latin")


def member_card(page: Page) -> None:
    """A club's or a shop's card: a name, art, a number or a barcode."""
    u = page.generator("layout").random(10).tolist()
    page.paint(calm=u[0] < 0.25)
    kind = u[1]
    if kind < 0.55:
        page.picture()
    elif kind < 0.8:
        figures.draw_figure(
            page.canvas,
            page.generator("art"),
            page.palette,
            page.canvas_pixel(0.3 + 0.5 * u[2], 0.5),
            page.canvas_length(0.3 + 0.15 * u[3]),
        )
    ink = _WHITE if page.palette.dark else page.palette.ink
    x, align = ((0.07, 0.0), (0.5, 0.5), (0.93, 1.0))[int(3 * u[4])]
    page.text(
        page.words("title", 1 + int(2 * u[5])), x, 0.14 + 0.25 * u[6], 11 + 14 * u[7], ink, page.title_font, align
    )
    page.text(page.words("slogan", 3), x, 0.3 + 0.25 * u[6], 6, ink, align=align)
    page.emblem(0.12 + 0.76 * u[8], 0.75, 0.1 + 0.06 * u[2])
    if u[9] < 0.4:
        page.box(0.05, 0.74, 0.62, 0.95, _WHITE)
        left, top = page.layer_pixel(0.08, 0.77)
        page.fields.append(Barcode(left, top, round(0.5 * page.width), max(8, page.height // 9), square=False))
        page.field("### #### ####", 0.1, 0.92, 5, _BLACK, script="latin")
    else:
        page.field("{U} {U}", 0.07, 0.92, 7, ink)
    if 0.4 <= u[9] < 0.8:
        page.field("#### #### ####", 0.07, 0.82, 9, ink, page.number_font, script="latin")
