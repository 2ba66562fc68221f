"""Choose the colours of a document."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Palette:
    """RGB colours in 0..255: ``paper`` and its companion ``tint``, readable ``ink``, and two accents."""

    paper: Colour
    tint: Colour
    ink: Colour
    accent: Colour
    second_accent: Colour
    dark: bool


@dataclass(frozen=True, slots=True)
class _Scheme:
    """Uniform random numbers in 0..1 that decide a palette up to its hue."""

    style: float
    chroma: float
    light: float
    spread: float
    contrast: float
    tone: float


def draw_palette(hue: float, generator: np.random.Generator, *, pale: bool, hue_turn: float = 0.0) -> Palette:
    """Draw a palette around ``hue`` (in turns); the generator decides everything but the hue.

    Pale palettes, for documents that must be readable, are near white; others can be deep or dark. ``hue_turn``
    returns the same palette with all hues turned, and never grey, so that the difference is visible.
    """
    scheme = _Scheme(*generator.random(6).tolist())
    angle = hue + hue_turn
    chroma, light, tone = scheme.chroma, scheme.light, scheme.tone
    accent_angle = angle + (0.5 if scheme.contrast < 0.4 else 0.33 if scheme.contrast < 0.6 else 0.06)
    if pale:
        saturation = 0.02 + 0.25 * chroma * chroma
        near = angle + 0.12 * (scheme.spread - 0.5)
        paper, tint = _rgb(angle, saturation, 0.88 + 0.12 * light), _rgb(near, saturation + 0.12, 0.75 + 0.2 * tone)
    else:
        paper, tint = _draw_paper_and_tint(angle, scheme, hue_turn)
    dark = luminance(paper) + 0.4 * luminance(tint) < 1.4 * 135
    ink = _rgb(angle, 0.15 * tone, 0.85 + 0.15 * light) if dark else _rgb(angle, 0.6 * tone, 0.05 + 0.25 * light)
    accent = _rgb(accent_angle, 0.55 + 0.45 * chroma, (0.65 if dark else 0.4) + 0.35 * tone)
    if chroma < 0.2 and not hue_turn and not pale:  # premium cards are printed in gold or silver
        accent = (214, 176, 98) if scheme.contrast < 0.5 else (200, 203, 208)
    second_accent = _rgb(accent_angle + 0.3, 0.4 + 0.5 * scheme.spread, 0.35 + 0.6 * light)
    return Palette(paper, tint, ink, accent, second_accent, dark)


def _draw_paper_and_tint(angle: float, scheme: _Scheme, hue_turn: float) -> tuple[Colour, Colour]:
    style, chroma, light, tone = scheme.style, scheme.chroma, scheme.light, scheme.tone
    near = angle + 0.12 * (scheme.spread - 0.5)
    floor = 0.45 if hue_turn else 0.0
    if style < 0.33:  # black, anthracite
        paper = _rgb(angle, floor + 0.4 * chroma**2, 0.04 + 0.14 * light)
        tint = _rgb(near, floor + 0.5 * tone, 0.1 + 0.3 * tone)
    elif style < 0.47:  # navy, bottle green, wine
        paper = _rgb(angle, 0.5 + 0.45 * chroma, 0.15 + 0.25 * light)
        tint = _rgb(near, 0.4 + 0.5 * chroma, 0.3 + 0.35 * tone)
    elif style < 0.54:  # silver, grey
        paper = _rgb(angle, floor + 0.1 * chroma, 0.45 + 0.4 * light)
        tint = _rgb(angle, floor + 0.12 * chroma, 0.65 + 0.35 * tone)
    elif style < 0.61:  # gold, bronze; another metal if the hue is turned
        gold = 0.11 + 0.03 * (scheme.spread - 0.5) + hue_turn
        paper = _rgb(gold, 0.4 + 0.4 * chroma, 0.45 + 0.4 * light)
        tint = _rgb(gold, 0.25 + 0.3 * chroma, 0.75 + 0.25 * tone)
    elif style < 0.77:  # white
        paper = _rgb(angle, floor + 0.1 * chroma, 0.9 + 0.1 * light)
        tint = _rgb(near, 0.1 + 0.5 * chroma, 0.7 + 0.3 * tone)
    else:  # vivid
        paper = _rgb(angle, 0.45 + 0.5 * chroma, 0.45 + 0.45 * light)
        tint = _rgb(near, 0.3 + 0.6 * chroma, 0.45 + 0.5 * tone)
    return paper, tint


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours, ``share`` 0..1 of the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def random_colour(generator: np.random.Generator) -> Colour:
    """Draw a colour that is not dull."""
    angle, chroma, value = generator.random(3).tolist()
    return _rgb(angle, 0.25 + 0.75 * chroma, 0.3 + 0.7 * value)


def luminance(colour: Colour) -> float:
    """Return the grey value in 0..255 (ITU-R BT.601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1.0), min(value, 1.0))
    return round(255 * red), round(255 * green), round(255 * blue)
