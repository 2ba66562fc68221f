"""Emblems, figures, chips and marks: what is printed upon a background."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing.palettes import any_colour, mixed

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from zoo_documents.drawing.palettes import Colour, Palette

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (15, 15, 15)


def emblem(
    canvas: MatLike, generator: np.random.Generator, palette: Palette, centre: tuple[int, int], radius: int
) -> None:
    """A company's logo or a coat of arms: two or three plain shapes upon each other."""
    colours = [palette.accent, palette.second, WHITE if palette.dark else palette.ink, any_colour(generator)]
    x, y = centre
    around = cv2.mean(canvas[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1])
    # The outermost shape is what stands out, or two emblems would look alike.
    colours.sort(key=lambda colour: -sum(abs(a - b) for a, b in zip(colour, around, strict=False)))
    order = [0, *(1 + generator.permutation(3)).tolist()]
    size = radius
    for layer in range(int(generator.integers(2, 4))):
        _shape(canvas, generator, centre, size, colours[order[layer]])
        size = int(size * (0.45 + 0.3 * generator.random()))
        if size < 2:
            break


def _shape(
    canvas: MatLike, generator: np.random.Generator, centre: tuple[int, int], radius: int, colour: Colour
) -> None:
    x, y = centre
    kind = int(generator.integers(9))
    turn, ratio = generator.random(2).tolist()
    if kind == 0:
        cv2.circle(canvas, centre, radius, colour, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.circle(canvas, centre, radius, colour, max(2, radius // 4), cv2.LINE_AA)
    elif kind == 2:
        _polygon(canvas, centre, radius, colour, corners=int(3 + 4 * ratio), turn=turn)
    elif kind == 3:
        _polygon(canvas, centre, radius, colour, corners=int(4 + 9 * ratio), turn=turn, inner=0.3 + 0.3 * turn)
    elif kind == 4:
        arm = max(1, int(radius * (0.2 + 0.2 * ratio)))
        cv2.rectangle(canvas, (x - radius, y - arm), (x + radius, y + arm), colour, -1)
        cv2.rectangle(canvas, (x - arm, y - radius), (x + arm, y + radius), colour, -1)
    elif kind == 5:
        cv2.ellipse(
            canvas,
            centre,
            (radius, max(2, int(radius * (0.3 + 0.4 * ratio)))),
            180 * turn,
            0,
            360,
            colour,
            -1,
            cv2.LINE_AA,
        )
    elif kind == 6:
        half = max(1, int(radius * 0.85))
        cv2.rectangle(canvas, (x - half, y - half), (x + half, y + half), colour, -1)
    elif kind == 7:
        for step in range(3):
            level = y - radius + step * 2 * radius // 3
            points = [(x - radius, level), (x, level + radius // 2), (x + radius, level), (x, level + radius)]
            cv2.polylines(
                canvas,
                [np.array(points[:3])],
                isClosed=False,
                color=colour,
                thickness=max(2, radius // 5),
                lineType=cv2.LINE_AA,
            )
    else:
        shield = [(-0.8, -1), (0.8, -1), (0.8, 0.1), (0, 1), (-0.8, 0.1)]
        cv2.fillPoly(
            canvas, [np.array([(x + radius * u, y + radius * v) for u, v in shield], np.int32)], colour, cv2.LINE_AA
        )


def _polygon(
    canvas: MatLike,
    centre: tuple[int, int],
    radius: int,
    colour: Colour,
    *,
    corners: int,
    turn: float,
    inner: float | None = None,
) -> None:
    """A regular polygon, or with ``inner`` (0..1) a star."""
    count = corners if inner is None else 2 * corners
    angles = 2 * math.pi * (np.arange(count) / count + turn)
    radii = np.full(count, float(radius))
    if inner is not None:
        radii[1::2] *= inner
    points = np.stack([centre[0] + radii * np.cos(angles), centre[1] + radii * np.sin(angles)], axis=1)
    cv2.fillPoly(canvas, [points.astype(np.int32)], colour, cv2.LINE_AA)


def figure(
    canvas: MatLike, generator: np.random.Generator, palette: Palette, centre: tuple[int, int], radius: int
) -> None:
    """A large picture: an animal, a flower, balloons, or a pile of shapes."""
    kind = int(generator.integers(4))
    body = WHITE if generator.random() < 0.3 else any_colour(generator)
    if kind == 0:
        _animal(canvas, generator, centre, radius, body)
    elif kind == 1:
        _flower(canvas, generator, centre, radius, body)
    elif kind == 2:
        for x, y, size in generator.random((int(generator.integers(3, 9)), 3)).tolist():
            place = (int(centre[0] + 2 * radius * (x - 0.5)), int(centre[1] + 2 * radius * (y - 0.5)))
            cv2.line(canvas, place, (centre[0], centre[1] + radius), palette.ink, 1, cv2.LINE_AA)
            cv2.circle(canvas, place, int(radius * (0.12 + 0.25 * size)), any_colour(generator), -1, cv2.LINE_AA)
    else:
        for x, y, size in generator.random((int(generator.integers(4, 14)), 3)).tolist():
            place = (int(centre[0] + 2.4 * radius * (x - 0.5)), int(centre[1] + 2 * radius * (y - 0.5)))
            _shape(canvas, generator, place, int(radius * (0.15 + 0.4 * size)), any_colour(generator))


def _animal(
    canvas: MatLike, generator: np.random.Generator, centre: tuple[int, int], radius: int, colour: Colour
) -> None:
    x, y = centre
    ears, ear_size, wide, belly, look = generator.random(5).tolist()
    outline = mixed(colour, BLACK, 0.75)
    head = (int(radius * (0.45 + 0.15 * wide)), int(radius * 0.42))
    top = y - int(0.25 * radius)
    for side in (-1, 1):
        ear = (x + side * int(head[0] * 0.7), top - int(0.35 * radius))
        tall = int(radius * (0.15 + 0.3 * ear_size))
        cv2.ellipse(
            canvas, ear, (max(3, int(tall * (0.3 + 0.5 * ears))), tall), side * 20, 0, 360, colour, -1, cv2.LINE_AA
        )
        cv2.ellipse(
            canvas, ear, (max(3, int(tall * (0.3 + 0.5 * ears))), tall), side * 20, 0, 360, outline, 2, cv2.LINE_AA
        )
    for place, axes in (
        ((x, y + int(0.45 * radius)), (int(radius * (0.35 + 0.25 * belly)), int(radius * 0.5))),
        ((x, top), head),
    ):
        cv2.ellipse(canvas, place, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(canvas, place, axes, 0, 0, 360, outline, 2, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.circle(
            canvas,
            (x + side * int(head[0] * 0.45), top - int(0.05 * radius)),
            max(2, int(radius * (0.04 + 0.06 * look))),
            BLACK,
            -1,
            cv2.LINE_AA,
        )
    cv2.ellipse(
        canvas,
        (x, top + int(0.13 * radius)),
        (max(2, radius // 10), max(2, radius // 16)),
        0,
        0,
        360,
        any_colour(generator),
        -1,
        cv2.LINE_AA,
    )


def _flower(
    canvas: MatLike, generator: np.random.Generator, centre: tuple[int, int], radius: int, colour: Colour
) -> None:
    petals = int(generator.integers(4, 13))
    slim, turn = generator.random(2).tolist()
    for petal in range(petals):
        angle = 360 * (petal / petals + turn)
        place = (
            int(centre[0] + 0.55 * radius * math.cos(math.radians(angle))),
            int(centre[1] + 0.55 * radius * math.sin(math.radians(angle))),
        )
        axes = (int(0.45 * radius), max(3, int(radius * (0.08 + 0.25 * slim))))
        cv2.ellipse(canvas, place, axes, angle, 0, 360, mixed(colour, BLACK, 0.25 * (petal % 2)), -1, cv2.LINE_AA)
    cv2.circle(canvas, centre, int(radius * 0.22), any_colour(generator), -1, cv2.LINE_AA)


def chip(canvas: MatLike, generator: np.random.Generator, corner: tuple[int, int], height: int) -> None:
    """The contacts of a chip card, ``height`` pixels high."""
    x, y = corner
    width = int(height * 1.25)
    gold: Colour = (205, 170, 85) if generator.random() < 0.65 else (195, 197, 200)
    line = mixed(gold, BLACK, 0.55)
    cv2.rectangle(canvas, (x, y), (x + width, y + height), gold, -1)
    cv2.rectangle(canvas, (x, y), (x + width, y + height), line, 1)
    for part in (1 / 3, 2 / 3):
        cv2.line(canvas, (x, y + int(part * height)), (x + width, y + int(part * height)), line, 1)
    cv2.ellipse(canvas, (x + width // 2, y + height // 2), (width // 5, height // 3), 0, 0, 360, line, 1, cv2.LINE_AA)


def waves(canvas: MatLike, centre: tuple[int, int], radius: int, colour: Colour) -> None:
    """The sign of contactless payment."""
    for part in (0.35, 0.65, 0.95):
        size = max(2, int(radius * part))
        cv2.ellipse(canvas, centre, (size, size), 0, -45, 45, colour, 2, cv2.LINE_AA)


def mark(canvas: MatLike, generator: np.random.Generator, corner: tuple[int, int], height: int) -> None:
    """A payment scheme's mark, lower right corner given: two discs, a framed bar, stripes or an ellipse."""
    right, bottom = corner
    first, second = any_colour(generator), any_colour(generator)
    width = int(height * 1.55)
    kind = int(generator.integers(5))
    left, top = right - width, bottom - height
    if kind == 0:
        radius = height // 2
        cv2.circle(canvas, (left + radius, top + radius), radius, first, -1, cv2.LINE_AA)
        cv2.circle(canvas, (right - radius, top + radius), radius, second, -1, cv2.LINE_AA)
        cv2.ellipse(
            canvas,
            (left + width // 2, top + radius),
            (max(1, radius // 3), int(radius * 0.8)),
            0,
            0,
            360,
            mixed(first, second, 0.5),
            -1,
            cv2.LINE_AA,
        )
    elif kind == 1:
        cv2.rectangle(canvas, (left, top), (right, bottom), WHITE, -1)
        cv2.rectangle(canvas, (left, top), (right, top + height // 5), first, -1)
        cv2.rectangle(canvas, (left, bottom - height // 5), (right, bottom), second, -1)
        zigzag = [(left + width * n // 8, top + height * (2 + n % 2) // 4) for n in range(1, 8)]
        cv2.polylines(canvas, [np.array(zigzag)], isClosed=False, color=first, thickness=3, lineType=cv2.LINE_AA)
    elif kind == 2:
        third = any_colour(generator)
        for stripe, colour in enumerate((first, second, third)):
            x = left + stripe * width // 3
            cv2.rectangle(canvas, (x, top), (x + width // 3 - 2, bottom), colour, -1)
    elif kind == 3:
        cv2.ellipse(
            canvas,
            ((left + right) // 2, (top + bottom) // 2),
            (width // 2, height // 2),
            0,
            0,
            360,
            first,
            -1,
            cv2.LINE_AA,
        )
        cv2.ellipse(
            canvas,
            ((left + right) // 2, (top + bottom) // 2),
            (width // 3, height // 5),
            -15,
            0,
            360,
            second,
            -1,
            cv2.LINE_AA,
        )
    else:
        cv2.rectangle(canvas, (left, top), (right, bottom), first, -1)
        _shape(canvas, generator, ((left + right) // 2, (top + bottom) // 2), height // 3, WHITE)


def flag(canvas: MatLike, generator: np.random.Generator, corner: tuple[int, int], height: int) -> None:
    """Three stripes, upright or lying, perhaps with a disc."""
    x, y = corner
    width = height * 3 // 2
    lying, disc = (generator.random(2) < (0.5, 0.3)).tolist()
    for stripe in range(3):
        near, far = stripe / 3, (stripe + 1) / 3
        start = (x, y + int(near * height)) if lying else (x + int(near * width), y)
        end = (x + width, y + int(far * height)) if lying else (x + int(far * width), y + height)
        cv2.rectangle(canvas, start, end, any_colour(generator) if stripe != 1 else WHITE, -1)
    if disc:
        cv2.circle(canvas, (x + width // 2, y + height // 2), height // 4, any_colour(generator), -1, cv2.LINE_AA)
