"""Colours that go together."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Palette:
    """RGB in 0..255: ``paper`` and its companion ``tint``, readable ``ink``, and two ``accents``."""

    paper: Colour
    tint: Colour
    ink: Colour
    accent: Colour
    second: Colour
    dark: bool


def draw_palette(angle: float, scheme: np.random.Generator, *, pale: bool) -> Palette:
    """Draw a palette about the hue ``angle`` in turns; ``scheme`` decides all the rest.

    Pale ones, for what has to be read, are near white; others may be deep or dark.
    """
    style, chroma, light, spread, turn, tone = scheme.random(6).tolist()
    near = angle + 0.12 * (spread - 0.5)
    accent_angle = angle + (0.5 if turn < 0.4 else 0.33 if turn < 0.6 else 0.06)
    if pale:
        saturation = 0.07 + 0.25 * chroma
        paper, tint = _rgb(angle, saturation, 0.86 + 0.14 * light), _rgb(near, saturation + 0.12, 0.75 + 0.2 * tone)
    elif style < 0.25:
        paper, tint = (
            _rgb(angle, 0.2 + 0.6 * chroma, 0.06 + 0.2 * light),
            _rgb(near, 0.25 + 0.6 * chroma, 0.2 + 0.3 * tone),
        )
    elif style < 0.42:
        paper, tint = (
            _rgb(angle, 0.08 + 0.25 * chroma, 0.35 + 0.4 * light),
            _rgb(angle, 0.25 * chroma, 0.6 + 0.4 * tone),
        )
    elif style < 0.62:
        paper, tint = _rgb(angle, 0.25 * chroma, 0.88 + 0.12 * light), _rgb(near, 0.2 + 0.5 * chroma, 0.7 + 0.3 * tone)
    else:  # vivid
        paper, tint = (
            _rgb(angle, 0.5 + 0.5 * chroma, 0.4 + 0.55 * light),
            _rgb(near, 0.4 + 0.6 * chroma, 0.4 + 0.6 * tone),
        )
    dark = luminance(paper) + 0.4 * luminance(tint) < 1.4 * 135
    ink = _rgb(angle, 0.15 * tone, 0.85 + 0.15 * light) if dark else _rgb(angle, 0.6 * tone, 0.05 + 0.25 * light)
    accent = _rgb(accent_angle, 0.55 + 0.45 * chroma, (0.65 if dark else 0.4) + 0.35 * tone)
    second = _rgb(accent_angle + 0.3, 0.4 + 0.5 * spread, 0.35 + 0.6 * light)
    return Palette(paper, tint, ink, accent, second, dark)


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours, ``share`` 0..1 of the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def any_colour(generator: np.random.Generator) -> Colour:
    """Draw a colour that is not dull."""
    angle, chroma, value = generator.random(3).tolist()
    return _rgb(angle, 0.25 + 0.75 * chroma, 0.3 + 0.7 * value)


def luminance(colour: Colour) -> float:
    """Grey value 0..255 (ITU-R BT.601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1.0), min(value, 1.0))
    return round(255 * red), round(255 * green), round(255 * blue)
