"""Draw features of plastic cards: chip contacts, the sign of contactless payment, holograms."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing.palettes import mix

if TYPE_CHECKING:
    from zoo_documents.drawing.pages import Page
    from zoo_documents.drawing.palettes import Colour


def draw_chip(page: Page, x: float, y: float, size: float) -> None:
    """Draw the contacts of a chip, upper left corner at (x, y)."""
    left, top = page.canvas_pixel(x, y)
    height = page.canvas_length(size)
    width = int(height * 1.25)
    metal: Colour = (205, 170, 85) if page.generator("chip").random() < 0.65 else (195, 197, 200)
    line = mix(metal, (15, 15, 15), 0.55)
    cv2.rectangle(page.canvas, (left, top), (left + width, top + height), metal, -1)
    cv2.rectangle(page.canvas, (left, top), (left + width, top + height), line, 1)
    for share in (1 / 3, 2 / 3):
        level = top + int(share * height)
        cv2.line(page.canvas, (left, level), (left + width, level), line, 1)
    centre, axes = (left + width // 2, top + height // 2), (width // 5, height // 3)
    cv2.ellipse(page.canvas, centre, axes, 0, 0, 360, line, 1, cv2.LINE_AA)


def draw_contactless_sign(page: Page, x: float, y: float, size: float) -> None:
    """Draw the arcs that mean contactless payment, in an ink that is readable at (x, y)."""
    colour, centre, radius = page.readable_ink(x, y), page.canvas_pixel(x, y), page.canvas_length(size)
    for share in (0.35, 0.65, 0.95):
        arc = max(2, int(radius * share))
        cv2.ellipse(page.canvas, centre, (arc, arc), 0, -45, 45, colour, 2, cv2.LINE_AA)


def draw_hologram(page: Page, x: float, y: float, width: float, height: float) -> None:
    """Draw a rectangle that shows all hues."""
    left, top = page.canvas_pixel(x, y)
    right, bottom = page.canvas_pixel(x + width, y + height)
    generator = page.generator("hologram")
    base = np.linspace(0, 255, max(2, right - left))[None] * float(0.5 + generator.random())
    wave = base + np.linspace(0, 255 * float(generator.random()), max(2, bottom - top))[:, None]
    colours = cv2.applyColorMap((wave % 256).astype(np.uint8), cv2.COLORMAP_HSV)
    pale = cv2.addWeighted(colours, 0.4, np.full_like(colours, 205), 0.6, 0)
    page.canvas[top:bottom, left:right] = pale[: bottom - top, : right - left]
