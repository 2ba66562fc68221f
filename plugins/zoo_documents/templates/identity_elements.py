"""Print the elements that identity documents share: title, security print, portrait, labelled values, MRZ."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.fields import Barcode, Portrait
from zoo_documents.drawing.fonts import MONO
from zoo_documents.drawing.palettes import WHITE, luminance, mix
from zoo_documents.drawing.words import LABELS, TITLES
from zoo_documents.templates.decisions import Decisions

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page

_DATES = ("{d}.{m}.{y}", "{y}-{m}-{d}", "{d}/{m}/{y}", "{d} {m} {y}")


@dataclass(frozen=True, slots=True)
class TitledLayout(Decisions):
    """The first decisions of a layout that starts with a title band."""

    machine_readable_zone: float
    band_height: float
    band: float
    band_colour: float
    title_align: float
    title: float
    issuer_size: float
    title_size: float


def print_title_band(page: Page, kind: str, layout: TitledLayout, *, title_in_latin: bool, emblem_size: float) -> float:
    """Print issuer, title and emblem, on a band or not; return the y where the rest can start."""
    height = 0.13 + 0.09 * layout.band_height
    palette = page.palette
    band = layout.band < 0.55
    accent_band = layout.band_colour < 0.7
    if band:
        page.box(0, 0, 1, height, palette.accent if accent_band else palette.ink)
    ink = WHITE if band and luminance(palette.accent) < 150 else palette.ink
    if band and not accent_band:
        ink = palette.paper
    align = choose(layout.title_align, (0.0, 0.5, 1.0))
    x = {0.0: 0.17, 0.5: 0.5, 1.0: 0.84}[align]
    in_latin = page.script == "latin" or title_in_latin
    title = choose(layout.title, TITLES[kind]) if in_latin else page.words("heading", 2)
    page.text(page.words("title", 2), x, height * 0.3, 7 + 3 * layout.issuer_size, ink, page.title_font, align)
    page.text(title, x, height * 0.72, 7 + 3 * layout.title_size, ink, page.title_font, align)
    page.emblem(0.92 if align < 1 else 0.08, height * 0.5 + 0.01, 0.45 * height + 0.03 * emblem_size)
    return height


@dataclass(frozen=True, slots=True)
class _Security(Decisions):
    picture: float
    watermark: float
    watermark_x: float
    watermark_size: float
    watermark_opacity: float
    barcode: float
    barcode_x: float
    barcode_y: float
    barcode_width: float
    barcode_square: float


def print_security_features(page: Page) -> None:
    """Print what makes forgery hard: pale pictures, a large emblem as a watermark, a barcode."""
    security = _Security.draw(page.generator("security"))
    if security.picture < 0.4:
        page.picture(calm=True)
    if security.watermark < 0.3:
        below = page.canvas.copy()
        page.emblem(0.3 + 0.5 * security.watermark_x, 0.55, 0.2 + 0.2 * security.watermark_size, "watermark")
        opacity = 0.2 * security.watermark_opacity
        page.canvas[:] = cv2.addWeighted(page.canvas, 0.15 + opacity, below, 0.85 - opacity, 0)
    if security.barcode < 0.3:
        x, y = page.layer_pixel(0.5 + 0.3 * security.barcode_x, 0.5 + 0.3 * security.barcode_y)
        width = round((0.12 + 0.1 * security.barcode_width) * page.width)
        square = security.barcode_square < 0.6
        page.fields.append(Barcode(x, y, width, width if square else width // 3, square=square))


def add_portrait(
    page: Page, x: float, y: float, width: float, height: float, *, grey: bool, opacity: float = 1.0
) -> float:
    """Add a portrait; return its right edge as a fraction of the page's width."""
    left, top = page.layer_pixel(x, y)
    size = round(width * page.width), round(height * page.height)
    tint = (mix(page.palette.ink, page.palette.accent, 0.3) if opacity < 1 else (20, 20, 22)) if grey else None
    page.fields.append(Portrait(page.faces, left, top, *size, tint, opacity))
    if opacity == 1:
        page.box(x - 0.005, y - 0.008, x + width + 0.005, y + height + 0.008, page.faint_ink(), 1)
    return x + width


def add_labelled_rows(page: Page, x: float, top: float, width: float, bottom: float, *, columns: int) -> None:
    """Add rows of values, each with a small label above or beside it."""
    generator = page.generator("rows")
    spacing, label_above, text_size, value_colour, date, _ = generator.random(6).tolist()
    pitch = 0.095 + 0.04 * spacing + (0.03 if label_above < 0.6 else 0)
    size = 6.5 + 1.5 * text_size
    above = label_above < 0.6 or columns == 2
    share = 0.97 * width / columns
    ink = page.palette.ink if value_colour < 0.7 else mix(page.palette.ink, page.palette.accent, 0.6)
    wide = ("{U}", "{w} {w}", choose(date, _DATES), "@#######", "{U} {w}")
    narrow = ("{U}", choose(date, _DATES), "@@####", "##", "{w}")
    for row in range(max(2, int((bottom - top) / pitch))):
        for column in range(columns):
            y, left = top + row * pitch, x + column * width / columns
            label = page.words(f"label {row} {column}", 1)
            if page.script == "latin":
                label = LABELS[int(generator.integers(len(LABELS)))]
            value = (wide if columns == 1 else narrow)[int(generator.integers(5))]
            if above:
                page.text(label, left, y - 0.28 * pitch, 4.5, page.faint_ink(0.35), max_width=share)
                page.field(value, left, y + 0.18 * pitch, size, ink, max_width=share)
            else:
                page.text(label, left, y, 5.5, page.faint_ink(0.35), max_width=0.4 * share)
                page.field(value, left + 0.43 * share, y, size, ink, max_width=0.57 * share)


def add_machine_readable_zone(page: Page, lines: int, characters: int) -> None:
    """Add a zone that looks like the machine-readable zone (MRZ) of ICAO 9303."""
    stretch = page.width * 0.94 / characters / 4.2
    patterns = {
        2: ("P<@@@{U}<<{U}<{U}" + 30 * "<", "@########<#@@@######<@######" + 14 * "<" + "##"),
        3: ("ID@@@#########<#" + 14 * "<", "######<@######<@@@" + 11 * "<" + "#", "{U}<<{U}" + 22 * "<"),
    }
    top = 0.97 - 0.075 * lines
    if page.generator("zone").random() < 0.5:
        page.box(0, top - 0.02, 1, 1, mix(page.palette.paper, WHITE, 0.6))
    for line, pattern in enumerate(patterns[lines]):
        y = top + 0.04 + 0.075 * line
        page.field(pattern, 0.03, y, 7, (25, 25, 25), MONO[0], script="latin", stretch=round(stretch, 2))
