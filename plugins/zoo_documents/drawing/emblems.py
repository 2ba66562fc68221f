"""Draw emblems (logos, coats of arms) and flags."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing.palettes import WHITE, random_colour

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from zoo_documents.drawing.palettes import Colour, Palette

Point = tuple[int, int]


def draw_emblem(canvas: MatLike, generator: np.random.Generator, palette: Palette, centre: Point, radius: int) -> None:
    """Draw a company's logo or a coat of arms: two or three plain shapes on top of each other."""
    colours = [palette.accent, palette.second_accent, WHITE if palette.dark else palette.ink, random_colour(generator)]
    x, y = centre
    around = cv2.mean(canvas[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1])
    # The outermost shape has the most contrast, otherwise two emblems could look alike.
    colours.sort(key=lambda colour: -sum(abs(a - b) for a, b in zip(colour, around, strict=False)))
    order = [0, *(1 + generator.permutation(3)).tolist()]
    size = radius
    for layer in range(int(generator.integers(2, 4))):
        draw_shape(canvas, generator, centre, size, colours[order[layer]])
        size = int(size * (0.45 + 0.3 * generator.random()))
        if size < 2:
            break


def draw_shape(canvas: MatLike, generator: np.random.Generator, centre: Point, radius: int, colour: Colour) -> None:
    """Draw a random plain shape."""
    x, y = centre
    kind = int(generator.integers(9))
    turn, ratio = generator.random(2).tolist()
    if kind == 0:
        cv2.circle(canvas, centre, radius, colour, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.circle(canvas, centre, radius, colour, max(2, radius // 4), cv2.LINE_AA)
    elif kind == 2:
        _draw_polygon(canvas, centre, radius, colour, corners=int(3 + 4 * ratio), turn=turn)
    elif kind == 3:
        _draw_polygon(canvas, centre, radius, colour, corners=int(4 + 9 * ratio), turn=turn, inner=0.3 + 0.3 * turn)
    elif kind == 4:
        _draw_cross(canvas, centre, radius, colour, arm=max(1, int(radius * (0.2 + 0.2 * ratio))))
    elif kind == 5:
        axes = (radius, max(2, int(radius * (0.3 + 0.4 * ratio))))
        cv2.ellipse(canvas, centre, axes, 180 * turn, 0, 360, colour, -1, cv2.LINE_AA)
    elif kind == 6:
        half = max(1, int(radius * 0.85))
        cv2.rectangle(canvas, (x - half, y - half), (x + half, y + half), colour, -1)
    elif kind == 7:
        _draw_chevrons(canvas, centre, radius, colour)
    else:
        outline = [(-0.8, -1), (0.8, -1), (0.8, 0.1), (0, 1), (-0.8, 0.1)]
        shield = np.array([(x + radius * across, y + radius * down) for across, down in outline], np.int32)
        cv2.fillPoly(canvas, [shield], colour, cv2.LINE_AA)


def _draw_polygon(
    canvas: MatLike,
    centre: Point,
    radius: int,
    colour: Colour,
    *,
    corners: int,
    turn: float,
    inner: float | None = None,
) -> None:
    """Draw a regular polygon, or with ``inner`` (0..1) a star."""
    count = corners if inner is None else 2 * corners
    angles = 2 * math.pi * (np.arange(count) / count + turn)
    radii = np.full(count, float(radius))
    if inner is not None:
        radii[1::2] *= inner
    points = np.stack([centre[0] + radii * np.cos(angles), centre[1] + radii * np.sin(angles)], axis=1)
    cv2.fillPoly(canvas, [points.astype(np.int32)], colour, cv2.LINE_AA)


def _draw_cross(canvas: MatLike, centre: Point, radius: int, colour: Colour, *, arm: int) -> None:
    x, y = centre
    cv2.rectangle(canvas, (x - radius, y - arm), (x + radius, y + arm), colour, -1)
    cv2.rectangle(canvas, (x - arm, y - radius), (x + arm, y + radius), colour, -1)


def _draw_chevrons(canvas: MatLike, centre: Point, radius: int, colour: Colour) -> None:
    x, y = centre
    for step in range(3):
        level = y - radius + step * 2 * radius // 3
        points = np.array([(x - radius, level), (x, level + radius // 2), (x + radius, level)])
        cv2.polylines(
            canvas, [points], isClosed=False, color=colour, thickness=max(2, radius // 5), lineType=cv2.LINE_AA
        )


def draw_flag(canvas: MatLike, generator: np.random.Generator, corner: Point, height: int) -> None:
    """Draw three stripes, horizontal or vertical, and on some flags a disc."""
    x, y = corner
    width = height * 3 // 2
    horizontal, disc = (generator.random(2) < (0.5, 0.3)).tolist()
    for stripe in range(3):
        near, far = stripe / 3, (stripe + 1) / 3
        start = (x, y + int(near * height)) if horizontal else (x + int(near * width), y)
        end = (x + width, y + int(far * height)) if horizontal else (x + int(far * width), y + height)
        cv2.rectangle(canvas, start, end, random_colour(generator) if stripe != 1 else WHITE, -1)
    if disc:
        cv2.circle(canvas, (x + width // 2, y + height // 2), height // 4, random_colour(generator), -1, cv2.LINE_AA)
