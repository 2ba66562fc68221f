"""Grey pictures without a subject: silk, light, metal, weaves, charts. Grey is 0..1."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cv2.typing import MatLike

Floats = npt.NDArray[np.floating[Any]]


class Frame:
    """The pixels of a picture: ``y [height, 1]`` in 0..1 and ``x [1, width]`` in 0..aspect."""

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self.aspect = width / height
        self.y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        self.x = np.linspace(0, self.aspect, width, dtype=np.float32)[None]

    def radius(self, x: float, y: float) -> Floats:
        """Distance of every pixel from a point, in heights."""
        return np.sqrt((self.x - x) ** 2 + (self.y - y) ** 2)

    def angle(self, x: float, y: float) -> Floats:
        """Direction of every pixel from a point, in degrees."""
        across, down = np.broadcast_arrays(self.x - x, self.y - y)
        return np.asarray(cv2.phase(np.ascontiguousarray(across), np.ascontiguousarray(down), angleInDegrees=True))

    def along(self, turn: float) -> Floats:
        """Coordinate along a direction in turns."""
        return math.cos(2 * math.pi * turn) * self.x + math.sin(2 * math.pi * turn) * self.y

    def blank(self) -> npt.NDArray[np.uint8]:
        """Black."""
        return np.zeros((self.height, self.width), np.uint8)


def stretched(values: Floats) -> Floats:
    """Values brought to 0..1."""
    low, high, _, _ = cv2.minMaxLoc(values)
    return (values - low) * np.float32(1 / max(high - low, 1e-6))


def noise(generator: np.random.Generator, frame: Frame, cells: int, octaves: int = 4, fade: float = 0.55) -> Floats:
    """Clouds, their largest about a ``cells``-th of the height."""
    total = np.zeros((frame.height, frame.width), np.float32)
    for octave in range(octaves):
        rows = cells << octave
        points = generator.random((rows + 1, round(rows * frame.aspect) + 1), dtype=np.float32) * fade**octave
        how = cv2.INTER_CUBIC if octave < 2 else cv2.INTER_LINEAR
        total += np.asarray(cv2.resize(points, (frame.width, frame.height), interpolation=how))
    return stretched(total)


def lit(height: MatLike, turn: float, strength: float) -> Floats:
    """A surface as light from one side shows it."""
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1)
    slope = across * math.cos(2 * math.pi * turn) + down * math.sin(2 * math.pi * turn)
    return np.asarray(0.5 + strength * slope / (1 + np.abs(strength * slope)) * 0.5, np.float32)


def soft(mask: MatLike, size: float) -> Floats:
    """A mask ``uint8`` blurred, in 0..1."""
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(size, 0.4)), np.float32) / 255


def ridge(generator: np.random.Generator, frame: Frame, rough: float) -> Floats:
    """A crest line ``[1, width]`` in 0..1."""
    places = np.linspace(0, 1, frame.width)
    total = np.zeros(frame.width)
    for octave in range(5):
        points = generator.random((3 << octave) + 1)
        total += np.interp(places, np.linspace(0, 1, len(points)), points) * rough**octave
    return stretched(total.astype(np.float32)[None])


def silk(generator: np.random.Generator, frame: Frame) -> tuple[Floats, None]:
    """Folds of cloth, smoke or ribbons."""
    turn, rate, warp, sharp, light = generator.random(5).tolist()
    bend = noise(generator, frame, 1 + int(2 * rate), 3, 0.4)
    folds = np.sin((3 + 14 * rate) * (frame.along(turn) + (0.5 + 1.5 * warp) * bend))
    tone = 0.5 + 0.5 * np.sign(folds) * np.abs(folds) ** (0.5 + 1.5 * sharp)
    return tone * (0.6 + 0.4 * bend) if light < 0.6 else lit(folds, turn, 2 + 4 * light), None


def relief(generator: np.random.Generator, frame: Frame) -> tuple[Floats, None]:
    """Rock, foil, leather or crumpled paper in slanting light."""
    kind, size, strength, turn = generator.random(4).tolist()
    surface = noise(generator, frame, 1 + int(9 * size * size), 4, 0.5 + 0.25 * kind)
    if kind < 0.3:
        surface = np.abs(surface - 0.5)
    elif kind < 0.5:
        surface = np.asarray(np.round(surface * 9) / 9, np.float32)
    return 0.75 * lit(surface, turn, 2 + 14 * strength) + 0.25 * surface, None


def trails(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """Lines of light that run through the dark, or of ink on white."""
    u = generator.random(9).tolist()
    image = frame.blank()
    t = np.linspace(-0.1, 1.1, 40)
    curves = []
    for line in range(3 + int(26 * u[0])):
        shift = line * (0.01 + 0.05 * u[1])
        wave = np.sin(t * (2 + 9 * u[2]) + 6 * u[3] + shift * 8 * u[4]) * (0.1 + 0.4 * u[5])
        y = u[6] + (u[7] - 0.5) * (t - 0.5) * 2 + wave * np.sin(3 * t + 4 * u[4] + 3 * shift) + shift * (u[8] - 0.3)
        curves.append(np.stack([t * frame.width, y * frame.height], axis=1).astype(np.int32))
    cv2.polylines(image, curves, isClosed=False, color=255, thickness=1, lineType=cv2.LINE_AA)
    glow = soft(image, frame.height * (0.02 + 0.05 * u[1]))
    tone = 0.6 * np.asarray(image, np.float32) / 255 + 2.2 * glow
    return np.minimum(tone, 1), frame.y + 0 * frame.x


def lights(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """Lights out of focus, or snow, confetti or stars."""
    blur, size, dense = generator.random(3).tolist()
    image, other = frame.blank(), frame.blank()
    spots = generator.random((10 + int(60 * dense), 4))
    for x, y, radius, bright in spots.tolist():
        spot = (int(x * frame.width), int(y * frame.height))
        picture = image if bright < 0.6 else other
        cv2.circle(
            picture,
            spot,
            int(1 + frame.height * (0.02 + 0.14 * size) * radius),
            int(60 + 195 * bright),
            -1,
            cv2.LINE_AA,
        )
    tone = 0.25 * (1 - frame.y) + 0.6 * soft(image, 0.5 + 5 * blur) + 0.7 * soft(other, 0.5 + 1.5 * blur)
    return np.minimum(tone, 1), soft(other, 2)


def rays(generator: np.random.Generator, frame: Frame) -> tuple[Floats, None]:
    """A burst of rays, a spiral or rings about a point."""
    x, y, count, twist, fall = generator.random(5).tolist()
    centre = (frame.aspect * (1.4 * x - 0.2), 1.4 * y - 0.2)
    distance = frame.radius(*centre)
    angle = frame.angle(*centre) * np.float32(math.pi / 180)
    turns = round(2 + 22 * count * count)
    bend = 0 if twist < 0.4 else 14 * (twist - 0.4) * np.sqrt(distance)
    beams = 0.5 + 0.5 * np.sin(turns * angle + bend)
    return beams * (0.3 + 0.5 * fall) + (0.7 - 0.5 * fall) * np.exp(-2.5 * distance), None


def metal(generator: np.random.Generator, frame: Frame) -> tuple[Floats, None]:
    """Brushed metal with a sheen."""
    u = generator.random(5).tolist()
    along = generator.random((frame.height, 1), dtype=np.float32)
    grain = (
        np.repeat(along, frame.width, axis=1)
        if u[0] < 0.6
        else cv2.blur(generator.random((frame.height, frame.width), dtype=np.float32), (25, 1))
    )
    sheen = np.cos((2 + 5 * u[1]) * (frame.along(u[2] * 0.25) - u[3]))
    return 0.5 + 0.35 * sheen + (0.08 + 0.25 * u[4]) * (grain - 0.5), None


def weave(generator: np.random.Generator, frame: Frame) -> tuple[Floats, None]:
    """A small motif over and over: checks, monograms, carbon, lace."""
    kind, shade = generator.random(2).tolist()
    side = int(generator.integers(4, 22))
    tile = generator.random((side, side), dtype=np.float32)
    tile = np.asarray(cv2.GaussianBlur(tile, (0, 0), 0.5 + side / 12), np.float32)
    if kind < 0.7:  # as ornaments are, the same from left and right, and perhaps from above
        tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
        tile = np.concatenate([tile, tile[::-1] if kind < 0.4 else np.roll(tile, side, axis=1)], axis=0)
    tile = stretched(tile)
    if kind < 0.5:
        tile = np.clip((tile - 0.45) * 6, 0, 1)
    times = (-(-frame.height // tile.shape[0]), -(-frame.width // tile.shape[1]))
    return np.tile(tile, times)[: frame.height, : frame.width] * 0.6 + 0.4 * shade * frame.y, None


def chart(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """Continents, solid or dotted, or the lines of equal height."""
    kind, share, lines, sea = generator.random(4).tolist()
    height = noise(generator, frame, 2, 5)
    if kind < 0.4:
        thin = np.abs((height * (5 + 9 * lines)) % 1 - 0.5) < 0.08 + 0.1 * share
        return 0.8 * thin.astype(np.float32) + 0.2 * height, thin.astype(np.float32)
    land = np.clip((height - 0.45 - 0.15 * share) * 25, 0, 1)
    if kind < 0.7:
        pitch = 3 + int(3 * lines)
        rows, columns = np.arange(frame.height)[:, None] % pitch, np.arange(frame.width)[None] % pitch
        land = land * ((rows > 0) & (columns > 0))
    return 0.2 + 0.3 * sea + 0.4 * land + 0.2 * (height - 0.5), land


def swirls(generator: np.random.Generator, frame: Frame) -> tuple[Floats, Floats]:
    """Arabesques: spirals and tendrils of changing weight."""
    image = frame.blank()
    thick = float(generator.random())
    for x, y, size, turns, start, way in generator.random((3 + int(generator.integers(9)), 6)).tolist():
        t = np.linspace(0.02, 1, 36)
        angle = (6 * start + t**0.6 * (4 + 9 * turns)) * (1 if way < 0.5 else -1)
        radius = frame.height * (0.15 + 0.5 * size) * t**1.3
        points = np.stack([x * frame.width + radius * np.cos(angle), y * frame.height + radius * np.sin(angle)], axis=1)
        whole = points.astype(np.int32)
        weight = 1 + int(frame.height * 0.05 * thick * size)
        cv2.polylines(image, [whole], isClosed=False, color=200 + int(55 * way), thickness=1, lineType=cv2.LINE_AA)
        cv2.polylines(image, [whole[18:]], isClosed=False, color=255, thickness=weight, lineType=cv2.LINE_AA)
        cv2.circle(image, whole[0].tolist(), weight + 1, 255, -1, cv2.LINE_AA)
    drawn = np.asarray(image, np.float32) / 255
    return 0.25 * (1 - frame.y) + 0.75 * drawn, drawn
