"""Paint the background of a document: colours over a height map, and ornaments such as guilloche."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from zoo_documents.drawing.palettes import mix, random_colour

if TYPE_CHECKING:
    from collections.abc import Callable

    from cv2.typing import MatLike

    from zoo_documents.drawing.palettes import Colour, Palette

Floats = npt.NDArray[np.float32]

# The canvas has this many pixels per side for each pixel of the finished document (antialiasing).
SUPERSAMPLING = 2


def paint_background(canvas: MatLike, generator: np.random.Generator, palette: Palette, *, calm: bool) -> None:
    """Paint the whole canvas; ``calm`` backgrounds stay near the colour of the paper, so that text is readable."""
    colours = [palette.paper, palette.tint]
    if calm:
        colours = [palette.paper, mix(palette.paper, palette.tint, 0.2 + 0.6 * generator.random())]
    else:
        style = float(generator.random())
        if style < 0.45:  # nearly plain
            colours = [palette.paper, mix(palette.paper, palette.tint, 0.1 + 0.4 * generator.random())]
        elif style < 0.65:
            colours += [palette.accent, random_colour(generator)][: int(generator.integers(1, 3))]
    height_map = _draw_height_map(generator, canvas.shape[1] / canvas.shape[0])
    canvas[:] = _apply_colours(height_map, colours, generator, canvas.shape[:2])
    ornaments: tuple[tuple[Callable[..., None], float, float], ...] = (
        # how it is drawn, probability if calm, probability if not
        (_draw_guilloche, 0.65, 0.08),
        (_draw_guilloche, 0.3, 0.02),
        (_draw_scatter, 0.04, 0.08),
        (_draw_swooshes, 0.12, 0.16),
        (_draw_mosaic, 0.03, 0.06),
        (_draw_skyline, 0.03, 0.05),
        (_draw_hatching, 0.1, 0.05),
    )
    for draw, probability_calm, probability in ornaments:
        if generator.random() < (probability_calm if calm else probability):
            _add_ornament(canvas, draw, generator, palette, 0.15 + 0.35 * generator.random() if calm else 1.0)


def _add_ornament(
    canvas: MatLike,
    draw: Callable[..., None],
    generator: np.random.Generator,
    palette: Palette,
    opacity: float,
) -> None:
    layer = canvas.copy()
    draw(layer, generator, palette)
    canvas[:] = cv2.addWeighted(layer, opacity, canvas, 1 - opacity, 0)


def _draw_height_map(generator: np.random.Generator, aspect: float) -> npt.NDArray[np.uint8]:
    """Draw a grey image in 0..255 on a coarse grid, to which colours are applied."""
    height = 72
    y, x = np.mgrid[0:height, 0 : max(8, round(height * aspect))].astype(np.float32) / height
    angle, offset_x, offset_y, rate, warp = generator.random(5).tolist()
    cos, sin = math.cos(2 * math.pi * angle), math.sin(2 * math.pi * angle)
    along = cos * x + sin * y
    radius = np.hypot(x - aspect * (1.6 * offset_x - 0.3), y - (1.6 * offset_y - 0.3))
    wave = 2 * math.pi * (0.7 + 9 * rate * rate)
    kind = int(generator.integers(-6, 12))
    if kind <= 0:
        values = along
    elif kind <= 2:  # the glow of a lamp
        values = np.exp(-(1 + 3 * rate) * radius)
    elif kind == 3:
        values = radius
    elif kind == 4:
        values = np.sin(wave * radius)
    elif kind == 5:
        values = np.sin(wave * along)
    elif kind == 6:
        values = np.sin(wave * (along + 0.25 * warp * np.sin(5 * (cos * y - sin * x))))
    elif kind == 7:
        rays = round(3 + 20 * rate)
        values = np.sin(rays * np.arctan2(y - offset_y, x - aspect * offset_x))
    elif kind == 8:
        values = np.sin(wave * (along + warp * _draw_clouds(generator, x.shape)))
    elif kind == 9:
        values = np.sin(wave * x) * np.sin(wave * y)
    else:
        values = _draw_cells(generator, x, y) if kind == 10 else _draw_clouds(generator, x.shape)
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) * (255 / max(high - low, 1e-6)), np.uint8)


def _draw_clouds(generator: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    total = np.zeros(shape, np.float32)
    first = int(generator.integers(2, 6))
    for octave in range(4):
        points = generator.random((first << octave, (first << octave) + 2), dtype=np.float32)
        total += np.asarray(cv2.resize(points, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)) / 2**octave
    return total


def _draw_cells(generator: np.random.Generator, x: Floats, y: Floats) -> Floats:
    """Draw Voronoi cells with random heights."""
    count = int(generator.integers(6, 30))
    seeds = generator.random((count, 3), dtype=np.float32)
    distances = (x[..., None] - seeds[:, 0] * x.max()) ** 2 + (y[..., None] - seeds[:, 1]) ** 2
    return np.asarray(seeds[distances.argmin(axis=2), 2], np.float32)


def _apply_colours(
    height_map: npt.NDArray[np.uint8],
    colours: list[Colour],
    generator: np.random.Generator,
    shape: tuple[int, ...],
) -> MatLike:
    """Replace grey values by colours: smoothly, in steps, or as thin lines."""
    large = cv2.resize(height_map, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    style = generator.random()
    heights = np.arange(256) / 255
    if style < 0.1:
        steps = int(generator.integers(2, 8))
        heights = np.floor(heights * steps * 0.999) / max(steps - 1, 1)
    elif style < 0.18:
        lines = int(generator.integers(4, 14))
        heights = ((heights * lines) % 1 < 0.1 + 0.3 * generator.random()).astype(np.float64)
    stops = np.linspace(0, 1, len(colours))
    table = np.stack([np.interp(heights, stops, [colour[c] for colour in colours]) for c in range(3)], axis=1)
    return cv2.applyColorMap(large, table.astype(np.uint8)[:, None])


def _draw_guilloche(canvas: MatLike, generator: np.random.Generator, palette: Palette) -> None:
    """Draw bundles of shifted waves, or a rosette, as on banknotes."""
    height, width = canvas.shape[:2]
    colour = (palette.accent, palette.tint, palette.second_accent, palette.ink)[int(generator.integers(4))]
    count, *shape = generator.random(7).tolist()
    lines = int(6 + 14 * count)
    angles = np.linspace(0, 2 * math.pi, 160)
    curves = []
    if shape[0] < 0.4:
        petals = round(4 + 14 * shape[1])
        centre = np.array([width * (0.1 + 0.8 * shape[2]), height * (0.2 + 0.6 * shape[3])])
        for line in range(lines):
            depth = 0.15 + 0.5 * shape[4]
            radius = (
                height * (0.2 + 0.5 * shape[5]) * (1 + depth * np.sin(petals * angles + 2 * math.pi * line / lines))
            )
            curves.append(centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    else:
        x = np.linspace(-5, width + 5, 160)
        for line in range(lines):
            phase = 2 * math.pi * line / lines * (0.3 + shape[1])
            swing = height * (0.05 + 0.35 * shape[2]) * np.sin(x / width * (4 + 22 * shape[3]) + phase)
            beat = np.sin(x / width * (2 + 6 * shape[4]) + 2 * shape[5])
            curves.append(np.stack([x, height * (line + 0.5) / lines + swing * beat], axis=1))
    cv2.polylines(
        canvas,
        [np.asarray(curve, np.int32) for curve in curves],
        isClosed=False,
        color=colour,
        thickness=1,
        lineType=cv2.LINE_AA,
    )


def _draw_scatter(canvas: MatLike, generator: np.random.Generator, palette: Palette) -> None:
    """Draw many dots, rings, squares or strokes, on a grid or at random positions."""
    height, width = canvas.shape[:2]
    kind, density, size, variety, order = generator.random(5).tolist()
    pitch = height * (0.06 + 0.25 * density)
    columns, rows = int(width / pitch) + 1, int(height / pitch) + 1
    spots = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2).reshape(-1, 2) + 0.5
    if order < 0.5:
        spots = generator.random(spots.shape) * (columns, rows)
    radius = max(2, int(pitch * (0.12 + 0.35 * size)))
    colours = [random_colour(generator) for _ in range(4)] if variety < 0.4 else [palette.tint, palette.accent]
    for number, (x, y) in enumerate((spots * pitch).astype(int).tolist()):
        colour = colours[number % len(colours)]
        if kind < 0.4:
            cv2.circle(canvas, (x, y), radius, colour, -1, cv2.LINE_AA)
        elif kind < 0.6:
            cv2.circle(canvas, (x, y), radius, colour, max(1, radius // 4), cv2.LINE_AA)
        elif kind < 0.8:
            cv2.rectangle(canvas, (x - radius, y - radius), (x + radius, y + radius), colour, -1)
        else:
            cv2.line(
                canvas, (x - radius, y + radius), (x + radius, y - radius), colour, max(1, radius // 3), cv2.LINE_AA
            )


def _draw_swooshes(canvas: MatLike, generator: np.random.Generator, palette: Palette) -> None:
    """Draw broad bands with wavy edges."""
    height, width = canvas.shape[:2]
    x = np.linspace(0, width, 40)
    colours = (palette.tint, palette.accent, palette.second_accent, mix(palette.tint, (255, 255, 255), 0.5))
    for _ in range(int(generator.integers(1, 5))):
        level, slope, thick, swing, phase, rate = generator.random(6).tolist()
        middle = height * (1.2 * level - 0.1 + 0.8 * (slope - 0.5) * (x / width - 0.5))
        middle = middle + height * 0.3 * swing * np.sin(x / width * (2 + 5 * rate) + 6 * phase)
        band = height * (0.02 + 0.22 * thick) * (0.6 + 0.4 * np.sin(x / width * 4 + 6 * rate))
        outline = np.concatenate([np.stack([x, middle - band], 1), np.stack([x, middle + band], 1)[::-1]])
        cv2.fillPoly(canvas, [outline.astype(np.int32)], colours[int(generator.integers(4))], cv2.LINE_AA)


def _draw_mosaic(canvas: MatLike, generator: np.random.Generator, palette: Palette) -> None:
    """Draw triangles in shades between two colours, like folded paper."""
    height, width = canvas.shape[:2]
    rows = int(generator.integers(2, 6))
    columns = max(2, round(rows * width / height))
    y, x = np.mgrid[0 : rows + 1, 0 : columns + 1].astype(np.float64)
    x, y = x + 0.7 * (generator.random(x.shape) - 0.5), y + 0.7 * (generator.random(y.shape) - 0.5)
    points = np.stack(
        [(x * 1.2 - 0.1 * columns) * width / columns, (y * 1.2 - 0.1 * rows) * height / rows], axis=2
    ).astype(np.int32)
    other = palette.accent if generator.random() < 0.5 else palette.tint
    shades = generator.random((rows, columns, 2)).tolist()
    for row in range(rows):
        for column in range(columns):
            square = points[row : row + 2, column : column + 2].reshape(4, 2)
            for half, corners in enumerate(((0, 1, 2), (1, 2, 3))):
                cv2.fillConvexPoly(
                    canvas, square[list(corners)], mix(palette.paper, other, shades[row][column][half]), cv2.LINE_AA
                )


def _draw_skyline(canvas: MatLike, generator: np.random.Generator, palette: Palette) -> None:
    """Draw a sun behind hills, or towers along the lower edge."""
    height, width = canvas.shape[:2]
    ground, sun_x, sun, towers = generator.random(4).tolist()
    colour = palette.tint if generator.random() < 0.5 else palette.accent
    centre = (int(width * sun_x), int(height * (0.25 + 0.3 * sun)))
    cv2.circle(canvas, centre, int(height * (0.1 + 0.2 * sun)), palette.second_accent, -1, cv2.LINE_AA)
    base = height * (0.45 + 0.4 * ground)
    if towers < 0.5:
        x = 0.0
        for size, tall in generator.random((40, 2)).tolist():
            step = width * (0.02 + 0.06 * size)
            cv2.rectangle(
                canvas, (int(x), int(base - height * 0.35 * tall * tall)), (int(x + step), height), colour, -1
            )
            x += step + 1
    else:
        x_axis = np.linspace(0, width, 50)
        for layer in range(3):
            rate, phase = generator.random(2).tolist()
            crest = base + layer * height * 0.08 - height * 0.1 * np.sin(x_axis / width * (3 + 9 * rate) + 6 * phase)
            outline = np.stack([np.r_[0, x_axis, width], np.r_[height, crest, height]], axis=1)
            cv2.fillPoly(canvas, [outline.astype(np.int32)], mix(colour, palette.ink, 0.2 * layer), cv2.LINE_AA)


def _draw_hatching(canvas: MatLike, generator: np.random.Generator, palette: Palette) -> None:
    """Draw fine parallel lines."""
    height, width = canvas.shape[:2]
    pitch, lean, weight = generator.random(3).tolist()
    step = max(3, int(3 + 20 * pitch * pitch))
    shift = int(height * (2 * lean - 1))
    colour = palette.tint if generator.random() < 0.7 else palette.accent
    for x in range(-abs(shift), width + abs(shift), step):
        cv2.line(canvas, (x, 0), (x + shift, height), colour, 1 + int(weight * step / 4), cv2.LINE_AA)
