"""Decide by chance how one photograph of a flat document comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from zoo_core.api import UInt8Image

Floats = npt.NDArray[np.float64]

_UNIT_CORNERS = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_IDENTITY = np.eye(3)
_GREY = np.tile(_LUMA, (3, 1))
_SHUFFLE = np.roll(_IDENTITY, 1, axis=0)
_SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
_GRID = 16  # light varies slowly: it is drawn on this grid and enlarged
_CENTRES = (np.arange(_GRID) + 0.5) / _GRID
_X, _Y = np.meshgrid(_CENTRES, _CENTRES)


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely each part is at strength 1, in 0..1."""

    colour: float
    light: float
    blur: float
    noise: float
    reduction: float
    jpeg: float


@dataclass(frozen=True, slots=True)
class Shot:
    """All that chance decides about one photograph, without a pixel of the document.

    ``corners``: ``[4, 2]``, where the document's corners land in the frame, clockwise from the upper left, as
    parts of its width and height. ``background``: ``uint8 [n, n, 3]``, to be enlarged. ``gain`` and ``glare``:
    ``uint8 [g, g, 3]``, light that multiplies (128 is 1) and that is added. ``colour``: ``[3, 4]``, affine map
    of RGB in 0..255. ``kernel``: ``float32 [k, k]``, blur, sums to 1. ``noise``: standard deviation in grey
    values, and the place in the bank of noise in 0..1. ``reduction``: the frame is reduced by this and enlarged
    again. ``quality``: of JPEG, 1..100. What is ``None`` is left out.
    """

    corners: Floats
    background: UInt8Image
    gain: UInt8Image | None = None
    glare: UInt8Image | None = None
    colour: Floats | None = None
    kernel: npt.NDArray[np.float32] | None = None
    noise: tuple[float, float, float] | None = None
    reduction: float | None = None
    quality: int | None = None


def draw_shot(
    generator: np.random.Generator,
    aspect: float,
    blur_unit: float,
    strength: float,
    chances: Chances,
) -> Shot:
    """Draw a shot of a document of width / height ``aspect``; ``blur_unit`` is the frame's side over 96 pixels."""
    wanted = (chances.light, chances.colour, chances.blur, chances.noise, chances.reduction, chances.jpeg)
    draws = generator.random(6).tolist()
    lit, coloured, blurred, noisy, reduced, compressed = (
        draw < strength * chance for draw, chance in zip(draws, wanted, strict=True)
    )
    corners = _corners(generator, aspect, strength)
    background = _background(generator)
    gain, glare = _light(generator, strength) if lit else (None, None)
    return Shot(
        corners=corners,
        background=background,
        gain=gain,
        glare=glare,
        colour=_colour(generator, strength) if coloured else None,
        kernel=_kernel(generator, strength * blur_unit) if blurred else None,
        noise=_noise(generator, strength) if noisy else None,
        reduction=1 + strength * generator.uniform(0.1, 1.2) if reduced else None,
        quality=max(5, round(100 - strength * generator.uniform(10, 75))) if compressed else None,
    )


def _corners(generator: np.random.Generator, aspect: float, strength: float) -> Floats:
    """Turn, scale, stretch and shift the document, then move each corner by itself (perspective)."""
    turn, zoom, stretch, shift_x, shift_y, *jitter = generator.uniform(-1, 1, 13).tolist()
    # The cube makes small angles frequent and large ones rare.
    angle = strength * math.radians(4 * turn + 12 * turn**3)
    zoom = math.exp(strength * (0.16 * zoom - 0.05))
    stretch = math.exp(strength * 0.05 * stretch)
    cos, sin = math.cos(angle), math.sin(angle)
    # Turned as it lies on the table, so in its own proportions; the frame is then stretched to a square.
    turned = np.array([[cos * stretch * zoom, -sin * zoom / aspect], [sin * zoom * aspect, cos / stretch * zoom]])
    shift = 0.5 + strength * 0.05 * np.array([shift_x, shift_y])
    corners: Floats = _UNIT_CORNERS @ turned.T + shift + strength * 0.045 * np.array(jitter).reshape(4, 2)
    return corners


def _background(generator: np.random.Generator) -> UInt8Image:
    """One colour, a gradient or a blotchy texture, by the number of points."""
    kind, grey, spread, tint, *hue = generator.random(7).tolist()
    points = (1, 2, 3, 8, 24)[int(5 * kind)]
    low = np.array([255 * grey + 160 * tint * (channel - 0.5) - 45 * spread for channel in hue])
    return _bytes(low + 90 * spread * generator.random((points, points, 1)))


def _light(generator: np.random.Generator, strength: float) -> tuple[UInt8Image, UInt8Image | None]:
    """Light that falls off to one side, perhaps the edge of a shadow, perhaps a reflected lamp."""
    slope, direction, edge_direction, edge, softness, depth, *warmth = generator.random(9).tolist()
    angle = 2 * math.pi * direction
    gain = 1 + strength * 0.5 * slope * ((_X - 0.5) * math.cos(angle) + (_Y - 0.5) * math.sin(angle))
    shadowed, reflecting = (generator.random(2) < (0.35, 0.3)).tolist()
    if shadowed:
        angle = 2 * math.pi * edge_direction
        distance = (_X - 0.5) * math.cos(angle) + (_Y - 0.5) * math.sin(angle) - 0.6 * (edge - 0.5)
        gain = gain * (1 - strength * (0.15 + 0.4 * depth) / (1 + np.exp(-distance / (0.03 + 0.15 * softness))))
    tint = 1 + strength * 0.12 * (np.array(warmth) - 0.5)
    glare = _glare(generator, strength) if reflecting else None
    return _bytes(128 * gain[:, :, None] * tint), glare


def _glare(generator: np.random.Generator, strength: float) -> UInt8Image:
    x, y, width, height, power = generator.random(5).tolist()
    across = ((_X - x) / (0.06 + 0.25 * width)) ** 2 + ((_Y - y) / (0.06 + 0.25 * height)) ** 2
    spot = strength * (50 + 150 * power) * np.exp(-across)
    return _bytes(np.repeat(spot[:, :, None], 3, axis=2))


def _colour(generator: np.random.Generator, strength: float) -> Floats:
    """Exposure, contrast, white balance, saturation and hue, rarely an effect, as one affine map of RGB."""
    brightness, contrast, saturation, hue, red, green, blue, effect, choice = generator.uniform(-1, 1, 9).tolist()
    vivid = math.exp(strength * 0.5 * saturation)
    matrix = _hue_rotation(strength * 0.25 * hue**3) @ (vivid * _IDENTITY + (1 - vivid) * _GREY)
    inverted = False
    if abs(effect) < strength * 0.12:
        kind = int(2.5 * (choice + 1))
        inverted = kind == 0
        matrix = (-_IDENTITY, _SHUFFLE, _SEPIA, _GREY, _GREY)[kind] @ matrix
    gains = [math.exp(strength * (0.35 * contrast + 0.12 * balance)) for balance in (red, green, blue)]
    affine = np.empty((3, 4))
    for row, gain in enumerate(gains):
        affine[row, :3] = gain * matrix[row]
        # Contrast turns about middle grey, so that it does not change the exposure too.
        affine[row, 3] = gain * (127 if inverted else -128) + 128 + strength * 45 * brightness
    return affine


def _hue_rotation(angle: float) -> Floats:
    """Turn about the grey axis (Rodrigues' formula with the unit axis (1, 1, 1) / sqrt(3))."""
    same = math.cos(angle) + (1 - math.cos(angle)) / 3
    before = (1 - math.cos(angle)) / 3 - math.sin(angle) / math.sqrt(3)
    after = (1 - math.cos(angle)) / 3 + math.sin(angle) / math.sqrt(3)
    return np.array([[same, before, after], [after, same, before], [before, after, same]])


def _kernel(generator: np.random.Generator, size: float) -> npt.NDArray[np.float32]:
    """Blur of one of three causes, ``size`` 1 fits a frame of 96 pixels."""
    kind, amount, angle = generator.random(3).tolist()
    if kind < 0.4:  # noqa: PLR2004 - share of soft focus: Gaussian
        sigma = size * (0.3 + 1.1 * amount)
        x, y = _offsets(2.5 * sigma)
        weights = np.exp(-(x**2 + y**2) / (2 * sigma**2 + 1e-9))
    elif kind < 0.7:  # noqa: PLR2004 - share of a moving hand: a line, half a pixel soft
        half = size * (0.5 + 3 * amount)
        x, y = _offsets(half + 0.5)
        along = x * math.cos(math.pi * angle) + y * math.sin(math.pi * angle)
        across = y * math.cos(math.pi * angle) - x * math.sin(math.pi * angle)
        weights = np.clip(half + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    else:  # wrong focus: a disc
        radius = size * (0.4 + 1.8 * amount)
        x, y = _offsets(radius + 0.5)
        weights = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(weights / weights.sum(), np.float32)


def _offsets(reach: float) -> tuple[Floats, Floats]:
    steps = np.arange(-math.floor(reach), math.floor(reach) + 1, dtype=np.float64)
    return steps[None, :], steps[:, None]


def _noise(generator: np.random.Generator, strength: float) -> tuple[float, float, float]:
    amount, y, x = generator.random(3).tolist()
    return strength * (1 + 13 * amount**2), y, x


def _bytes(values: Floats) -> UInt8Image:
    return (values + 0.5).clip(0, 255).astype(np.uint8)
