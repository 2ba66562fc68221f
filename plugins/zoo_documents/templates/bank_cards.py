"""Compose the front of payment cards."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zoo_documents.drawing.card_features import draw_chip, draw_contactless_sign, draw_hologram
from zoo_documents.drawing.choices import choose
from zoo_documents.drawing.emblems import draw_emblem
from zoo_documents.drawing.figures import draw_figure
from zoo_documents.drawing.fonts import MONO, SANS, SERIF
from zoo_documents.drawing.palettes import BLACK, WHITE, luminance, mix, random_colour
from zoo_documents.drawing.scheme_marks import draw_scheme_mark
from zoo_documents.drawing.words import TITLES
from zoo_documents.templates.decisions import Decisions

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_documents.drawing.pages import Page
    from zoo_documents.drawing.palettes import Colour

_METALS: tuple[Colour, ...] = ((206, 209, 214), (214, 190, 130), (236, 238, 240), (150, 152, 156))


@dataclass(frozen=True, slots=True)
class _Layout(Decisions):
    issuer_side: float
    issuer_y: float
    issuer_colour: float
    issuer_words: float
    issuer_suffix: float
    issuer_size: float
    chip: float
    chip_x: float
    chip_y: float
    chip_size: float
    contactless: float
    contactless_side: float
    contactless_y: float
    hologram: float
    slogan: float
    tier: float
    tier_title: float
    tier_spot: float
    tier_font: float
    tier_size: float
    partner: float
    number_arrangement: float
    number_stretch: float
    holder: float
    texture: float
    notice: float
    notice_x: float
    notice_y: float
    notice_words: float
    hotline: float
    hotline_x: float
    hotline_lines: float
    emblem_size: float
    notice_capitals: float
    embossing: float
    metal: float
    number_script: float
    number_x: float
    number_y: float
    number_size: float
    number_pattern: float
    short_number: float
    dates_x: float
    dates_y: float
    dates_caption: float
    dates_pattern: float
    holder_size: float
    holder_font: float


def compose_bank_card(page: Page) -> None:
    """Compose a plain or vivid background, mostly a picture, issuer, chip, number, and the scheme's mark."""
    layout = _Layout.draw(page.generator("layout"))
    upright = page.height > page.width
    page.paint(calm=False)
    if layout.texture < 0.3:  # barely visible
        page.picture("texture", calm=True)
    _print_pictures(page)
    _print_issuer(page, layout, upright=upright)
    _print_chip(page, layout, upright=upright)
    if layout.hologram < 0.15:
        draw_hologram(page, 0.8, 0.5, 0.17, 0.17)
    _print_small_text(page, layout)
    _add_fields(page, layout, upright=upright)
    draw_scheme_mark(page)


def _print_pictures(page: Page) -> None:
    """Print a picture, a figure, a word or emblems: most issuers have something by which their card is recognised."""
    generator = page.generator("art")
    kind, x, y, size, tone, more = generator.random(6).tolist()
    colour = mix(random_colour(generator), WHITE if page.palette.dark else BLACK, 0.4 * tone)
    centre = page.canvas_pixel(0.2 + 0.65 * x, 0.3 + 0.4 * y)
    if kind < 0.55:
        page.picture()
        if more < 0.15:
            page.picture("more art")
    if 0.45 < kind < 0.68:
        draw_figure(page.canvas, generator, page.palette, centre, page.canvas_length(0.2 + 0.3 * size))
    elif 0.68 < kind < 0.8:
        _print_large_word(page, colour, (0.3 + 0.4 * x, 0.35 + 0.4 * y), 18 + 60 * size * size)
    elif 0.8 < kind < 0.84:
        draw_emblem(page.canvas, generator, page.palette, centre, page.canvas_length(0.3 + 0.3 * size))
    elif 0.84 < kind < 0.9:
        for row in range(2 + int(2 * size)):
            for column in range(3 + int(2 * tone)):
                spot = page.canvas_pixel(0.35 + 0.14 * column, 0.3 + 0.19 * row)
                draw_emblem(page.canvas, generator, page.palette, spot, page.canvas_length(0.06))
    elif 0.9 < kind < 0.94:
        edge = 0.25 + 0.5 * x
        left, top = (edge, 0.0) if size < 0.5 else (0.0, 0.35 + 0.5 * y)
        page.box(left, top, 1, 1, colour)


def _print_large_word(page: Page, colour: Colour, centre: tuple[float, float], size: float) -> None:
    """Print a word like a picture, with or without a shadow."""
    shadow, capitals, font = page.generator("lettering").random(3).tolist()
    names = (*SANS, *SERIF, "cmti10", "STIXGeneralBolIta")
    name = choose(font, names) if page.script == "latin" else page.title_font
    word = page.words("art", 1, capitals=capitals < 0.3)
    if shadow < 0.5:
        page.text(word, centre[0] + 0.012, centre[1] + 0.02, size, mix(colour, BLACK, 0.8), name, align=0.5)
    page.text(word, *centre, size, colour, name, align=0.5)


def _print_issuer(page: Page, layout: _Layout, *, upright: bool) -> None:
    left = layout.issuer_side < 0.6
    y = (0.13 if not upright else 0.08) + 0.03 * layout.issuer_y
    ink = page.readable_ink(0.3 if left else 0.75, y)
    if layout.issuer_colour < 0.25 and page.palette.accent != ink:
        ink = mix(page.palette.accent, ink, 0.35)
    radius = 0.055 + 0.045 * layout.emblem_size
    emblem_x = (0.11 if upright else 0.09) if left else 0.91
    page.emblem(emblem_x, y, radius)
    name = page.words("title", 1 + int(2 * layout.issuer_words)) + ("" if layout.issuer_suffix < 0.7 else " Bank")
    gap = radius / (page.width / page.height) + 0.02 if not upright else radius + 0.03
    x = emblem_x + gap if left else emblem_x - gap
    lines = [(name, 0.0, 10 + 7 * layout.issuer_size)]
    if layout.slogan < 0.45:
        slogan = (page.words("slogan", 2), 0.045, 5 + 2 * layout.issuer_size)
        lines = [(name, -0.035, 9 + 5 * layout.issuer_size), slogan]
    for text, offset, size in lines:
        page.text(text, x, y + offset, size, ink, page.title_font, 0 if left else 1, max_width=0.6)
    if layout.tier < 0.6:
        _print_tier(page, layout, upper_right_free=left)
    if layout.partner < 0.2:
        page.emblem(0.9 if left else 0.12, y, 0.09, "partner")


def _print_tier(page: Page, layout: _Layout, *, upper_right_free: bool) -> None:
    """Print what kind of card it is: gold, student, debit."""
    spots = ((0.95, 0.76), (0.95, 0.12), (0.95, 0.3), (0.08, 0.24), (0.5, 0.4), (0.95, 0.7))
    x, y = choose(layout.tier_spot, spots)
    if x > 0.9 and y < 0.2 and not upper_right_free:
        y = 0.72
    font = choose(layout.tier_font, (*SERIF, *SANS, "cmti10", "STIXGeneralItalic", page.title_font))
    align = 1 if x > 0.9 else 0.5 if x == 0.5 else 0
    title, size, ink = choose(layout.tier_title, TITLES["bank"]), 7 + 7 * layout.tier_size, page.readable_ink(x, y)
    page.text(title, x, y, size, ink, font, align, max_width=0.5)


def _print_chip(page: Page, layout: _Layout, *, upright: bool) -> None:
    if upright:
        x, y = 0.12 + 0.5 * layout.chip_x, 0.1 + 0.55 * layout.chip_y
    else:
        x, y = 0.07 + 0.04 * layout.chip_x, 0.29 + 0.11 * layout.chip_y
    if layout.chip < 0.88:
        draw_chip(page, x, y, 0.14 + 0.05 * layout.chip_size)
    if layout.contactless < 0.5:
        x, y = (x + 0.19, y + 0.08) if layout.contactless_side < 0.4 else (0.92, 0.2 + 0.25 * layout.contactless_y)
        draw_contactless_sign(page, x, y, 0.06)


def _print_small_text(page: Page, layout: _Layout) -> None:
    """Print where the card is valid, what it is not, and whom to call."""
    if layout.notice < 0.35:
        x, y = 0.07 + 0.5 * layout.notice_x, choose(layout.notice_y, (0.95, 0.24, 0.49, 0.7))
        notice = page.words("print", 2 + int(2 * layout.notice_words), capitals=layout.notice_capitals < 0.6)
        page.text(notice, x, y, 4, page.readable_ink(x, y), max_width=0.4)
    if layout.hotline < 0.2:
        x = 0.62 + 0.3 * layout.hotline_x
        for line in range(2 + int(3 * layout.hotline_lines)):
            ink = page.readable_ink(x, 0.45)
            page.text(page.words(f"print {line}", 2), x, 0.4 + 0.055 * line, 4, ink, max_width=0.3)


def _add_fields(page: Page, layout: _Layout, *, upright: bool) -> None:
    light = page.readable_ink(0.5, 0.62)
    # The number is embossed in metal or in plain ink, or printed flat.
    ink = choose(layout.metal, _METALS) if layout.embossing < 0.55 else light
    embossed = layout.embossing < 0.75
    dark = luminance(ink) > 128
    relief = mix(ink, BLACK if dark else WHITE, 0.75) if embossed else None
    script = page.script if page.script in {"cyrillic", "greek"} and layout.number_script < 0.3 else "latin"
    field = partial(page.field, script=script, relief=relief)
    font = MONO[1] if embossed else page.number_font
    if layout.number_arrangement < 0.06:  # a minimal design: the holder's name only
        field("{U} {U}", 0.08, 0.9, 6.5, light, page.body_font, max_width=0.6)
        return
    _add_number(page, layout, partial(field, colour=ink, font=font), light, upright=upright)
    x, y = (0.08 + 0.32 * layout.dates_x, 0.745 + 0.03 * layout.dates_y) if not upright else (0.1, 0.84)
    caption = choose(layout.dates_caption, ("VALID THRU", "GOOD THRU", "MONTH/YEAR", ""))
    page.text(caption or " ", x, y, 3.5, light, max_width=0.12)
    pattern = choose(layout.dates_pattern, ("{m}/{s}", "{m}/{s}", "{m}/{s}-{m}/{s}", "{m} / {s}"))
    field(pattern, x + (0.13 if not upright else 0.2), y, 8, ink, font)
    if layout.holder < 0.85:
        y, size = (0.88, 6.5 + 2 * layout.holder_size) if not upright else (0.93, 7)
        field("{U} {U}", 0.08, y, size, ink, font if layout.holder_font < 0.6 else page.body_font, max_width=0.6)


def _add_number(page: Page, layout: _Layout, field: Callable[..., None], light: Colour, *, upright: bool) -> None:
    """Add the card's number: in four lines, or in one line with or without a short number below it."""
    if upright or layout.number_arrangement < 0.12:
        x, y = (0.1, 0.3 + 0.2 * layout.number_y) if upright else (0.7, 0.15)
        for line in range(4):
            field("####", x, y + 0.075 * line, 8 + 2 * layout.number_size)
        return
    x, y = 0.07 + 0.03 * layout.number_x, 0.55 + 0.07 * layout.number_y
    pattern = choose(layout.number_pattern, ("#### #### #### ####",) * 4 + ("#### ###### #####",))
    field(pattern, x, y, 12, stretch=choose(layout.number_stretch, (0.95, 1.05, 1.12)))
    if layout.short_number < 0.4:
        field("####", 0.08, y + 0.09, 4.5, colour=light, font=page.number_font)
