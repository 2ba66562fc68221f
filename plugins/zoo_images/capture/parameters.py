"""Decide by chance how one photograph of a flat document comes out, without a pixel of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from zoo_core.api import AffineMap

Floats = npt.NDArray[np.float64]
RGB = tuple[float, float, float]

GAUSSIAN, MOTION, DEFOCUS = 1, 2, 3

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_GREY = np.tile(_LUMA, (3, 1))
_EFFECTS = np.stack(
    [
        *(2 * [-np.eye(3)]),
        *(6 * [_GREY]),
        *(3 * [np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])]),  # sepia
        *(np.eye(3)[list(order)] for order in ((1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2), (2, 1, 0))),
        *(np.diag(kept) for kept in ((0, 1, 1), (1, 0, 1), (1, 1, 0))),  # a channel dropped
    ],
)


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely each part is at strength 1, in 0..1."""

    colour: float
    light: float
    blur: float
    noise: float
    reduction: float
    jpeg: float
    occlusion: float


class Surface(NamedTuple):
    """What lies around the document: two colours, mixed by ``points`` x ``points`` cut from the bank of noise."""

    low: RGB
    high: RGB
    points: int
    down: float
    right: float


class Neighbour(NamedTuple):
    """Another sheet under the document: centre and half sides in parts of the frame's side, radians, RGB."""

    x: float
    y: float
    half_width: float
    half_height: float
    angle: float
    colour: RGB


class Finger(NamedTuple):
    """A rounded stroke over the document: both ends and the radius in parts of the frame's side, RGB."""

    x: float
    y: float
    tip_x: float
    tip_y: float
    radius: float
    colour: RGB


class Light(NamedTuple):
    """Gain ``1 + x (X - 0.5) + y (Y - 0.5)`` times a tint."""

    x: float
    y: float
    tint: RGB


class Shadow(NamedTuple):
    """Beyond the line ``x (X - 0.5) + y (Y - 0.5) = offset`` all is darker by ``depth``; the edge is soft."""

    x: float
    y: float
    offset: float
    softness: float
    depth: float


class Glare(NamedTuple):
    """A reflected lamp: centre and widths in parts of the frame, brightness in grey values."""

    x: float
    y: float
    width: float
    height: float
    power: float


class Blur(NamedTuple):
    """``GAUSSIAN`` (size is sigma), ``MOTION`` (half the way) or ``DEFOCUS`` (radius); pixels and radians.

    Sizes are whole 16ths and angles whole 48ths of a half turn, so that kernels can be kept.
    """

    kind: int
    size: float
    angle: float


class Noise(NamedTuple):
    """Standard deviation in grey values, and the place in the bank in 0..1."""

    sigma: float
    down: float
    right: float


class Shot(NamedTuple):
    """All that chance decides about one photograph; what is ``None`` is left out.

    ``corners``: x, y of each of the document's corners in the frame, clockwise from the upper left, as parts of its
    width and height. ``colour``: ``[3, 4]``, affine map of RGB in 0..255. ``reduction``: the frame is reduced by this
    and enlarged again. ``quality``: of JPEG, 1..100.
    """

    corners: tuple[float, ...]
    surface: Surface | None = None
    neighbour: Neighbour | None = None
    finger: Finger | None = None
    light: Light | None = None
    shadow: Shadow | None = None
    glare: Glare | None = None
    colour: Floats | None = None
    blur: Blur | None = None
    noise: Noise | None = None
    reduction: float | None = None
    quality: int | None = None


PLAIN = Shot(corners=(0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0))


def draw_shot(
    generator: np.random.Generator,
    aspect: float,
    blur_unit: float,
    strength: float,
    chances: Chances,
) -> Shot:
    """Draw a shot of a document of width / height ``aspect``; ``blur_unit`` is the frame's side over 96 pixels.

    Always takes 96 uniform numbers, each with one meaning: a part that is switched off changes no other part.
    """
    # One call of numpy, then plain floats: many small arrays would cost more than all the pixels.
    draws: list[float] = generator.random(96).tolist()
    lit = draws[0] < strength * chances.light
    return Shot(
        corners=_corners(draws[10:23], aspect, strength),
        surface=_surface(draws[23:32]),
        neighbour=_neighbour(draws[32:40]) if draws[1] < strength * 0.25 else None,
        finger=_finger(draws[40:48]) if draws[2] < strength * chances.occlusion else None,
        light=_light(draws[48:53], strength) if lit else None,
        shadow=_shadow(draws[53:57], strength) if lit and draws[3] < 0.35 else None,  # noqa: PLR2004 - share of light
        glare=_glare(draws[57:62], strength) if lit and draws[4] < 0.3 else None,  # noqa: PLR2004 - share of light
        colour=_colour(draws[62:76], strength) if draws[5] < strength * chances.colour else None,
        blur=_blur(draws[76:79], strength * blur_unit) if draws[6] < strength * chances.blur else None,
        noise=Noise(strength * (1 + 13 * draws[79] ** 2), draws[80], draws[81])
        if draws[7] < strength * chances.noise
        else None,
        reduction=1 + strength * (0.1 + 1.1 * draws[82]) if draws[8] < strength * chances.reduction else None,
        quality=max(5, round(100 - strength * (10 + 65 * draws[83]))) if draws[9] < strength * chances.jpeg else None,
    )


def aspect_of(height: int, width: int, view: AffineMap) -> float:
    """Width over height of what a view shows of an image, kept within 1/4..4."""
    (a, b, _), (c, d, _) = view[:2].tolist()
    aspect = math.hypot(width * a, height * c) / max(math.hypot(width * b, height * d), 1e-9)
    # Beyond these a document is a line, whose turning would leave nothing to see.
    return min(max(aspect, 0.25), 4.0)


def _corners(draws: list[float], aspect: float, strength: float) -> tuple[float, ...]:
    """Turn, scale, stretch and shift the document, then move each corner by itself (perspective)."""
    turn, zoom, stretch, x, y, *jitter = [2 * draw - 1 for draw in draws]
    # The cube makes small angles frequent and large ones rare.
    angle = strength * math.radians(4 * turn + 12 * turn**3)
    zoom = math.exp(strength * (0.16 * zoom - 0.05))
    stretch = math.exp(strength * 0.05 * stretch)
    cos, sin = 0.5 * zoom * math.cos(angle), 0.5 * zoom * math.sin(angle)
    # Turned as it lies on the table, so in its own proportions; the frame is then stretched to a square.
    right_x, right_y, down_x, down_y = cos * stretch, sin * aspect, -sin / aspect, cos / stretch
    x, y = 0.5 + strength * 0.05 * x, 0.5 + strength * 0.05 * y
    moves = [strength * 0.045 * move for move in jitter]
    return (
        x - right_x - down_x + moves[0],
        y - right_y - down_y + moves[1],
        x + right_x - down_x + moves[2],
        y + right_y - down_y + moves[3],
        x + right_x + down_x + moves[4],
        y + right_y + down_y + moves[5],
        x - right_x + down_x + moves[6],
        y - right_y + down_y + moves[7],
    )


def _surface(draws: list[float]) -> Surface:
    """One colour, a gradient or a blotchy texture, by the number of points."""
    kind, grey, spread, tint, red, green, blue, down, right = draws
    low = [255 * grey + 160 * tint * (channel - 0.5) - 45 * spread for channel in (red, green, blue)]
    high = [channel + 90 * spread for channel in low]
    return Surface(_rgb(low), _rgb(high), (1, 2, 3, 8, 24)[int(5 * kind)], down, right)


def _neighbour(draws: list[float]) -> Neighbour:
    """Another sheet or card that looks out beside the document."""
    side, distance, width, height, turn, grey, tint, hue = draws
    direction = 2 * math.pi * side
    away = 0.6 + 0.25 * distance
    colour = _rgb([60 + 195 * grey + 90 * tint * (value - 0.5) for value in (hue, 1 - hue, (2 * hue) % 1)])
    half_width, half_height = 0.15 + 0.25 * width, 0.15 + 0.35 * height
    x, y = 0.5 + away * math.cos(direction), 0.5 + away * math.sin(direction)
    return Neighbour(x, y, half_width, half_height, direction + 0.6 * (turn - 0.5), colour)


def _finger(draws: list[float]) -> Finger:
    """A finger that holds the document: it comes over an edge and points roughly to the middle."""
    side, length, turn, thickness, tone, red, reach, _ = draws
    direction = 2 * math.pi * side
    # From beyond the frame's corners in to between a third and a half of the side from the middle.
    tip = 0.5 - 0.18 * length
    x, y = 0.5 + tip * math.cos(direction), 0.5 + tip * math.sin(direction)
    direction += 1.2 * (turn - 0.5)
    tail = 0.4 + 0.2 * reach
    colour = _rgb([80 + 150 * tone + 20 * red, 50 + 130 * tone, 35 + 115 * tone])
    return Finger(
        x + tail * math.cos(direction), y + tail * math.sin(direction), x, y, 0.035 + 0.045 * thickness, colour
    )


def _light(draws: list[float], strength: float) -> Light:
    """Light that falls off to one side."""
    slope, direction, *warmth = draws
    fall, angle = strength * 0.5 * slope, 2 * math.pi * direction
    red, green, blue = (1 + strength * 0.12 * (value - 0.5) for value in warmth)
    return Light(fall * math.cos(angle), fall * math.sin(angle), (red, green, blue))


def _shadow(draws: list[float], strength: float) -> Shadow:
    direction, edge, softness, depth = draws
    angle = 2 * math.pi * direction
    depth = min(0.95, strength * (0.15 + 0.4 * depth))
    return Shadow(math.cos(angle), math.sin(angle), 0.6 * (edge - 0.5), 0.03 + 0.15 * softness, depth)


def _glare(draws: list[float], strength: float) -> Glare:
    x, y, width, height, power = draws
    return Glare(x, y, 0.06 + 0.25 * width, 0.06 + 0.25 * height, strength * (50 + 150 * power))


def _colour(draws: list[float], strength: float) -> Floats:
    """Exposure, contrast, white balance, saturation, hue and a shift of each channel, rarely an effect."""
    brightness, exposure, contrast, saturation, hue, *balance = [2 * draw - 1 for draw in draws[:11]]
    vivid, angle = math.exp(strength * 0.5 * saturation), strength * 0.25 * hue**3
    # A turn about the grey axis (Rodrigues' formula), then a mix with grey.
    along, across = vivid * (1 - math.cos(angle)) / 3, vivid * math.sin(angle) / math.sqrt(3)
    own = vivid * math.cos(angle) + along
    after, before = along + across, along - across
    red, green, blue = [(1 - vivid) * weight for weight in _LUMA]
    rows = [
        (own + red, before + green, after + blue),
        (after + red, own + green, before + blue),
        (before + red, after + green, own + blue),
    ]
    inverted = False
    if draws[11] < strength * 0.12:
        kind = int(len(_EFFECTS) * draws[12])
        inverted = kind < 2  # noqa: PLR2004 - see the list
        rows = (_EFFECTS[kind] @ rows).tolist()
    contrast_gain, light = math.exp(strength * 0.35 * contrast), math.exp(strength * 0.2 * exposure)
    affine = []
    for (first, second, third), white, shift in zip(rows, balance[:3], balance[3:], strict=True):
        gain = contrast_gain * math.exp(strength * 0.12 * white)
        # Contrast turns about middle grey, so that it does not change the exposure too.
        offset = gain * (255 * light * inverted - 128) + 128 + strength * (45 * brightness + 12 * shift)
        gain *= light
        affine.append((gain * first, gain * second, gain * third, offset))
    return np.array(affine)


def _blur(draws: list[float], size: float) -> Blur:
    """Blur of one of three causes, ``size`` 1 fits a frame of 96 pixels."""
    kind, amount, angle = draws
    if kind < 0.4:  # noqa: PLR2004 - share of soft focus
        return Blur(GAUSSIAN, round(16 * size * (0.3 + 1.1 * amount)) / 16, 0.0)
    if kind < 0.7:  # noqa: PLR2004 - share of a moving hand
        return Blur(MOTION, round(16 * size * (0.5 + 3 * amount)) / 16, math.pi / 48 * int(48 * angle))
    return Blur(DEFOCUS, round(16 * size * (0.4 + 1.8 * amount)) / 16, 0.0)


def _rgb(channels: list[float]) -> RGB:
    red, green, blue = [channel if 0 < channel < 255 else 0.0 if channel < 255 else 255.0 for channel in channels]  # noqa: PLR2004 - of a byte
    return red, green, blue
