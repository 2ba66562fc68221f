"""Compose identity cards, driving licences and passports' data pages."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from zoo_documents.drawing import chips, emblems
from zoo_documents.drawing.fields import Barcode, Portrait, Signature
from zoo_documents.drawing.fonts import MONO
from zoo_documents.drawing.palettes import luminance, mix
from zoo_documents.drawing.words import LABELS, TITLES

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page

_DATES = ("{d}.{m}.{y}", "{y}-{m}-{d}", "{d}/{m}/{y}", "{d} {m} {y}")


def identity_card(page: Page) -> None:
    """Portrait, rows of labels and values, a title, and often a chip or a machine-readable zone."""
    u = page.generator("layout").random(14).tolist()
    page.paint(calm=True)
    _security(page)
    zone = u[0] < 0.25
    top = _title_band(page, u, "identity")
    mirrored = u[8] < 0.3
    height = (0.42 if zone else 0.5) + 0.08 * u[9]
    box = _portrait(page, 0.72 if mirrored else 0.05, top + 0.04, 0.23, height, grey=u[10] < 0.3)
    start = 0.05 if mirrored else box + 0.04
    _rows(
        page,
        start,
        top + 0.08,
        0.98 - start - (0.3 if mirrored else 0),
        0.74 if zone else 0.93,
        columns=1 + (u[11] < 0.35),
    )
    if u[12] < 0.4 and not mirrored:
        _portrait(page, 0.84, 0.58, 0.11, 0.2, grey=True, opacity=0.45)
    if u[13] < 0.25:
        chips.draw_chip(
            page.canvas, page.generator("chip"), page.canvas_pixel(0.8, top + 0.05), page.canvas_length(0.15)
        )
    if zone:
        _zone(page, 3, 30)
    else:
        x, y = page.layer_pixel(0.72 if mirrored else 0.05, min(top + height + 0.06, 0.88))
        page.fields.append(Signature(x, y, page.width // 4, max(6, page.height // 10), page.palette.ink))


def driving_licence(page: Page) -> None:
    """Numbered rows, a flag or letter, a table of categories."""
    u = page.generator("layout").random(14).tolist()
    page.paint(calm=True)
    _security(page)
    top = _title_band(page, u, "licence")
    if u[8] < 0.5:
        emblems.draw_flag(page.canvas, page.generator("flag"), page.canvas_pixel(0.8, 0.28), page.canvas_length(0.16))
    box = _portrait(page, 0.05, top + 0.08, 0.24, 0.42 + 0.1 * u[9], grey=u[10] < 0.4)
    values = ("{U}", "{U} {U}", "{d}.{m}.{y} {U}", "{d}.{m}.{y}", "{d}.{m}.{y}", "@@###### #@@", "{w} {w} ##")
    count = 5 + int(3 * u[11])
    for row, value in enumerate(values[:count]):
        height = top + 0.1 + row * (0.82 - top) / count
        page.text(f"{row + 1}.", box + 0.03, height, 6, page.faint_ink())
        page.field(value, box + 0.09, height, 6.5 + u[12], max_width=0.89 - box)
    page.text("9." if u[13] < 0.5 else "CLASS", 0.05, 0.92, 7, page.faint_ink())
    for column in range(3 + int(4 * u[12])):
        page.box(
            0.14 + 0.1 * column, 0.86, 0.23 + 0.1 * column, 0.97, mix(page.palette.tint, page.palette.accent, 0.3), 1
        )
        page.text("ABCDEFM"[column], 0.185 + 0.1 * column, 0.92, 7, align=0.5)
    spot = page.layer_pixel(0.74, 0.72)
    page.fields.append(Signature(*spot, page.width // 5, max(6, page.height // 9), page.palette.ink))


def passport(page: Page) -> None:
    """A data page: country and title on top, large portrait, two lines of machine-readable zone."""
    u = page.generator("layout").random(12).tolist()
    page.paint(calm=True)
    _security(page)
    title = TITLES["passport"][int(u[0] * len(TITLES["passport"]))]
    page.text(
        page.words("title", 2, capitals=True),
        0.5,
        0.06,
        8 + 4 * u[1],
        page.palette.accent if u[2] < 0.5 else None,
        page.title_font,
        align=0.5,
    )
    page.text(title, 0.05, 0.15, 7 + 3 * u[3], font=page.title_font)
    mirrored = u[4] < 0.12
    box = _portrait(page, 0.68 if mirrored else 0.05, 0.22, 0.27, 0.48, grey=u[5] < 0.25)
    page.field(
        "@########", 0.7 if not mirrored else 0.4, 0.15, 8, page.palette.accent, page.number_font, script="latin"
    )
    _rows(page, 0.05 if mirrored else box + 0.03, 0.25, 0.6, 0.75, columns=1 + (u[6] < 0.5))
    if u[7] < 0.5:
        spot = page.canvas_pixel(0.6 + 0.3 * u[8], 0.35 + 0.25 * u[9])
        emblems.draw_emblem(
            page.canvas, page.generator("emblem"), page.palette, spot, page.canvas_length(0.06 + 0.08 * u[10])
        )
    _zone(page, 2, 44)


def _title_band(page: Page, u: list[float], kind: str) -> float:
    """A title over a band or bare, with an emblem; returns where the rest may start."""
    depth = 0.13 + 0.09 * u[1]
    palette = page.palette
    banded = u[2] < 0.55
    if banded:
        page.box(0, 0, 1, depth, palette.accent if u[3] < 0.7 else palette.ink)
    ink = (255, 255, 255) if banded and luminance(palette.accent) < 150 else palette.ink
    if banded and u[3] >= 0.7:
        ink = palette.paper
    titles = TITLES[kind]
    align = (0.0, 0.5, 1.0)[int(3 * u[4])]
    x = {0.0: 0.17, 0.5: 0.5, 1.0: 0.84}[align]
    title = titles[int(u[5] * len(titles))] if page.script == "latin" or u[6] < 0.3 else page.words("heading", 2)
    page.text(page.words("title", 2), x, depth * 0.3, 7 + 3 * u[6], ink, page.title_font, align)
    page.text(title, x, depth * 0.72, 7 + 3 * u[7], ink, page.title_font, align)
    spot = page.canvas_pixel(0.92 if align < 1 else 0.08, depth * 0.5 + 0.01)
    emblems.draw_emblem(
        page.canvas, page.generator("emblem"), palette, spot, page.canvas_length(0.45 * depth + 0.03 * u[7])
    )
    return depth


def _security(page: Page) -> None:
    """What makes them hard to forge: pale pictures, a large emblem, a line of print, a shimmering patch."""
    generator = page.generator("security")
    u = generator.random(8).tolist()
    if u[0] < 0.4:
        page.picture(calm=True)
    if u[1] < 0.3:
        below = page.canvas.copy()
        spot = page.canvas_pixel(0.3 + 0.5 * u[2], 0.55)
        emblems.draw_emblem(
            page.canvas, page.generator("watermark"), page.palette, spot, page.canvas_length(0.2 + 0.2 * u[3])
        )
        page.canvas[:] = cv2.addWeighted(page.canvas, 0.15 + 0.2 * u[4], below, 0.85 - 0.2 * u[4], 0)
    if u[5] < 0.3:
        x, y = page.layer_pixel(0.5 + 0.3 * u[6], 0.5 + 0.3 * u[7])
        width = round((0.12 + 0.1 * u[3]) * page.width)
        page.fields.append(Barcode(x, y, width, width if u[4] < 0.6 else width // 3, square=u[4] < 0.6))


def _portrait(
    page: Page, x: float, y: float, width: float, height: float, *, grey: bool, opacity: float = 1.0
) -> float:
    """Leave a box for a portrait; returns its right edge as a part of the width."""
    left, top = page.layer_pixel(x, y)
    size = round(width * page.width), round(height * page.height)
    tint = (mix(page.palette.ink, page.palette.accent, 0.3) if opacity < 1 else (20, 20, 22)) if grey else None
    page.fields.append(Portrait(page.faces, left, top, *size, tint, opacity))
    if opacity == 1:
        page.box(x - 0.005, y - 0.008, x + width + 0.005, y + height + 0.008, page.faint_ink(), 1)
    return x + width


def _rows(page: Page, x: float, top: float, width: float, bottom: float, *, columns: int) -> None:
    """Rows of a small label above or beside its value."""
    generator = page.generator("rows")
    u = generator.random(6).tolist()
    pitch = 0.095 + 0.04 * u[0] + (0.03 if u[1] < 0.6 else 0)
    rows = max(2, int((bottom - top) / pitch))
    size = 6.5 + 1.5 * u[2]
    above = u[1] < 0.6 or columns == 2
    share = 0.97 * width / columns
    strong = page.palette.ink if u[3] < 0.7 else mix(page.palette.ink, page.palette.accent, 0.6)
    for row in range(rows):
        for column in range(columns):
            y, start = top + row * pitch, x + column * width / columns
            label = page.words(f"label {row} {column}", 1)
            if page.script == "latin":
                label = LABELS[int(generator.integers(len(LABELS)))]
            page.text(
                label,
                start,
                y - (0.28 * pitch if above else 0),
                4.5 if above else 5.5,
                page.faint_ink(0.35),
                max_width=share if above else 0.4 * share,
            )
            kind = int(generator.integers(5))
            value = (
                ("{U}", "{w} {w}", _DATES[int(u[4] * 4)], "@#######", "{U} {w}")[kind]
                if columns == 1
                else ("{U}", _DATES[int(u[4] * 4)], "@@####", "##", "{w}")[kind]
            )
            page.field(
                value,
                start if above else start + 0.43 * share,
                y + (0.18 * pitch if above else 0),
                size,
                strong,
                max_width=share if above else 0.57 * share,
            )


def _zone(page: Page, lines: int, characters: int) -> None:
    """The machine-readable zone of ICAO 9303, as to its looks."""
    face_width = page.width * 0.94 / characters
    stretch = face_width / 4.2
    patterns = {
        2: ("P<@@@{U}<<{U}<{U}" + 30 * "<", "@########<#@@@######<@######" + 14 * "<" + "##"),
        3: ("ID@@@#########<#" + 14 * "<", "######<@######<@@@" + 11 * "<" + "#", "{U}<<{U}" + 22 * "<"),
    }
    top = 0.97 - 0.075 * lines
    if page.generator("zone").random() < 0.5:
        page.box(0, top - 0.02, 1, 1, mix(page.palette.paper, (255, 255, 255), 0.6))
    for line, pattern in enumerate(patterns[lines]):
        page.field(
            pattern,
            0.03,
            top + 0.04 + 0.075 * line,
            7,
            (25, 25, 25),
            MONO[0],
            script="latin",
            stretch=round(stretch, 2),
        )
