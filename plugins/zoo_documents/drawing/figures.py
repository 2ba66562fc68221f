"""Draw figures, the large plain pictures of cards and tickets: animals, flowers, balloons, piles of shapes."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2

from zoo_documents.drawing.emblems import draw_shape
from zoo_documents.drawing.palettes import WHITE, mix, random_colour

if TYPE_CHECKING:
    import numpy as np
    from cv2.typing import MatLike

    from zoo_documents.drawing.emblems import Point
    from zoo_documents.drawing.palettes import Colour, Palette

_BLACK: Colour = (15, 15, 15)


def draw_figure(canvas: MatLike, generator: np.random.Generator, palette: Palette, centre: Point, radius: int) -> None:
    """Draw a random figure."""
    kind = int(generator.integers(4))
    body = WHITE if generator.random() < 0.3 else random_colour(generator)
    if kind == 0:
        _draw_animal(canvas, generator, centre, radius, body)
    elif kind == 1:
        _draw_flower(canvas, generator, centre, radius, body)
    elif kind == 2:  # balloons on strings
        for x, y, size in generator.random((int(generator.integers(3, 9)), 3)).tolist():
            balloon = (int(centre[0] + 2 * radius * (x - 0.5)), int(centre[1] + 2 * radius * (y - 0.5)))
            cv2.line(canvas, balloon, (centre[0], centre[1] + radius), palette.ink, 1, cv2.LINE_AA)
            colour = random_colour(generator)
            cv2.circle(canvas, balloon, int(radius * (0.12 + 0.25 * size)), colour, -1, cv2.LINE_AA)
    else:
        for x, y, size in generator.random((int(generator.integers(4, 14)), 3)).tolist():
            spot = (int(centre[0] + 2.4 * radius * (x - 0.5)), int(centre[1] + 2 * radius * (y - 0.5)))
            colour = random_colour(generator)
            draw_shape(canvas, generator, spot, int(radius * (0.15 + 0.4 * size)), colour)


def _draw_animal(canvas: MatLike, generator: np.random.Generator, centre: Point, radius: int, colour: Colour) -> None:
    x, y = centre
    ear_width, ear_height, head_width, belly, eye_size = generator.random(5).tolist()
    outline = mix(colour, _BLACK, 0.75)
    head = (int(radius * (0.45 + 0.15 * head_width)), int(radius * 0.42))
    body = (int(radius * (0.35 + 0.25 * belly)), int(radius * 0.5))
    top = y - int(0.25 * radius)
    height = int(radius * (0.15 + 0.3 * ear_height))
    ear_axes = (max(3, int(height * (0.3 + 0.5 * ear_width))), height)
    for side in (-1, 1):
        ear = (x + side * int(head[0] * 0.7), top - int(0.35 * radius))
        cv2.ellipse(canvas, ear, ear_axes, side * 20, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(canvas, ear, ear_axes, side * 20, 0, 360, outline, 2, cv2.LINE_AA)
    for spot, axes in (((x, y + int(0.45 * radius)), body), ((x, top), head)):
        cv2.ellipse(canvas, spot, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(canvas, spot, axes, 0, 0, 360, outline, 2, cv2.LINE_AA)
    pupil = max(2, int(radius * (0.04 + 0.06 * eye_size)))
    for side in (-1, 1):
        eye = (x + side * int(head[0] * 0.45), top - int(0.05 * radius))
        cv2.circle(canvas, eye, pupil, _BLACK, -1, cv2.LINE_AA)
    nose, nose_axes = (x, top + int(0.13 * radius)), (max(2, radius // 10), max(2, radius // 16))
    cv2.ellipse(canvas, nose, nose_axes, 0, 0, 360, random_colour(generator), -1, cv2.LINE_AA)


def _draw_flower(canvas: MatLike, generator: np.random.Generator, centre: Point, radius: int, colour: Colour) -> None:
    petals = int(generator.integers(4, 13))
    petal_width, turn = generator.random(2).tolist()
    axes = (int(0.45 * radius), max(3, int(radius * (0.08 + 0.25 * petal_width))))
    for petal in range(petals):
        angle = 360 * (petal / petals + turn)
        spot = (
            int(centre[0] + 0.55 * radius * math.cos(math.radians(angle))),
            int(centre[1] + 0.55 * radius * math.sin(math.radians(angle))),
        )
        cv2.ellipse(canvas, spot, axes, angle, 0, 360, mix(colour, _BLACK, 0.25 * (petal % 2)), -1, cv2.LINE_AA)
    cv2.circle(canvas, centre, int(radius * 0.22), random_colour(generator), -1, cv2.LINE_AA)
