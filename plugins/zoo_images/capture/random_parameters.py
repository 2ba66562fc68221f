"""Draw the random parameters of one simulated photo of a flat document."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo_images.capture.parameters import (
    DEFOCUS,
    GAUSSIAN,
    MOTION,
    Blur,
    CaptureParameters,
    Finger,
    Glare,
    Light,
    Neighbour,
    Noise,
    Shadow,
    Surface,
)

if TYPE_CHECKING:
    from zoo_core.api import AffineMap
    from zoo_images.capture.parameters import RGB, Floats

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_GREY = np.tile(_LUMA, (3, 1))
_COLOUR_EFFECTS = np.stack(
    [
        *(2 * [-np.eye(3)]),
        *(6 * [_GREY]),
        *(3 * [np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])]),  # sepia
        *(np.eye(3)[list(order)] for order in ((1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2), (2, 1, 0))),
        *(np.diag(kept) for kept in ((0, 1, 1), (1, 0, 1), (1, 1, 0))),  # a channel dropped
    ],
)


@dataclass(frozen=True, slots=True)
class EffectProbabilities:
    """Probability of each effect at strength 1, in 0..1."""

    colour: float
    light: float
    blur: float
    noise: float
    reduction: float
    jpeg: float
    occlusion: float


def draw_parameters(
    generator: np.random.Generator,
    aspect: float,
    blur_unit: float,
    strength: float,
    probabilities: EffectProbabilities,
) -> CaptureParameters:
    """Draw the parameters for a document of width / height ``aspect``; ``blur_unit`` is the frame's side / 96 pixels.

    Always draws 96 uniform numbers, each with one meaning, so that an effect that is switched off changes no other.
    """
    # One call of numpy, then plain floats: many small arrays would cost more than all pixels.
    draws: list[float] = generator.random(96).tolist()
    lit = draws[0] < strength * probabilities.light
    return CaptureParameters(
        corners=_corners(draws[10:23], aspect, strength),
        surface=_surface(draws[23:32]),
        neighbour=_neighbour(draws[32:40]) if draws[1] < strength * 0.25 else None,
        finger=_finger(draws[40:48]) if draws[2] < strength * probabilities.occlusion else None,
        light=_light(draws[48:53], strength) if lit else None,
        shadow=_shadow(draws[53:57], strength) if lit and draws[3] < 0.35 else None,  # noqa: PLR2004 - share of lights
        glare=_glare(draws[57:62], strength) if lit and draws[4] < 0.3 else None,  # noqa: PLR2004 - share of lights
        colour=_colour(draws[62:76], strength) if draws[5] < strength * probabilities.colour else None,
        blur=_blur(draws[76:79], strength * blur_unit) if draws[6] < strength * probabilities.blur else None,
        noise=Noise(strength * (1 + 13 * draws[79] ** 2), draws[80], draws[81])
        if draws[7] < strength * probabilities.noise
        else None,
        reduction=1 + strength * (0.1 + 1.1 * draws[82]) if draws[8] < strength * probabilities.reduction else None,
        quality=max(5, round(100 - strength * (10 + 65 * draws[83])))
        if draws[9] < strength * probabilities.jpeg
        else None,
    )


def view_aspect(height: int, width: int, view: AffineMap) -> float:
    """Return width / height of a view of an image, clamped to 1/4..4."""
    (a, b, _), (c, d, _) = view[:2].tolist()
    aspect = math.hypot(width * a, height * c) / max(math.hypot(width * b, height * d), 1e-9)
    # Beyond these a document is almost a line, and rotating it would leave nothing visible.
    return min(max(aspect, 0.25), 4.0)


def _corners(draws: list[float], aspect: float, strength: float) -> tuple[float, ...]:
    """Rotate, scale, stretch and shift the document, then move each corner independently (perspective)."""
    turn, zoom, stretch, x, y, *jitter = [2 * draw - 1 for draw in draws]
    # The cube makes small angles frequent and large ones rare.
    angle = strength * math.radians(4 * turn + 12 * turn**3)
    zoom = math.exp(strength * (0.16 * zoom - 0.05))
    stretch = math.exp(strength * 0.05 * stretch)
    cos, sin = 0.5 * zoom * math.cos(angle), 0.5 * zoom * math.sin(angle)
    # Rotated in the document's proportions, before the frame is stretched to a square.
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
    """Draw a uniform colour, a gradient or a blotchy texture, depending on the number of points."""
    kind, grey, spread, tint, red, green, blue, down, right = draws
    low = [255 * grey + 160 * tint * (channel - 0.5) - 45 * spread for channel in (red, green, blue)]
    high = [channel + 90 * spread for channel in low]
    return Surface(_rgb(low), _rgb(high), (1, 2, 3, 8, 24)[int(5 * kind)], down, right)


def _neighbour(draws: list[float]) -> Neighbour:
    """Draw another sheet or card that is visible beside the document."""
    side, distance, width, height, turn, grey, tint, hue = draws
    direction = 2 * math.pi * side
    away = 0.6 + 0.25 * distance
    colour = _rgb([60 + 195 * grey + 90 * tint * (value - 0.5) for value in (hue, 1 - hue, (2 * hue) % 1)])
    half_width, half_height = 0.15 + 0.25 * width, 0.15 + 0.35 * height
    x, y = 0.5 + away * math.cos(direction), 0.5 + away * math.sin(direction)
    return Neighbour(x, y, half_width, half_height, direction + 0.6 * (turn - 0.5), colour)


def _finger(draws: list[float]) -> Finger:
    """Draw a finger that holds the document: it crosses an edge and points roughly to the centre."""
    side, length, turn, thickness, tone, red, reach, _ = draws
    direction = 2 * math.pi * side
    # It starts outside the frame and ends at a third to a half of the side from the centre.
    tip = 0.5 - 0.18 * length
    x, y = 0.5 + tip * math.cos(direction), 0.5 + tip * math.sin(direction)
    direction += 1.2 * (turn - 0.5)
    tail = 0.4 + 0.2 * reach
    colour = _rgb([80 + 150 * tone + 20 * red, 50 + 130 * tone, 35 + 115 * tone])
    return Finger(
        x + tail * math.cos(direction), y + tail * math.sin(direction), x, y, 0.035 + 0.045 * thickness, colour
    )


def _light(draws: list[float], strength: float) -> Light:
    """Draw light that falls off to one side."""
    slope, direction, *warmth = draws
    fall, angle = strength * 0.5 * slope, 2 * math.pi * direction
    red, green, blue = (1 + strength * 0.12 * (value - 0.5) for value in warmth)
    return Light(fall * math.cos(angle), fall * math.sin(angle), (red, green, blue))


def _shadow(draws: list[float], strength: float) -> Shadow:
    """Draw the edge of a shadow."""
    direction, edge, softness, depth = draws
    angle = 2 * math.pi * direction
    depth = min(0.95, strength * (0.15 + 0.4 * depth))
    return Shadow(math.cos(angle), math.sin(angle), 0.6 * (edge - 0.5), 0.03 + 0.15 * softness, depth)


def _glare(draws: list[float], strength: float) -> Glare:
    """Draw the reflection of a lamp."""
    x, y, width, height, power = draws
    return Glare(x, y, 0.06 + 0.25 * width, 0.06 + 0.25 * height, strength * (50 + 150 * power))


def _colour(draws: list[float], strength: float) -> Floats:
    """Draw exposure, contrast, white balance, saturation, hue and a shift of each channel, rarely a colour effect."""
    brightness, exposure, contrast, saturation, hue, *balance = [2 * draw - 1 for draw in draws[:11]]
    vivid, angle = math.exp(strength * 0.5 * saturation), strength * 0.25 * hue**3
    # A rotation about the grey axis (Rodrigues' formula), then a mix with grey.
    along, across = vivid * (1 - math.cos(angle)) / 3, vivid * math.sin(angle) / math.sqrt(3)
    diagonal = vivid * math.cos(angle) + along
    after, before = along + across, along - across
    red, green, blue = [(1 - vivid) * weight for weight in _LUMA]
    rows = [
        (diagonal + red, before + green, after + blue),
        (after + red, diagonal + green, before + blue),
        (before + red, after + green, diagonal + blue),
    ]
    inverted = False
    if draws[11] < strength * 0.12:
        kind = int(len(_COLOUR_EFFECTS) * draws[12])
        inverted = kind < 2  # noqa: PLR2004 - see `_COLOUR_EFFECTS`
        rows = (_COLOUR_EFFECTS[kind] @ rows).tolist()
    contrast_gain, light = math.exp(strength * 0.35 * contrast), math.exp(strength * 0.2 * exposure)
    affine = []
    for (first, second, third), white, shift in zip(rows, balance[:3], balance[3:], strict=True):
        gain = contrast_gain * math.exp(strength * 0.12 * white)
        # Contrast is scaled about middle grey, so that it does not change the exposure too.
        offset = gain * (255 * light * inverted - 128) + 128 + strength * (45 * brightness + 12 * shift)
        gain *= light
        affine.append((gain * first, gain * second, gain * third, offset))
    return np.array(affine)


def _blur(draws: list[float], size: float) -> Blur:
    """Draw a blur of one of three causes; ``size`` 1 suits a frame of 96 pixels."""
    kind, amount, angle = draws
    if kind < 0.4:  # noqa: PLR2004 - share of soft focus
        return Blur(GAUSSIAN, round(16 * size * (0.3 + 1.1 * amount)) / 16, 0.0)
    if kind < 0.7:  # noqa: PLR2004 - share of a moving hand
        return Blur(MOTION, round(16 * size * (0.5 + 3 * amount)) / 16, math.pi / 48 * int(48 * angle))
    return Blur(DEFOCUS, round(16 * size * (0.4 + 1.8 * amount)) / 16, 0.0)


def _rgb(channels: list[float]) -> RGB:
    red, green, blue = [channel if 0 < channel < 255 else 0.0 if channel < 255 else 255.0 for channel in channels]  # noqa: PLR2004 - range of a byte
    return red, green, blue
