"""Draw grey pictures without a subject: silk, light, metal, weaves, maps. Grey values are in 0..1.

Each function returns the picture and where it shows its second colours (a mask in 0..1, or ``None``).
"""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing.procedural import illuminate, noise, normalise, soften

if TYPE_CHECKING:
    from zoo_documents.drawing.procedural import Floats, PixelGrid


def draw_silk(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, None]:
    """Draw folds of cloth, smoke or ribbons."""
    turn, rate, warp, sharp, light = generator.random(5).tolist()
    bend = noise(generator, grid, 1 + int(2 * rate), 3, 0.4)
    folds = np.sin((3 + 14 * rate) * (grid.along(turn) + (0.5 + 1.5 * warp) * bend))
    tone = 0.5 + 0.5 * np.sign(folds) * np.abs(folds) ** (0.5 + 1.5 * sharp)
    return tone * (0.6 + 0.4 * bend) if light < 0.6 else illuminate(folds, turn, 2 + 4 * light), None


def draw_relief(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, None]:
    """Draw rock, foil, leather or crumpled paper in light from one side."""
    kind, size, strength, turn = generator.random(4).tolist()
    surface = noise(generator, grid, 1 + int(9 * size * size), 4, 0.5 + 0.25 * kind)
    if kind < 0.3:
        surface = np.abs(surface - 0.5)
    elif kind < 0.5:
        surface = np.asarray(np.round(surface * 9) / 9, np.float32)
    return 0.75 * illuminate(surface, turn, 2 + 14 * strength) + 0.25 * surface, None


def draw_light_trails(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw lines of light on a dark background."""
    u = generator.random(9).tolist()
    image = grid.blank()
    t = np.linspace(-0.1, 1.1, 40)
    curves = []
    for line in range(3 + int(26 * u[0])):
        shift = line * (0.01 + 0.05 * u[1])
        wave = np.sin(t * (2 + 9 * u[2]) + 6 * u[3] + shift * 8 * u[4]) * (0.1 + 0.4 * u[5])
        y = u[6] + (u[7] - 0.5) * (t - 0.5) * 2 + wave * np.sin(3 * t + 4 * u[4] + 3 * shift) + shift * (u[8] - 0.3)
        curves.append(np.stack([t * grid.width, y * grid.height], axis=1).astype(np.int32))
    cv2.polylines(image, curves, isClosed=False, color=255, thickness=1, lineType=cv2.LINE_AA)
    glow = soften(image, grid.height * (0.02 + 0.05 * u[1]))
    tone = 0.6 * np.asarray(image, np.float32) / 255 + 2.2 * glow
    return np.minimum(tone, 1), grid.y + 0 * grid.x


def draw_blurred_lights(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw lights out of focus, or snow, confetti or stars."""
    blur, size, density = generator.random(3).tolist()
    dim, bright = grid.blank(), grid.blank()
    spots = generator.random((10 + int(60 * density), 4))
    for x, y, radius, value in spots.tolist():
        spot = (int(x * grid.width), int(y * grid.height))
        picture = dim if value < 0.6 else bright
        pixels = int(1 + grid.height * (0.02 + 0.14 * size) * radius)
        cv2.circle(picture, spot, pixels, int(60 + 195 * value), -1, cv2.LINE_AA)
    tone = 0.25 * (1 - grid.y) + 0.6 * soften(dim, 0.5 + 5 * blur) + 0.7 * soften(bright, 0.5 + 1.5 * blur)
    return np.minimum(tone, 1), soften(bright, 2)


def draw_rays(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, None]:
    """Draw rays, a spiral or rings around a point."""
    x, y, count, twist, fall = generator.random(5).tolist()
    centre = (grid.aspect * (1.4 * x - 0.2), 1.4 * y - 0.2)
    distance = grid.distance(*centre)
    angle = grid.angle(*centre) * np.float32(math.pi / 180)
    turns = round(2 + 22 * count * count)
    bend = 0 if twist < 0.4 else 14 * (twist - 0.4) * np.sqrt(distance)
    beams = 0.5 + 0.5 * np.sin(turns * angle + bend)
    return beams * (0.3 + 0.5 * fall) + (0.7 - 0.5 * fall) * np.exp(-2.5 * distance), None


def draw_metal(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, None]:
    """Draw brushed metal with a sheen."""
    u = generator.random(5).tolist()
    along = generator.random((grid.height, 1), dtype=np.float32)
    grain = (
        np.repeat(along, grid.width, axis=1)
        if u[0] < 0.6
        else cv2.blur(generator.random((grid.height, grid.width), dtype=np.float32), (25, 1))
    )
    sheen = np.cos((2 + 5 * u[1]) * (grid.along(u[2] * 0.25) - u[3]))
    return 0.5 + 0.35 * sheen + (0.08 + 0.25 * u[4]) * (grain - 0.5), None


def draw_repeated_motif(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, None]:
    """Draw a small motif that repeats: checks, monograms, carbon, lace."""
    kind, shade = generator.random(2).tolist()
    side = int(generator.integers(4, 22))
    tile = generator.random((side, side), dtype=np.float32)
    tile = np.asarray(cv2.GaussianBlur(tile, (0, 0), 0.5 + side / 12), np.float32)
    if kind < 0.7:  # ornaments are symmetric
        tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
        tile = np.concatenate([tile, tile[::-1] if kind < 0.4 else np.roll(tile, side, axis=1)], axis=0)
    tile = normalise(tile)
    if kind < 0.5:
        tile = np.clip((tile - 0.45) * 6, 0, 1)
    times = (-(-grid.height // tile.shape[0]), -(-grid.width // tile.shape[1]))
    return np.tile(tile, times)[: grid.height, : grid.width] * 0.6 + 0.4 * shade * grid.y, None


def draw_map(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw a map: continents, solid or dotted, or contour lines."""
    kind, share, lines, sea = generator.random(4).tolist()
    height = noise(generator, grid, 2, 5)
    if kind < 0.4:
        thin = np.abs((height * (5 + 9 * lines)) % 1 - 0.5) < 0.08 + 0.1 * share
        return 0.8 * thin.astype(np.float32) + 0.2 * height, thin.astype(np.float32)
    land = np.clip((height - 0.45 - 0.15 * share) * 25, 0, 1)
    if kind < 0.7:
        pitch = 3 + int(3 * lines)
        rows, columns = np.arange(grid.height)[:, None] % pitch, np.arange(grid.width)[None] % pitch
        land = land * ((rows > 0) & (columns > 0))
    return 0.2 + 0.3 * sea + 0.4 * land + 0.2 * (height - 0.5), land


def draw_swirls(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw arabesques: spirals and tendrils of varying thickness."""
    image = grid.blank()
    thick = float(generator.random())
    for x, y, size, turns, start, direction in generator.random((3 + int(generator.integers(9)), 6)).tolist():
        t = np.linspace(0.02, 1, 36)
        angle = (6 * start + t**0.6 * (4 + 9 * turns)) * (1 if direction < 0.5 else -1)
        radius = grid.height * (0.15 + 0.5 * size) * t**1.3
        points = np.stack([x * grid.width + radius * np.cos(angle), y * grid.height + radius * np.sin(angle)], axis=1)
        whole = points.astype(np.int32)
        value, weight = 200 + int(55 * direction), 1 + int(grid.height * 0.05 * thick * size)
        cv2.polylines(image, [whole], isClosed=False, color=value, thickness=1, lineType=cv2.LINE_AA)
        cv2.polylines(image, [whole[18:]], isClosed=False, color=255, thickness=weight, lineType=cv2.LINE_AA)
        cv2.circle(image, whole[0].tolist(), weight + 1, 255, -1, cv2.LINE_AA)
    drawn = np.asarray(image, np.float32) / 255
    return 0.25 * (1 - grid.y) + 0.75 * drawn, drawn
