"""Compose papers: letters, forms, receipts and tickets."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_documents.drawing import emblems, figures
from zoo_documents.drawing.fields import Barcode, Paragraph, Signature
from zoo_documents.drawing.palettes import luminance, mix, random_colour
from zoo_documents.drawing.words import LABELS, TITLES, Pattern

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page

_WHITE = (255, 255, 255)


def letter(page: Page) -> None:
    """Letterhead, address, date, paragraphs, signature, footer."""
    u = page.generator("layout").random(16).tolist()
    _paper(page, plain=u[0] < 0.75)
    palette = page.palette
    colour = palette.accent if luminance(palette.accent) < 190 else palette.ink
    if u[1] < 0.3:
        page.box(0, 0, 1, 0.1 + 0.06 * u[2], colour)
    elif u[1] < 0.45:
        page.box(0, 0, 0.04 + 0.12 * u[2], 1, colour)
    elif u[1] < 0.6:
        page.box(0.06, 0.13, 0.94, 0.135, colour)
    align = (0.0, 0.5, 1.0)[int(3 * u[3])]
    x = {0.0: 0.12, 0.5: 0.5, 1.0: 0.9}[align]
    spot = page.canvas_pixel({0.0: 0.85, 0.5: 0.12, 1.0: 0.14}[align], 0.065 + 0.02 * u[4])
    emblems.draw_emblem(page.canvas, page.generator("emblem"), palette, spot, page.canvas_length(0.05 + 0.05 * u[5]))
    ink = _WHITE if u[1] < 0.3 else colour
    page.text(page.words("title", 2), x, 0.05, 9 + 6 * u[6], ink, page.title_font, align)
    page.text(page.words("slogan", 3), x, 0.09, 5, ink, align=align)
    left = 0.2 if 0.3 <= u[1] < 0.45 else 0.1
    start = 0.18 + 0.04 * u[7]
    x0, y0 = page.layer_pixel(left, start)
    page.fields.append(
        Paragraph(
            page.font(6),
            Pattern("{w} {w} ##", page.script),
            x0,
            y0,
            page.width // 2,
            page.line_pitch(7),
            3,
            3,
            palette.ink,
        )
    )
    page.field("{d}.{m}.{y}", 0.92, start + 0.1 * u[8], 6, right=True)
    page.field("{w} {w} {w}", left, start + 0.17, 7 + u[9], colour, page.title_font)
    pattern = " ".join(["{w}"] * 9)
    y = start + 0.21
    for _ in range(1 + int(3 * u[10])):
        x0, y0 = page.layer_pixel(left, y)
        most = 3 + int(4 * u[11])
        page.fields.append(
            Paragraph(
                page.font(5),
                Pattern(pattern, page.script),
                x0,
                y0,
                round(page.width * (0.92 - left)),
                page.line_pitch(6),
                2,
                most,
                page.faint_ink(0.2),
            )
        )
        y += (most + 1.2) * page.line_pitch(6) / page.height
        if y > 0.75:
            break
    spot = page.layer_pixel(left if u[12] < 0.6 else 0.6, min(y + 0.02, 0.82))
    page.fields.append(Signature(*spot, page.width // 4, 12, (30, 40, 120)))
    if u[13] < 0.7:
        for column in range(1 + int(3 * u[14])):
            for row in range(2):
                page.text(
                    page.words(f"footer {column} {row}", 2),
                    left + 0.28 * column,
                    0.94 + 0.025 * row,
                    4,
                    page.faint_ink(),
                )


def form(page: Page) -> None:
    """A title over a grid of labelled boxes, some of them ticked."""
    generator = page.generator("layout")
    u = generator.random(12).tolist()
    _paper(page, plain=u[0] < 0.55)
    palette = page.palette
    colour = palette.accent if luminance(palette.accent) < 190 else palette.ink
    depth = 0.1 + 0.06 * u[1]
    if u[2] < 0.6:
        page.box(0, 0, 1, depth, colour)
    ink = _WHITE if u[2] < 0.6 else colour
    titles = TITLES["form"]
    title = titles[int(u[3] * len(titles))] if page.script == "latin" else page.words("heading", 2)
    align = (0.0, 0.5)[u[4] < 0.5]
    x = 0.5 if align else 0.06
    page.text(page.words("title", 2), x, depth * 0.25, 6 + 2 * u[8], ink, align=align, max_width=0.7)
    page.text(title, x, depth * 0.65, 8 + 5 * u[5], ink, page.title_font, align, max_width=0.7)
    spot = page.canvas_pixel(0.9, depth * 0.5)
    emblems.draw_emblem(page.canvas, page.generator("emblem"), palette, spot, page.canvas_length(0.06 + 0.03 * u[6]))
    y = depth + 0.03
    shaded = mix(palette.paper, palette.tint, 0.7)
    hand = (25, 40, 130) if u[7] < 0.6 else palette.ink
    while y < 0.88:
        height = 0.045 + 0.05 * float(generator.random())
        columns = int(generator.integers(1, 5))
        if generator.random() < 0.15:
            page.box(0.05, y, 0.95, y + 0.03, colour)
            page.text(page.words(f"section {y:.3f}", 2), 0.07, y + 0.015, 5, _WHITE)
            y += 0.04
            continue
        for column in range(columns):
            x, right = 0.05 + 0.9 * column / columns, 0.05 + 0.9 * (column + 1) / columns
            if generator.random() < 0.3:
                page.box(x, y, right, y + height, shaded)
            page.box(x, y, right, y + height, page.faint_ink(0.4), 1)
            label = (
                LABELS[int(generator.integers(len(LABELS)))]
                if page.script == "latin"
                else page.words(f"{y:.3f} {column}", 1)
            )
            page.text(label, x + 0.01, y + 0.013, 3.5, page.faint_ink(0.3))
            value = ("{w}", "{d}.{m}.{y}", "#####", "{w}", "##")[int(generator.integers(5))]
            if generator.random() < 0.75:
                page.field(value, x + 0.02, y + height * 0.62, 6, hand)
        y += height
    spot = page.layer_pixel(0.6, 0.91)
    page.fields.append(Signature(*spot, page.width // 3, max(8, page.height // 16), hand))


def receipt(page: Page) -> None:
    """A shop's head, items and prices, a total, often a barcode."""
    u = page.generator("layout").random(14).tolist()
    _paper(page, plain=u[0] < 0.85)
    ink = (40, 40, 45) if u[1] < 0.8 else mix(page.palette.ink, page.palette.accent, 0.5)
    y = 0.07
    if u[2] < 0.7:
        radius = page.canvas_length(0.1 + 0.1 * u[3])
        emblems.draw_emblem(page.canvas, page.generator("emblem"), page.palette, page.canvas_pixel(0.5, 0.08), radius)
        y = 0.17
    if u[4] < 0.3:
        page.box(0.05, y - 0.03, 0.95, y + 0.03, ink)
    page.text(
        page.words("title", 1 + (u[5] < 0.4)),
        0.5,
        y,
        9 + 6 * u[6],
        page.palette.paper if u[4] < 0.3 else ink,
        page.title_font,
        0.5,
    )
    for row in range(1 + int(3 * u[7])):
        page.text(page.words(f"head {row}", 2), 0.5, y + 0.05 + 0.03 * row, 5, ink, align=0.5)
    y += 0.14
    page.text("-" * 40 if u[8] < 0.5 else "=" * 40, 0.5, y, 5, ink, align=0.5)
    most = 5 + int(6 * u[9])
    left, top = page.layer_pixel(0.06, y + 0.02)
    face = page.font(6 + u[10], page.number_font if page.script == "latin" else None, 0.9)
    pitch = face.height
    page.fields.append(
        Paragraph(
            face,
            Pattern("{w}   #,##", page.script),
            left,
            top,
            round(0.9 * page.width),
            pitch,
            max(2, most - 3),
            most,
            ink,
        )
    )
    y = min(y + 0.04 + most * pitch / page.height, 0.78)
    page.text("TOTAL" if page.script == "latin" else page.words("total", 1), 0.06, y + 0.03, 8, ink, page.title_font)
    page.field("##,##", 0.94, y + 0.03, 8, ink, page.number_font, right=True)
    page.field("{d}.{m}.{y}", 0.06, y + 0.08, 6, ink)
    if u[11] < 0.6:
        left, top = page.layer_pixel(0.12, 0.9)
        page.fields.append(Barcode(left, top, round(0.76 * page.width), max(8, page.height // 15), square=False))
    else:
        page.text(page.words("thanks", 3), 0.5, 0.94, 6, ink, align=0.5)


def ticket(page: Page) -> None:
    """A vivid main part with a title, a stub behind a perforation, seat and code."""
    u = page.generator("layout").random(14).tolist()
    page.paint(calm=u[0] < 0.35)
    palette = page.palette
    edge = 0.7 + 0.1 * u[1]
    if u[2] < 0.6:
        page.box(
            edge, 0, 1, 1, mix(palette.paper, _WHITE, 0.7) if u[3] < 0.6 else random_colour(page.generator("stub"))
        )
    for dash in range(12):
        page.box(edge, dash / 12, edge + 0.004, (dash + 0.5) / 12, palette.ink)
    if u[4] < 0.4:
        page.box(0, 0, edge, 0.22, palette.accent)
    panel = u[5] < 0.5
    if panel:
        page.box(0.04, 0.55, edge - 0.04, 0.94, mix(palette.paper, _WHITE if not palette.dark else (0, 0, 0), 0.75))
    titles = TITLES["ticket"]
    title = titles[int(u[6] * len(titles))] if page.script == "latin" else page.words("heading", 1)
    if u[10] < 0.6:
        spot = page.canvas_pixel(edge - 0.12, 0.3)
        figures.draw_figure(page.canvas, page.generator("art"), palette, spot, page.canvas_length(0.28))
    page.text(page.words("title", 2), 0.05, 0.12, 8 + 5 * u[7], font=page.title_font, max_width=edge - 0.1)
    colour = palette.second_accent if u[9] < 0.4 else None
    page.text(title, 0.05, 0.36, 12 + 12 * u[8], colour, page.title_font, max_width=edge - 0.1)
    spot = page.canvas_pixel(edge + 0.1, 0.17)
    emblems.draw_emblem(page.canvas, page.generator("emblem"), palette, spot, page.canvas_length(0.13))
    cells = (("DATE", "{d}.{m}.{s}", 0), ("ROW", "##", 0.36), ("SEAT", "##@", 0.52), ("NAME", "{w}", 0.72))
    for label, value, offset in cells:
        x = 0.06 + offset * (edge - 0.08)
        page.text(
            label if page.script == "latin" else page.words(label, 1), x, 0.64, 5, page.faint_ink(0.2), max_width=0.1
        )
        page.field(value, x, 0.8, 7, font=page.number_font, stretch=0.9, max_width=edge - x)
    square = u[11] < 0.5
    left, top = page.layer_pixel(edge + 0.05, 0.35)
    side = round((0.9 - edge) * page.width)
    page.fields.append(
        Barcode(left, top, side, min(side, page.height // 2) if square else page.height // 3, square=square)
    )
    page.field("@@-#####", edge + 0.04, 0.92, 6, font=page.number_font, script="latin")


def _paper(page: Page, *, plain: bool) -> None:
    """Bare paper, or lightly printed."""
    if plain:
        page.canvas[:] = mix(page.palette.paper, _WHITE, 0.6)
    else:
        page.paint(calm=True)
