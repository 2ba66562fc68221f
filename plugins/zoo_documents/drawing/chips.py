"""Draw what makes a card electronic: the contacts of its chip and the sign of contactless payment."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from zoo_documents.drawing.palettes import mix

if TYPE_CHECKING:
    import numpy as np
    from cv2.typing import MatLike

    from zoo_documents.drawing.palettes import Colour


def draw_chip(canvas: MatLike, generator: np.random.Generator, corner: tuple[int, int], height: int) -> None:
    """Draw the contacts of a chip, ``height`` pixels high, upper left corner given."""
    x, y = corner
    width = int(height * 1.25)
    metal: Colour = (205, 170, 85) if generator.random() < 0.65 else (195, 197, 200)
    line = mix(metal, (15, 15, 15), 0.55)
    cv2.rectangle(canvas, (x, y), (x + width, y + height), metal, -1)
    cv2.rectangle(canvas, (x, y), (x + width, y + height), line, 1)
    for level in (1 / 3, 2 / 3):
        cv2.line(canvas, (x, y + int(level * height)), (x + width, y + int(level * height)), line, 1)
    cv2.ellipse(canvas, (x + width // 2, y + height // 2), (width // 5, height // 3), 0, 0, 360, line, 1, cv2.LINE_AA)


def draw_contactless_sign(canvas: MatLike, centre: tuple[int, int], radius: int, colour: Colour) -> None:
    """Draw the arcs that mean contactless payment."""
    for share in (0.35, 0.65, 0.95):
        size = max(2, int(radius * share))
        cv2.ellipse(canvas, centre, (size, size), 0, -45, 45, colour, 2, cv2.LINE_AA)
