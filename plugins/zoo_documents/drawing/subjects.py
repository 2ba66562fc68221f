"""Grey pictures of something: hills, towns, planets, flowers, leaves, things, people. Grey is 0..1."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo_documents.drawing.faces import HEIGHT, WIDTH, draw
from zoo_documents.drawing.textures import lit, noise, ridge, soft

if TYPE_CHECKING:
    from zoo_documents.drawing.textures import Floats, Frame


def hills(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """Sky, perhaps a sun, ranges of hills one before the other, perhaps water that mirrors them."""
    u = generator.random(8).tolist()
    tone = 0.95 - 0.5 * u[0] * frame.y + (0.5 * u[1]) * (noise(generator, frame, 2, 3) - 0.5)
    tone = tone + 0.6 * np.exp(-(6 + 30 * u[2]) * frame.radius(u[3] * frame.aspect, 0.1 + 0.4 * u[4]) ** 2)
    part = np.zeros_like(tone)
    texture = noise(generator, frame, 7, 3, 0.8) - 0.5
    count = 2 + int(3 * u[5])
    rough = 0.3 + 0.35 * u[6]
    for layer in range(count):
        level = 0.25 + 0.6 * (layer + 1) / (count + 1) - (0.35 - 0.05 * layer) * ridge(generator, frame, rough)
        mask = np.clip((frame.y - level) * frame.height, 0, 1)
        body = 0.62 - 0.5 * layer / count + 0.5 * texture + 0.3 * (level - frame.y)
        tone = tone + (body - tone) * mask
        part = np.maximum(part, mask)
    if u[7] < 0.35:
        shore = int(frame.height * (0.5 + 0.3 * u[2]))
        rows = np.clip(2 * shore - np.arange(shore, frame.height) * 1, 0, shore)
        tone[shore:] = 0.8 * tone[rows] + 0.12 * texture[shore:]
        part[shore:] = part[rows]
    return tone, part


def town(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """Towers with windows before a sky, by day or night."""
    u = generator.random(6).tolist()
    night = u[0] < 0.5
    tone = (
        (0.15 + 0.3 * u[1]) + 0.4 * frame.y * np.ones_like(frame.x) if night else 1 - 0.4 * u[1] * frame.y + 0 * frame.x
    )
    part = np.zeros_like(tone)
    ground = 0.6 + 0.35 * u[2]
    pitch = 2 + int(3 * u[3])
    lights = generator.random((frame.height, frame.width), dtype=np.float32) < 0.3 + 0.5 * u[4]
    rows, columns = np.arange(frame.height)[:, None], np.arange(frame.width)[None]
    windows = ((rows % pitch) < pitch - 1) & ((columns % pitch) < max(1, pitch // 2)) & lights
    towers = generator.random((12 + int(26 * u[5]), 4)).tolist()
    for order, (x, wide, tall, shade) in enumerate(towers):
        left = int(frame.width * (1.1 * x - 0.05))
        right = left + int(frame.height * (0.04 + 0.14 * wide))
        top = int(frame.height * (ground - 0.12 - (0.5 - 0.3 * order / len(towers)) * tall**1.5))
        bottom = int(frame.height * ground)
        left = max(0, left)
        base = (0.05 + 0.25 * shade) if night else (0.25 + 0.55 * shade)
        glow = 0.6 if night else -0.22
        tone[top:bottom, left:right] = base + glow * windows[top:bottom, left:right]
        part[top:bottom, left:right] = shade
    bottom = int(frame.height * ground)
    rows = np.clip(2 * bottom - np.arange(bottom, frame.height), 0, bottom)
    tone[bottom:] = tone[rows] * (0.5 + 0.3 * u[1]) + 0.1
    part[bottom:] = part[rows]
    return tone, part


def balls(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """A planet, pearls or drops."""
    many, dark, *light = generator.random(5).tolist()
    tone = (0.1 + 0.8 * dark) - 0.3 * light[2] * frame.y + 0 * frame.x
    part = np.zeros_like(tone)
    texture = noise(generator, frame, 3)
    if dark < 0.4:
        tone = np.maximum(tone, generator.random(tone.shape, dtype=np.float32) ** 60)
    side = np.array([light[0] - 0.5, light[1] - 0.7])
    side_x, side_y = (side / (np.hypot(*side) + 0.3)).tolist()
    for x, y, size, style in generator.random((1 + int(6 * many * many), 4)).tolist():
        radius = (0.15 + 0.5 * size) * (1 if many < 0.5 else 0.5)
        across, down = (frame.x - x * frame.aspect) / radius, (frame.y - 0.1 - 0.8 * y) / radius
        square = across * across + down * down
        mask = np.clip((1 - square) * radius * frame.height * 0.5, 0, 1)
        depth = np.sqrt(np.maximum(0, 1 - square))
        body = 0.5 + 0.45 * (across * side_x + down * side_y) * (1 if style < 0.8 else -1) + 0.25 * depth
        body = body + (0.5 * style) * (texture - 0.5)
        tone = tone + (body - tone) * mask
        part = part + (0.3 + 0.7 * style - part) * mask
    return tone, part


def flowers(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """Blossoms, one large or a few, sharp or soft."""
    many, back, dark, blur = generator.random(4).tolist()
    tone = (0.1 + 0.8 * dark) + 0.35 * back * (noise(generator, frame, 2, 3) - 0.5)
    part = np.zeros_like(tone)
    for x, y, size, petals, turn, pointed, shade in generator.random((1 + int(4 * many), 7)).tolist():
        radius = (0.25 + 0.45 * size) * (1.2 - 0.6 * many)
        centre = (frame.aspect * x, y)
        distance, angle = frame.radius(*centre), frame.angle(*centre) * np.float32(math.pi / 360)
        count = 4 + int(6 * petals)
        wave = np.abs(np.cos(count * angle + 6 * turn))
        edge = radius * (0.35 + 0.65 * wave ** (0.4 + 1.2 * pointed))
        sharp = frame.height * (0.06 if blur < 0.3 else 0.5)
        mask = np.clip((edge - distance) * sharp, 0, 1)
        body = 0.3 + 0.4 * shade + 0.45 * (distance / radius) - 0.25 * (1 - wave)
        body = np.where(distance < 0.15 * radius, 0.9 - 0.6 * shade, body)
        tone = tone + (body - tone) * mask
        part = part + (0.4 + 0.6 * shade - part) * mask
    return tone, part


def leaves(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """Leaves, feathers, fish: many of one shape, from dark behind to light in front."""
    count, slim, size, swirl = generator.random(4).tolist()
    image = frame.blank()
    hue = frame.blank()
    places = generator.random((15 + int(90 * count), 5)).tolist()
    for order, (x, y, turn, tall, shade) in enumerate(places):
        length = frame.height * (0.05 + 0.22 * size * (1.3 - count)) * (0.6 + 0.8 * tall)
        spot = (int(x * frame.width), int(y * frame.height))
        axes = (int(length) + 1, int(length * (0.12 + 0.6 * slim)) + 1)
        angle = 360 * turn if swirl < 0.5 else 200 * x + 60 * turn
        for picture, value in ((image, 30 + 180 * order / len(places) + 45 * shade), (hue, 255 * turn)):
            cv2.ellipse(picture, spot, axes, angle, 0, 360, int(value), -1, cv2.LINE_AA)
    return np.asarray(image, np.float32) / 255, np.asarray(hue, np.float32) / 255


def thing(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """A rounded body in the light with its shadow: a shoe, a car, a bag, a stone."""
    u = generator.random(8).tolist()
    mask = frame.blank()
    for _ in range(1 + int(4 * u[0])):
        x, y, size, flat, lean, *waves = generator.random(13).tolist()
        angles = np.linspace(0, 2 * math.pi, 50)
        radius = np.ones(50)
        for order in range(4):
            radius = radius + (0.45 / (order + 1)) * (waves[2 * order] - 0.3) * np.cos(
                (order + 1) * angles + 6 * waves[2 * order + 1]
            )
        radius *= frame.height * (0.12 + 0.25 * size)
        across, down = radius * np.cos(angles) * (1 + flat), radius * np.sin(angles)
        turn = 2 * math.pi * lean
        points = np.stack(
            [
                frame.width * (0.15 + 0.7 * x) + across * math.cos(turn) - down * math.sin(turn),
                frame.height * (0.2 + 0.6 * y) + across * math.sin(turn) + down * math.cos(turn),
            ],
            axis=1,
        )
        cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    body = np.sqrt(cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3))
    shape = lit(cv2.GaussianBlur(np.asarray(body, np.float32), (0, 0), 1.5), u[1], 0.6 + 2 * u[2])
    shadow = soft(np.roll(mask, (4, 5), axis=(0, 1)), 4)
    tone = 0.3 + 0.7 * u[3] - 0.35 * u[4] * frame.y - 0.35 * shadow
    if u[5] < 0.4:
        tone = tone + 0.3 * (noise(generator, frame, 3) - 0.5)
    inside = np.asarray(mask, np.float32) / 255
    glossy = shape + 0.35 * np.sin(6 * u[6] + 9 * shape) * u[7]
    return tone + (glossy - tone) * inside, inside


def crowd(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """People, near or far, as outlines or in clothes."""
    u = generator.random(4).tolist()
    image, hue = frame.blank(), frame.blank()
    image[:] = int(80 + 170 * u[0])
    image[int(frame.height * (0.5 + 0.4 * u[1])) :] = int(60 + 150 * u[2])
    for x, y, tall, coat, legs, wide in generator.random((1 + int(14 * u[3]), 6)).tolist():
        size = frame.height * (0.35 + 0.5 * tall) * (1 - 0.5 * u[3])
        middle, top = int(x * frame.width), int(frame.height * (0.1 + 0.5 * y))
        width = int(size * (0.1 + 0.1 * wide))
        for picture, shades in (
            (image, (30 + 200 * coat, 30 + 180 * legs, 225 - 90 * wide)),
            (hue, (255 * coat, 60, 200)),
        ):
            hip, foot = top + int(0.55 * size), top + int(size)
            cv2.rectangle(picture, (middle - width, top + int(0.2 * size)), (middle + width, hip), int(shades[0]), -1)
            for side in (-1, 1):
                leg = (middle + side * width // 2, hip)
                cv2.line(
                    picture,
                    leg,
                    (leg[0] + side * int(width * legs), foot),
                    int(shades[1]),
                    max(1, width // 2),
                    cv2.LINE_AA,
                )
                arm = (middle + side * width, top + int(0.25 * size))
                cv2.line(
                    picture,
                    arm,
                    (arm[0] + side * width, top + int((0.1 + 0.5 * coat) * size)),
                    int(shades[0]),
                    max(1, width // 3),
                    cv2.LINE_AA,
                )
            cv2.circle(
                picture, (middle, top + int(0.1 * size)), max(1, int(0.09 * size)), int(shades[2]), -1, cv2.LINE_AA
            )
    return np.asarray(image, np.float32) / 255, np.asarray(hue, np.float32) / 255


def person(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """Someone's head, far larger than in a passport."""
    u = generator.random(5).tolist()
    face = cv2.cvtColor(draw(generator), cv2.COLOR_RGB2GRAY)
    size = frame.height * (0.8 + 1.2 * u[0]) / HEIGHT
    turn = 20 * (u[1] - 0.5)
    place = cv2.getRotationMatrix2D((WIDTH / 2, 0.4 * HEIGHT), turn, size)
    place[:, 2] += (frame.width * (0.15 + 0.7 * u[2]) - WIDTH / 2, frame.height * (0.35 + 0.3 * u[3]) - 0.4 * HEIGHT)
    area = (frame.width, frame.height)
    tone = cv2.warpAffine(face, place, area, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.full_like(face, 255), place, area)
    return np.asarray(tone, np.float32) / 255, soft(inside, 3)
