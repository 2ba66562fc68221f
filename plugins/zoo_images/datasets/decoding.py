"""Decode image files for training, small, and for validation, as every model sees them."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import cv2
import numpy as np

from zoo_core.api import UnreadableSample, UsageError, decode_image, read_image

if TYPE_CHECKING:
    from pathlib import Path

    from zoo_core.api import UInt8Image

# Identifies the pixels that an image store holds: increase it when decoding changes, here or in zoo_core.
DECODING_VERSION = 4


def read_reduced(file: Path | IO[bytes], max_side: int, source: str = "") -> UInt8Image:
    """Read an image as ``uint8 [H, W, 3]`` RGB, upright, longest side at most ``max_side``; it may be read-only.

    JPEG is decoded at the smallest scale that is at least twice the requested size: at 12 megapixels as fast as
    OpenCV's reduced decoding, and correct for CMYK too.

    Args:
        file: path, or an open file.
        max_side: in pixels.
        source: name of the file in errors; default: its path.

    Raises:
        UnreadableSample: the file is missing, not an image, broken, or too large.
    """
    pixels, shape = decode_image(file, lambda *shape: _times(2, _reduced(shape, max_side)), source=source)
    # From the full size, not that of JPEG's reduced scale, whose rounding could lead to another shape.
    height, width = _reduced(shape, max_side)
    if pixels.shape[:2] == (height, width):
        return pixels
    # Exact area averages; Pillow's box filter uses whole pixels only, which frays thin lines.
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def read_plain(path: Path, size: tuple[int, int]) -> UInt8Image:
    """Read an image at ``size`` (height, width) as ``zoo predict`` does.

    Raises:
        UnreadableSample: the file is missing, not an image, broken, or too large.
    """
    try:
        return read_image(path, size)
    except UsageError as error:
        # The user did not name this file: it was there when the dataset was built.
        raise UnreadableSample(str(path), error.problems[0].message.removeprefix(f"{path}: ")) from error


def _reduced(shape: tuple[int, ...], max_side: int) -> tuple[int, int]:
    scale = min(1.0, max_side / max(shape))
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


def _times(factor: int, size: tuple[int, int]) -> tuple[int, int]:
    return factor * size[0], factor * size[1]
