"""Draw grey pictures of a subject: hills, towns, planets, flowers, leaves, objects, people. Grey values are in 0..1.

Each function returns the picture and where it shows its second colours (a mask in 0..1).
"""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from zoo_documents.drawing.faces import HEIGHT, WIDTH, draw_face
from zoo_documents.drawing.procedural import crest, illuminate, noise, soften

if TYPE_CHECKING:
    from zoo_documents.drawing.procedural import Floats, PixelGrid


def draw_hills(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw a sky, possibly a sun, ranges of hills, and possibly water that mirrors them."""
    u = generator.random(8).tolist()
    tone = 0.95 - 0.5 * u[0] * grid.y + (0.5 * u[1]) * (noise(generator, grid, 2, 3) - 0.5)
    tone = tone + 0.6 * np.exp(-(6 + 30 * u[2]) * grid.distance(u[3] * grid.aspect, 0.1 + 0.4 * u[4]) ** 2)
    blend = np.zeros_like(tone)
    texture = noise(generator, grid, 7, 3, 0.8) - 0.5
    count = 2 + int(3 * u[5])
    roughness = 0.3 + 0.35 * u[6]
    for layer in range(count):
        level = 0.25 + 0.6 * (layer + 1) / (count + 1) - (0.35 - 0.05 * layer) * crest(generator, grid, roughness)
        mask = np.clip((grid.y - level) * grid.height, 0, 1)
        body = 0.62 - 0.5 * layer / count + 0.5 * texture + 0.3 * (level - grid.y)
        tone = tone + (body - tone) * mask
        blend = np.maximum(blend, mask)
    if u[7] < 0.35:
        shore = int(grid.height * (0.5 + 0.3 * u[2]))
        rows = np.clip(2 * shore - np.arange(shore, grid.height) * 1, 0, shore)
        tone[shore:] = 0.8 * tone[rows] + 0.12 * texture[shore:]
        blend[shore:] = blend[rows]
    return tone, blend


def draw_town(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw towers with windows under a sky, by day or night, mirrored in water."""
    u = generator.random(6).tolist()
    night = u[0] < 0.5
    tone = (0.15 + 0.3 * u[1]) + 0.4 * grid.y * np.ones_like(grid.x) if night else 1 - 0.4 * u[1] * grid.y + 0 * grid.x
    blend = np.zeros_like(tone)
    ground = 0.6 + 0.35 * u[2]
    pitch = 2 + int(3 * u[3])
    lights = generator.random((grid.height, grid.width), dtype=np.float32) < 0.3 + 0.5 * u[4]
    rows, columns = np.arange(grid.height)[:, None], np.arange(grid.width)[None]
    windows = ((rows % pitch) < pitch - 1) & ((columns % pitch) < max(1, pitch // 2)) & lights
    towers = generator.random((12 + int(26 * u[5]), 4)).tolist()
    for order, (x, wide, tall, shade) in enumerate(towers):
        left = int(grid.width * (1.1 * x - 0.05))
        right = left + int(grid.height * (0.04 + 0.14 * wide))
        top = int(grid.height * (ground - 0.12 - (0.5 - 0.3 * order / len(towers)) * tall**1.5))
        bottom = int(grid.height * ground)
        left = max(0, left)
        base = (0.05 + 0.25 * shade) if night else (0.25 + 0.55 * shade)
        glow = 0.6 if night else -0.22
        tone[top:bottom, left:right] = base + glow * windows[top:bottom, left:right]
        blend[top:bottom, left:right] = shade
    bottom = int(grid.height * ground)
    rows = np.clip(2 * bottom - np.arange(bottom, grid.height), 0, bottom)
    tone[bottom:] = tone[rows] * (0.5 + 0.3 * u[1]) + 0.1
    blend[bottom:] = blend[rows]
    return tone, blend


def draw_balls(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw a planet, pearls or drops."""
    many, dark, *light = generator.random(5).tolist()
    tone = (0.1 + 0.8 * dark) - 0.3 * light[2] * grid.y + 0 * grid.x
    blend = np.zeros_like(tone)
    texture = noise(generator, grid, 3)
    if dark < 0.4:
        tone = np.maximum(tone, generator.random(tone.shape, dtype=np.float32) ** 60)
    side = np.array([light[0] - 0.5, light[1] - 0.7])
    side_x, side_y = (side / (np.hypot(*side) + 0.3)).tolist()
    for x, y, size, style in generator.random((1 + int(6 * many * many), 4)).tolist():
        radius = (0.15 + 0.5 * size) * (1 if many < 0.5 else 0.5)
        across, down = (grid.x - x * grid.aspect) / radius, (grid.y - 0.1 - 0.8 * y) / radius
        square = across * across + down * down
        mask = np.clip((1 - square) * radius * grid.height * 0.5, 0, 1)
        depth = np.sqrt(np.maximum(0, 1 - square))
        body = 0.5 + 0.45 * (across * side_x + down * side_y) * (1 if style < 0.8 else -1) + 0.25 * depth
        body = body + (0.5 * style) * (texture - 0.5)
        tone = tone + (body - tone) * mask
        blend = blend + (0.3 + 0.7 * style - blend) * mask
    return tone, blend


def draw_flowers(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw one large flower or a few, sharp or soft."""
    many, back, dark, blur = generator.random(4).tolist()
    tone = (0.1 + 0.8 * dark) + 0.35 * back * (noise(generator, grid, 2, 3) - 0.5)
    blend = np.zeros_like(tone)
    for x, y, size, petals, turn, pointed, shade in generator.random((1 + int(4 * many), 7)).tolist():
        radius = (0.25 + 0.45 * size) * (1.2 - 0.6 * many)
        centre = (grid.aspect * x, y)
        distance, angle = grid.distance(*centre), grid.angle(*centre) * np.float32(math.pi / 360)
        count = 4 + int(6 * petals)
        wave = np.abs(np.cos(count * angle + 6 * turn))
        edge = radius * (0.35 + 0.65 * wave ** (0.4 + 1.2 * pointed))
        sharp = grid.height * (0.06 if blur < 0.3 else 0.5)
        mask = np.clip((edge - distance) * sharp, 0, 1)
        body = 0.3 + 0.4 * shade + 0.45 * (distance / radius) - 0.25 * (1 - wave)
        body = np.where(distance < 0.15 * radius, 0.9 - 0.6 * shade, body)
        tone = tone + (body - tone) * mask
        blend = blend + (0.4 + 0.6 * shade - blend) * mask
    return tone, blend


def draw_leaves(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw leaves, feathers or fish: many of one shape, from dark in the back to light in front."""
    count, slim, size, swirl = generator.random(4).tolist()
    image, blend = grid.blank(), grid.blank()
    leaves = generator.random((15 + int(90 * count), 5)).tolist()
    for order, (x, y, turn, tall, shade) in enumerate(leaves):
        length = grid.height * (0.05 + 0.22 * size * (1.3 - count)) * (0.6 + 0.8 * tall)
        spot = (int(x * grid.width), int(y * grid.height))
        axes = (int(length) + 1, int(length * (0.12 + 0.6 * slim)) + 1)
        angle = 360 * turn if swirl < 0.5 else 200 * x + 60 * turn
        for picture, value in ((image, 30 + 180 * order / len(leaves) + 45 * shade), (blend, 255 * turn)):
            cv2.ellipse(picture, spot, axes, angle, 0, 360, int(value), -1, cv2.LINE_AA)
    return np.asarray(image, np.float32) / 255, np.asarray(blend, np.float32) / 255


def draw_object(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw a rounded body in the light with its shadow: a shoe, a car, a bag, a stone."""
    u = generator.random(8).tolist()
    mask = grid.blank()
    for _ in range(1 + int(4 * u[0])):
        cv2.fillPoly(mask, [_draw_outline(generator, grid)], 255, cv2.LINE_AA)
    height = np.sqrt(cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3))
    body = illuminate(cv2.GaussianBlur(np.asarray(height, np.float32), (0, 0), 1.5), u[1], 0.6 + 2 * u[2])
    shadow = soften(np.roll(mask, (4, 5), axis=(0, 1)), 4)
    tone = 0.3 + 0.7 * u[3] - 0.35 * u[4] * grid.y - 0.35 * shadow
    if u[5] < 0.4:
        tone = tone + 0.3 * (noise(generator, grid, 3) - 0.5)
    inside = np.asarray(mask, np.float32) / 255
    glossy = body + 0.35 * np.sin(6 * u[6] + 9 * body) * u[7]
    return tone + (glossy - tone) * inside, inside


def _draw_outline(generator: np.random.Generator, grid: PixelGrid) -> npt.NDArray[np.int32]:
    """Draw a rounded outline in pixels: ``int32 [50, 2]``."""
    x, y, size, flat, lean, *waves = generator.random(13).tolist()
    angles = np.linspace(0, 2 * math.pi, 50)
    radius = np.ones(50)
    for order in range(4):
        phase = 6 * waves[2 * order + 1]
        radius = radius + (0.45 / (order + 1)) * (waves[2 * order] - 0.3) * np.cos((order + 1) * angles + phase)
    radius *= grid.height * (0.12 + 0.25 * size)
    across, down = radius * np.cos(angles) * (1 + flat), radius * np.sin(angles)
    turn = 2 * math.pi * lean
    outline_x = grid.width * (0.15 + 0.7 * x) + across * math.cos(turn) - down * math.sin(turn)
    outline_y = grid.height * (0.2 + 0.6 * y) + across * math.sin(turn) + down * math.cos(turn)
    return np.stack([outline_x, outline_y], axis=1).astype(np.int32)


def draw_crowd(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw people, near or far, as silhouettes or in clothes."""
    u = generator.random(4).tolist()
    image, blend = grid.blank(), grid.blank()
    image[:] = int(80 + 170 * u[0])
    image[int(grid.height * (0.5 + 0.4 * u[1])) :] = int(60 + 150 * u[2])
    for x, y, tall, coat, legs, wide in generator.random((1 + int(14 * u[3]), 6)).tolist():
        size = grid.height * (0.35 + 0.5 * tall) * (1 - 0.5 * u[3])
        spot = (int(x * grid.width), int(grid.height * (0.1 + 0.5 * y)))
        for picture, values in (
            (image, (30 + 200 * coat, 30 + 180 * legs, 225 - 90 * wide)),
            (blend, (255 * coat, 60, 200)),
        ):
            _draw_body(picture, spot, size, wide, legs, coat, *map(int, values))
    return np.asarray(image, np.float32) / 255, np.asarray(blend, np.float32) / 255


def _draw_body(
    image: npt.NDArray[np.uint8],
    top_of_head: tuple[int, int],
    size: float,
    wide: float,
    stride: float,
    reach: float,
    coat: int,
    trousers: int,
    skin: int,
) -> None:
    """Draw a standing person in three grey values."""
    middle, top = top_of_head
    width = int(size * (0.1 + 0.1 * wide))
    hip, foot = top + int(0.55 * size), top + int(size)
    cv2.rectangle(image, (middle - width, top + int(0.2 * size)), (middle + width, hip), coat, -1)
    for side in (-1, 1):
        leg = (middle + side * width // 2, hip)
        end = (leg[0] + side * int(width * stride), foot)
        cv2.line(image, leg, end, trousers, max(1, width // 2), cv2.LINE_AA)
        arm = (middle + side * width, top + int(0.25 * size))
        hand = (arm[0] + side * width, top + int((0.1 + 0.5 * reach) * size))
        cv2.line(image, arm, hand, coat, max(1, width // 3), cv2.LINE_AA)
    cv2.circle(image, (middle, top + int(0.1 * size)), max(1, int(0.09 * size)), skin, -1, cv2.LINE_AA)


def draw_person(generator: np.random.Generator, grid: PixelGrid) -> tuple[Floats, Floats]:
    """Draw the head of a person, far larger than in a passport."""
    u = generator.random(5).tolist()
    face = cv2.cvtColor(draw_face(generator), cv2.COLOR_RGB2GRAY)
    size = grid.height * (0.8 + 1.2 * u[0]) / HEIGHT
    turn = 20 * (u[1] - 0.5)
    transform = cv2.getRotationMatrix2D((WIDTH / 2, 0.4 * HEIGHT), turn, size)
    transform[:, 2] += (grid.width * (0.15 + 0.7 * u[2]) - WIDTH / 2, grid.height * (0.35 + 0.3 * u[3]) - 0.4 * HEIGHT)
    area = (grid.width, grid.height)
    tone = cv2.warpAffine(face, transform, area, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.full_like(face, 255), transform, area)
    return np.asarray(tone, np.float32) / 255, soften(inside, 3)
