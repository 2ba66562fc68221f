"""Coloured pictures: a grey one, one or two ramps of colour laid over it, and where on the document it shows."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from zoo_documents.drawing import subjects, textures
from zoo_documents.drawing.palettes import any_colour, luminance, mixed
from zoo_documents.drawing.textures import Floats, Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from cv2.typing import MatLike

    from zoo_documents.drawing.palettes import Colour, Palette

_KINDS: tuple[tuple[Callable[[np.random.Generator, Frame], tuple[Floats, Floats | None]], float], ...] = (
    (subjects.hills, 0.08),
    (subjects.town, 0.08),
    (subjects.balls, 0.08),
    (subjects.flowers, 0.08),
    (textures.silk, 0.09),
    (textures.relief, 0.06),
    (textures.trails, 0.08),
    (textures.lights, 0.06),
    (textures.rays, 0.05),
    (textures.metal, 0.04),
    (textures.weave, 0.06),
    (textures.chart, 0.05),
    (subjects.leaves, 0.04),
    (subjects.thing, 0.06),
    (textures.swirls, 0.04),
    (subjects.person, 0.03),
    (subjects.crowd, 0.02),
)
_GOLD: tuple[Colour, ...] = ((38, 24, 8), (140, 100, 40), (222, 184, 96), (252, 240, 200))
_SILVER: tuple[Colour, ...] = ((30, 32, 36), (120, 124, 130), (196, 200, 206), (246, 247, 250))
_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (8, 8, 10)


def scene(generator: np.random.Generator, palette: Palette, height: int, width: int) -> MatLike:
    """Draw a picture ``uint8 [height, width, 3]`` as photographs and prints are: many shades, soft edges."""
    frame = Frame(height, width)
    draw = float(generator.random())
    kind = _KINDS[0][0]
    for candidate, share in _KINDS:
        kind = candidate
        draw -= share
        if draw < 0:
            break
    tone, part = kind(generator, frame)
    contrast, light, second, manner, upside = generator.random(5).tolist()
    tone = (tone - 0.5) * (0.8 + 0.9 * contrast) + 0.5 + 0.4 * (light - 0.58)
    if upside < 0.12:
        tone = 1 - tone
    grey = _printed(generator, tone, manner)
    picture = cv2.applyColorMap(grey, ramp(generator, palette))
    if part is None and second < 0.4:
        part = textures.noise(generator, frame, 1, 2)
    if part is not None and second < 0.75:
        picture = _blended(picture, cv2.applyColorMap(grey, ramp(generator, palette)), part)
    return picture


def _printed(generator: np.random.Generator, tone: Floats, manner: float) -> MatLike:
    """Bring a grey picture to paper: as it is, grainy, in few shades, as a halftone, a line drawing or a relief."""
    if manner < 0.2:
        return _bytes(tone + 0.12 * (generator.random(tone.shape, dtype=np.float32) - 0.5))
    if manner < 0.36:
        steps = int(generator.integers(2, 6))
        return _bytes(np.floor(np.clip(tone, 0, 0.999) * steps) / (steps - 1))
    if manner < 0.42:
        pitch = float(generator.uniform(0.8, 2.1))
        rows, columns = np.arange(tone.shape[0])[:, None], np.arange(tone.shape[1])[None]
        dots = np.cos((rows + columns) * pitch) * np.cos((rows - columns) * pitch)
        return _bytes(((tone - 0.5) - 0.4 * dots.astype(np.float32)) * 2.5 + 0.5)
    if manner < 0.5:
        # Not by cv2.Canny: that of OpenCV 5.0.0 writes beyond its memory on some pictures, and the process aborts.
        blurred = cv2.GaussianBlur(_bytes(tone), (0, 0), 1)
        slope = cv2.morphologyEx(blurred, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
        edges = _bytes((np.asarray(slope, np.float32) - 7) * np.float32(0.07))
        return cv2.bitwise_not(edges) if manner < 0.47 else edges
    if manner < 0.54:
        return _bytes(textures.lit(np.asarray(tone, np.float32), manner * 25, 6))
    return _bytes(tone)


def ramp(generator: np.random.Generator, palette: Palette) -> MatLike:
    """Draw the colours that grey values are shown in, dark to light mostly: ``uint8 [256, 1, 3]``."""
    style = float(generator.random())
    main = palette.paper if generator.random() < 0.5 else palette.accent
    vivid = main if max(main) - min(main) > 60 else palette.accent
    stops: tuple[Colour, ...]
    if style < 0.26:  # one hue
        stops = (
            mixed(vivid, _BLACK, 0.85),
            mixed(vivid, _BLACK, 0.3),
            mixed(vivid, _WHITE, 0.3),
            mixed(vivid, _WHITE, 0.9),
        )
    elif style < 0.36:  # deep
        stops = (_BLACK, mixed(vivid, _BLACK, 0.75), mixed(vivid, _BLACK, 0.2), mixed(palette.second, _WHITE, 0.5))
    elif style < 0.46:
        stops = _GOLD
    elif style < 0.58:
        stops = _SILVER
    elif style < 0.66:  # pale
        stops = (mixed(vivid, _WHITE, 0.3), mixed(vivid, _WHITE, 0.7), mixed(palette.second, _WHITE, 0.85), _WHITE)
    elif style < 0.7:
        stops = (_BLACK, mixed(palette.paper, _BLACK, 0.7), palette.paper, palette.tint)
    else:  # as things are coloured: every shade its own hue
        colours = [any_colour(generator) for _ in range(4)]
        stops = tuple(sorted(colours, key=luminance)) if style < 0.92 else tuple(colours)
    heights = np.arange(256) / 255
    places = np.linspace(0, 1, len(stops))
    table = np.stack([np.interp(heights, places, [stop[c] for stop in stops]) for c in range(3)], axis=1)
    return table.astype(np.uint8)[:, None]


def lay(canvas: MatLike, generator: np.random.Generator, palette: Palette, *, calm: bool) -> None:
    """Print a picture on the canvas: all over, on a part with a soft or hard edge, or pale as a watermark."""
    height, width = canvas.shape[0] // 2, canvas.shape[1] // 2
    picture = scene(generator, palette, height, width)
    strength = 0.12 + 0.3 * float(generator.random()) if calm else 0.6 + 0.4 * float(generator.random())
    mask = _place(generator, Frame(height, width))
    # Nearest, for the canvas is reduced again by as much: what is fine stays fine.
    large = cv2.resize(picture, (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_NEAREST)
    if mask is None:
        if calm or strength < 0.85:
            large = cv2.addWeighted(large, strength, canvas, 1 - strength, 0)
        canvas[:] = large
        return
    whole = cv2.resize(mask * np.float32(strength if calm else 1), (canvas.shape[1], canvas.shape[0]))
    canvas[:] = _blended(canvas, large, np.asarray(whole, np.float32))


def _place(generator: np.random.Generator, frame: Frame) -> Floats | None:
    """Where a picture shows: a mask in 0..1, or all over."""
    kind, x, y, size, edge = map(float, generator.random(5))
    if kind < 0.5:
        return None
    sharp = frame.height / 2 if edge < 0.4 else 2 + 6 * edge
    if kind < 0.66:  # beyond a line
        turn = (0.0, 0.5, 0.25, 0.06, 0.56, float(generator.random()))[int(6 * x)]
        along = frame.along(turn)
        low, high = float(along.min()), float(along.max())
        return np.asarray(np.clip((along - low - (high - low) * (0.25 + 0.4 * y)) * sharp, 0, 1), np.float32)
    if kind < 0.8:  # in a circle
        return np.asarray(np.clip((0.25 + 0.6 * size - frame.radius(frame.aspect * x, y)) * sharp, 0, 1))
    if kind < 0.92:  # beyond a wave
        crest = 0.3 + 0.4 * y + (0.05 + 0.3 * size) * np.sin(frame.x * (1 + 4 * x) + 6 * edge)
        mask = np.asarray(np.clip((frame.y - crest) * sharp, 0, 1))
        return mask if x < 0.6 else 1 - mask
    inside = np.minimum(np.minimum(frame.x, frame.aspect - frame.x) * 1.0, np.minimum(frame.y, 1 - frame.y))
    return np.asarray(np.clip((inside - 0.04 - 0.1 * size) * sharp, 0, 1))


def _blended(first: MatLike, second: MatLike, share: Floats) -> MatLike:
    share = np.ascontiguousarray(np.clip(share, 0, 1), np.float32)
    return cv2.blendLinear(second, first, share, 1 - share)


def _bytes(tone: Floats) -> npt.NDArray[np.uint8]:
    return np.asarray(np.clip(tone, 0, 1) * np.float32(255), np.uint8)
