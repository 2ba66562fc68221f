"""Draw the pictures of documents: a grey picture, one or two colour ramps applied to it, and a mask for its region."""
# ruff: noqa: PLR2004 - a drawing is made of numbers

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from zoo_documents.drawing import subjects, textures
from zoo_documents.drawing.backgrounds import SUPERSAMPLING
from zoo_documents.drawing.choices import choose_by_share
from zoo_documents.drawing.palettes import WHITE, luminance, mix, random_colour
from zoo_documents.drawing.procedural import Floats, PixelGrid, illuminate, noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from cv2.typing import MatLike

    from zoo_documents.drawing.palettes import Colour, Palette

_MOTIFS: tuple[tuple[Callable[[np.random.Generator, PixelGrid], tuple[Floats, Floats | None]], float], ...] = (
    (subjects.draw_hills, 0.08),
    (subjects.draw_town, 0.08),
    (subjects.draw_balls, 0.08),
    (subjects.draw_flowers, 0.08),
    (textures.draw_silk, 0.09),
    (textures.draw_relief, 0.06),
    (textures.draw_light_trails, 0.08),
    (textures.draw_blurred_lights, 0.06),
    (textures.draw_rays, 0.05),
    (textures.draw_metal, 0.04),
    (textures.draw_repeated_motif, 0.06),
    (textures.draw_map, 0.05),
    (subjects.draw_leaves, 0.04),
    (subjects.draw_object, 0.06),
    (textures.draw_swirls, 0.04),
    (subjects.draw_person, 0.03),
    (subjects.draw_crowd, 0.02),
)
_GOLD: tuple[Colour, ...] = ((38, 24, 8), (140, 100, 40), (222, 184, 96), (252, 240, 200))
_SILVER: tuple[Colour, ...] = ((30, 32, 36), (120, 124, 130), (196, 200, 206), (246, 247, 250))
_BLACK: Colour = (8, 8, 10)


def print_picture(canvas: MatLike, generator: np.random.Generator, palette: Palette, *, calm: bool) -> None:
    """Print a picture on the canvas: everywhere, in a region with a soft or hard edge, or pale like a watermark."""
    height, width = canvas.shape[0] // SUPERSAMPLING, canvas.shape[1] // SUPERSAMPLING
    picture = draw_picture(generator, palette, height, width)
    strength = 0.12 + 0.3 * float(generator.random()) if calm else 0.6 + 0.4 * float(generator.random())
    mask = _draw_region(generator, PixelGrid(height, width))
    # Nearest neighbour, because the canvas is reduced by the same factor later: fine detail is kept.
    large = cv2.resize(picture, (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_NEAREST)
    if mask is None:
        if calm or strength < 0.85:
            large = cv2.addWeighted(large, strength, canvas, 1 - strength, 0)
        canvas[:] = large
        return
    share = cv2.resize(mask * np.float32(strength if calm else 1), (canvas.shape[1], canvas.shape[0]))
    canvas[:] = _blend(canvas, large, np.asarray(share, np.float32))


def draw_picture(generator: np.random.Generator, palette: Palette, height: int, width: int) -> MatLike:
    """Draw a picture ``uint8 [height, width, 3]`` in the style of photographs and prints: many shades, soft edges."""
    grid = PixelGrid(height, width)
    draw_motif = choose_by_share(float(generator.random()), _MOTIFS)
    tone, blend = draw_motif(generator, grid)
    contrast, light, second_colours, style, inverted = generator.random(5).tolist()
    tone = (tone - 0.5) * (0.8 + 0.9 * contrast) + 0.5 + 0.4 * (light - 0.58)
    if inverted < 0.12:
        tone = 1 - tone
    grey = _apply_print_style(generator, tone, style)
    picture = cv2.applyColorMap(grey, draw_colour_ramp(generator, palette))
    if blend is None and second_colours < 0.4:
        blend = noise(generator, grid, 1, 2)
    if blend is not None and second_colours < 0.75:
        picture = _blend(picture, cv2.applyColorMap(grey, draw_colour_ramp(generator, palette)), blend)
    return picture


def _apply_print_style(generator: np.random.Generator, tone: Floats, style: float) -> MatLike:
    """Return a grey picture as it is, grainy, in few shades, as a halftone, a line drawing or a relief."""
    if style < 0.2:
        return _to_bytes(tone + 0.12 * (generator.random(tone.shape, dtype=np.float32) - 0.5))
    if style < 0.36:
        steps = int(generator.integers(2, 6))
        return _to_bytes(np.floor(np.clip(tone, 0, 0.999) * steps) / (steps - 1))
    if style < 0.42:
        pitch = float(generator.uniform(0.8, 2.1))
        rows, columns = np.arange(tone.shape[0])[:, None], np.arange(tone.shape[1])[None]
        dots = np.cos((rows + columns) * pitch) * np.cos((rows - columns) * pitch)
        return _to_bytes(((tone - 0.5) - 0.4 * dots.astype(np.float32)) * 2.5 + 0.5)
    if style < 0.5:
        # Not cv2.Canny: in OpenCV 5.0.0 it writes beyond its memory on some pictures, and the process aborts.
        blurred = cv2.GaussianBlur(_to_bytes(tone), (0, 0), 1)
        slope = cv2.morphologyEx(blurred, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
        edges = _to_bytes((np.asarray(slope, np.float32) - 7) * np.float32(0.07))
        return cv2.bitwise_not(edges) if style < 0.47 else edges
    if style < 0.54:
        return _to_bytes(illuminate(np.asarray(tone, np.float32), style * 25, 6))
    return _to_bytes(tone)


def draw_colour_ramp(generator: np.random.Generator, palette: Palette) -> MatLike:
    """Draw a colour for each grey value, mostly from dark to light: ``uint8 [256, 1, 3]``."""
    style = float(generator.random())
    main = palette.paper if generator.random() < 0.5 else palette.accent
    vivid = main if max(main) - min(main) > 60 else palette.accent
    stops: tuple[Colour, ...]
    if style < 0.26:  # one hue
        stops = (
            mix(vivid, _BLACK, 0.85),
            mix(vivid, _BLACK, 0.3),
            mix(vivid, WHITE, 0.3),
            mix(vivid, WHITE, 0.9),
        )
    elif style < 0.36:  # deep
        stops = (_BLACK, mix(vivid, _BLACK, 0.75), mix(vivid, _BLACK, 0.2), mix(palette.second_accent, WHITE, 0.5))
    elif style < 0.46:
        stops = _GOLD
    elif style < 0.58:
        stops = _SILVER
    elif style < 0.66:  # pale
        stops = (mix(vivid, WHITE, 0.3), mix(vivid, WHITE, 0.7), mix(palette.second_accent, WHITE, 0.85), WHITE)
    elif style < 0.7:
        stops = (_BLACK, mix(palette.paper, _BLACK, 0.7), palette.paper, palette.tint)
    else:  # every shade has another hue, as in photographs
        colours = [random_colour(generator) for _ in range(4)]
        stops = tuple(sorted(colours, key=luminance)) if style < 0.92 else tuple(colours)
    values = np.arange(256) / 255
    positions = np.linspace(0, 1, len(stops))
    table = np.stack([np.interp(values, positions, [stop[c] for stop in stops]) for c in range(3)], axis=1)
    return table.astype(np.uint8)[:, None]


def _draw_region(generator: np.random.Generator, grid: PixelGrid) -> Floats | None:
    """Draw the region that a picture covers: a mask in 0..1, or ``None`` for the whole document."""
    kind, x, y, size, edge = map(float, generator.random(5))
    if kind < 0.5:
        return None
    sharp = grid.height / 2 if edge < 0.4 else 2 + 6 * edge
    if kind < 0.66:  # beyond a line
        turn = (0.0, 0.5, 0.25, 0.06, 0.56, float(generator.random()))[int(6 * x)]
        along = grid.along(turn)
        low, high = float(along.min()), float(along.max())
        return np.asarray(np.clip((along - low - (high - low) * (0.25 + 0.4 * y)) * sharp, 0, 1), np.float32)
    if kind < 0.8:  # in a circle
        return np.asarray(np.clip((0.25 + 0.6 * size - grid.distance(grid.aspect * x, y)) * sharp, 0, 1))
    if kind < 0.92:  # beyond a wave
        edge_y = 0.3 + 0.4 * y + (0.05 + 0.3 * size) * np.sin(grid.x * (1 + 4 * x) + 6 * edge)
        mask = np.asarray(np.clip((grid.y - edge_y) * sharp, 0, 1))
        return mask if x < 0.6 else 1 - mask
    inside = np.minimum(np.minimum(grid.x, grid.aspect - grid.x) * 1.0, np.minimum(grid.y, 1 - grid.y))
    return np.asarray(np.clip((inside - 0.04 - 0.1 * size) * sharp, 0, 1))


def _blend(first: MatLike, second: MatLike, share: Floats) -> MatLike:
    share = np.ascontiguousarray(np.clip(share, 0, 1), np.float32)
    return cv2.blendLinear(second, first, share, 1 - share)


def _to_bytes(tone: Floats) -> npt.NDArray[np.uint8]:
    return np.asarray(np.clip(tone, 0, 1) * np.float32(255), np.uint8)
