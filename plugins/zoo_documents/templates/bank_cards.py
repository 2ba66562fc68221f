"""Compose payment cards: faces of many makes, and backs with a magnetic stripe."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing import chips, emblems, figures
from zoo_documents.drawing.fields import Signature
from zoo_documents.drawing.fonts import MONO, SANS, SERIF
from zoo_documents.drawing.palettes import luminance, mix, random_colour
from zoo_documents.drawing.scheme_marks import draw_scheme_mark
from zoo_documents.drawing.words import TITLES

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page
    from zoo_documents.drawing.palettes import Colour

_WHITE: Colour = (255, 255, 255)
_METALS: tuple[Colour, ...] = ((206, 209, 214), (214, 190, 130), (236, 238, 240), (150, 152, 156))


def bank_card(page: Page) -> None:
    """Plain or vivid background, mostly a picture; issuer, chip, number, scheme's mark."""
    upright = page.height > page.width
    page.paint(calm=False)
    u = page.generator("layout").random(32).tolist()
    if u[24] < 0.3:  # a pattern, hardly to be seen
        page.picture("texture", calm=True)
    _pictures(page)
    _issuer(page, u, upright=upright)
    spot = (0.07 + 0.04 * u[7], 0.29 + 0.11 * u[8]) if not upright else (0.12 + 0.5 * u[7], 0.1 + 0.55 * u[8])
    if u[6] < 0.88:
        chips.draw_chip(
            page.canvas, page.generator("chip"), page.canvas_pixel(*spot), page.canvas_length(0.14 + 0.05 * u[9])
        )
    if u[10] < 0.5:
        place = (spot[0] + 0.19, spot[1] + 0.08) if u[11] < 0.4 else (0.92, 0.2 + 0.25 * u[12])
        ink = page.readable_ink(*place)
        chips.draw_contactless_sign(page.canvas, page.canvas_pixel(*place), page.canvas_length(0.06), ink)
    if u[13] < 0.15:
        _hologram(page, 0.8, 0.5, 0.17, 0.17)
    _small_print(page, u)
    _fields(page, u, upright=upright)
    draw_scheme_mark(page)


def _issuer(page: Page, u: list[float], *, upright: bool) -> None:
    left = u[0] < 0.6
    level = (0.13 if not upright else 0.08) + 0.03 * u[1]
    ink = page.readable_ink(0.3 if left else 0.75, level)
    if u[2] < 0.25 and page.palette.accent != ink:
        ink = mix(page.palette.accent, ink, 0.35)
    radius = 0.055 + 0.045 * u[2]
    beside = (0.11 if upright else 0.09) if left else 0.91
    page.emblem(beside, level, radius)
    name = page.words("title", 1 + int(2 * u[3])) + ("" if u[4] < 0.7 else " Bank")
    gap = radius / (page.width / page.height) + 0.02 if not upright else radius + 0.03
    x = beside + gap if left else beside - gap
    rows = [(name, 0.0, 10 + 7 * u[5])]
    if u[14] < 0.45:  # the name again, smaller
        rows = [(name, -0.035, 9 + 5 * u[5]), (page.words("slogan", 2), 0.045, 5 + 2 * u[5])]
    for text, offset, size in rows:
        page.text(text, x, level + offset, size, ink, page.title_font, 0 if left else 1, 0.6)
    if u[15] < 0.6:
        tier = TITLES["bank"][int(u[16] * len(TITLES["bank"]))]
        places = ((0.95, 0.76), (0.95, 0.12), (0.95, 0.3), (0.08, 0.24), (0.5, 0.4), (0.95, 0.7))
        x, y = places[int(6 * u[17])]
        if x > 0.9 and y < 0.2 and not left:
            y = 0.72
        font = (*SERIF, *SANS, "cmti10", "STIXGeneralItalic", page.title_font)[int(u[18] * 11)]
        page.text(
            tier,
            x,
            y,
            7 + 7 * u[19],
            page.readable_ink(x, y),
            font,
            align=1 if x > 0.9 else 0.5 if x == 0.5 else 0,
            max_width=0.5,
        )
    if u[20] < 0.2:  # a partner's mark
        x = 0.9 if left else 0.12
        page.emblem(x, level, 0.09, "partner")


def _small_print(page: Page, u: list[float]) -> None:
    """Lines that nobody reads: where it is valid, what it is not, whom to call."""
    if u[25] < 0.35:
        x, y = 0.07 + 0.5 * u[26], (0.95, 0.24, 0.49, 0.7)[int(4 * u[27])]
        page.text(
            page.words("print", 2 + int(2 * u[28]), capitals=u[28] < 0.6),
            x,
            y,
            4,
            page.readable_ink(x, y),
            max_width=0.4,
        )
    if u[29] < 0.2:
        x = 0.62 + 0.3 * u[30]
        for row in range(2 + int(3 * u[31])):
            page.text(page.words(f"print {row}", 2), x, 0.4 + 0.055 * row, 4, page.readable_ink(x, 0.45), max_width=0.3)


def _fields(page: Page, u: list[float], *, upright: bool) -> None:
    light = page.readable_ink(0.5, 0.62)
    draw = u[12]
    ink = _METALS[int(u[14] * 4)] if draw < 0.55 else light
    dark = luminance(ink) > 128
    relief = mix(ink, (0, 0, 0) if dark else _WHITE, 0.75) if draw < 0.75 else None
    script = page.script if page.script in {"cyrillic", "greek"} and u[18] < 0.3 else "latin"
    field = partial(page.field, script=script, relief=relief)
    font = MONO[1] if draw < 0.75 else page.number_font
    if u[21] < 0.06:  # a modern one: little but art
        field("{U} {U}", 0.08, 0.9, 6.5, light, page.body_font, max_width=0.6)
        return
    if upright or u[21] < 0.12:
        x, y = (0.1, 0.3 + 0.2 * u[15]) if upright else (0.7, 0.15)
        for row in range(4):
            field("####", x, y + 0.075 * row, 8 + 2 * u[16], ink, font)
    else:
        y = 0.55 + 0.07 * u[15]
        patterns = ("#### #### #### ####",) * 4 + ("#### ###### #####",)
        field(
            patterns[int(5 * u[16])], 0.07 + 0.03 * u[17], y, 12, ink, font, stretch=(0.95, 1.05, 1.12)[int(3 * u[22])]
        )
        if u[22] < 0.4:
            field("####", 0.08, y + 0.09, 4.5, light, page.number_font)
    dates = (0.08 + 0.32 * u[0], 0.745 + 0.03 * u[1]) if not upright else (0.1, 0.84)
    page.text(("VALID THRU", "GOOD THRU", "MONTH/YEAR", "")[int(4 * u[2])] or " ", *dates, 3.5, light, max_width=0.12)
    pattern = ("{m}/{s}", "{m}/{s}", "{m}/{s}-{m}/{s}", "{m} / {s}")[int(4 * u[3])]
    field(pattern, dates[0] + (0.13 if not upright else 0.2), dates[1], 8, ink, font)
    if u[23] < 0.85:
        field(
            "{U} {U}",
            0.08,
            0.88 if not upright else 0.93,
            6.5 + 2 * u[4] if not upright else 7,
            ink,
            font if u[5] < 0.6 else page.body_font,
            max_width=0.6,
        )


def _pictures(page: Page) -> None:
    """Most issuers print something to recognise their card by."""
    generator = page.generator("art")
    kind, x, y, size, tone, more = generator.random(6).tolist()
    colour = mix(random_colour(generator), _WHITE if page.palette.dark else (0, 0, 0), 0.4 * tone)
    centre = page.canvas_pixel(0.2 + 0.65 * x, 0.3 + 0.4 * y)
    if kind < 0.55:
        page.picture()
        if more < 0.15:
            page.picture("more art")
    if 0.45 < kind < 0.68:
        figures.draw_figure(page.canvas, generator, page.palette, centre, page.canvas_length(0.2 + 0.3 * size))
    elif 0.68 < kind < 0.8:
        _lettering(page, colour, (0.3 + 0.4 * x, 0.35 + 0.4 * y), 18 + 60 * size * size)
    elif 0.8 < kind < 0.84:
        emblems.draw_emblem(page.canvas, generator, page.palette, centre, page.canvas_length(0.3 + 0.3 * size))
    elif 0.84 < kind < 0.9:
        for row in range(2 + int(2 * size)):
            for column in range(3 + int(2 * tone)):
                spot = page.canvas_pixel(0.35 + 0.14 * column, 0.3 + 0.19 * row)
                emblems.draw_emblem(page.canvas, generator, page.palette, spot, page.canvas_length(0.06))
    elif 0.9 < kind < 0.94:
        edge = 0.25 + 0.5 * x
        left, top = (edge, 0.0) if size < 0.5 else (0.0, 0.35 + 0.5 * y)
        page.box(left, top, 1, 1, colour)


def _lettering(page: Page, colour: Colour, centre: tuple[float, float], size: float) -> None:
    """A word as a picture, with a shadow perhaps."""
    generator = page.generator("lettering")
    shadow, shade, font = generator.random(3).tolist()
    names = (*SANS, *SERIF, "cmti10", "STIXGeneralBolIta")
    name = names[int(font * len(names))] if page.script == "latin" else page.title_font
    word = page.words("art", 1, capitals=shade < 0.3)
    if shadow < 0.5:
        page.text(word, centre[0] + 0.012, centre[1] + 0.02, size, mix(colour, (0, 0, 0), 0.8), name, align=0.5)
    page.text(word, *centre, size, colour, name, align=0.5)


def _hologram(page: Page, x: float, y: float, width: float, height: float) -> None:
    """A patch that shimmers in all hues."""
    left, top = page.canvas_pixel(x, y)
    right, bottom = page.canvas_pixel(x + width, y + height)
    generator = page.generator("hologram")
    base = np.linspace(0, 255, max(2, right - left))[None] * float(0.5 + generator.random())
    wave = base + np.linspace(0, 255 * float(generator.random()), max(2, bottom - top))[:, None]
    colours = cv2.applyColorMap((wave % 256).astype(np.uint8), cv2.COLORMAP_HSV)
    page.canvas[top:bottom, left:right] = cv2.addWeighted(colours, 0.4, np.full_like(colours, 205), 0.6, 0)[
        : bottom - top, : right - left
    ]


def card_back(page: Page) -> None:
    """Magnetic stripe, signature panel, small print."""
    page.paint(calm=False)
    u = page.generator("layout").random(10).tolist()
    if u[0] < 0.3:
        page.picture()
    top = 0.06 + 0.1 * u[1]
    page.box(0, top, 1, top + 0.17 + 0.05 * u[2], ((15, 15, 18), (60, 45, 30), (190, 160, 80))[int(3 * u[3] ** 2)])
    level = top + 0.28
    wide = 0.55 + 0.3 * u[4]
    page.box(0.06, level, wide, level + 0.14, (240, 238, 228))
    x, y = page.layer_pixel(0.08, level + 0.01)
    page.fields.append(Signature(x, y, int(page.width * 0.35), max(6, int(page.height * 0.12)), (30, 35, 90)))
    page.field("#### ###", wide - 0.2, level + 0.07, 7, (40, 40, 45), page.number_font, script="latin")
    ink = page.readable_ink(0.4, 0.75)
    for row in range(2 + int(4 * u[5])):
        page.text(page.words(f"print {row}", 5), 0.06, level + 0.22 + 0.055 * row, 4, ink, max_width=0.6 + 0.3 * u[6])
    if u[7] < 0.5:
        _hologram(page, 0.74, level + 0.02, 0.16, 0.14)
    page.emblem(0.88, 0.86, 0.09)
    page.text(page.words("title", 1), 0.78, 0.88, 8, ink, page.title_font, 1, 0.4)
