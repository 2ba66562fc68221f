"""Decode an image file of any common kind to small, upright RGB."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from zoo_core.api import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo_core.api import UInt8Image

# Pillow reports broken files by whatever its decoders stumble over.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
_BITS_16 = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def read_image(path: Path, max_side: int) -> UInt8Image:
    """Read an image as ``uint8 [H, W, 3]`` RGB, upright as its EXIF says, longest side at most ``max_side``.

    JPEG is decoded at the smallest scale that is still twice the size asked for. Transparency lies on white.

    Raises:
        RunError: the file is unreadable, absurdly large or of a pixel type that is no picture; names the file.
    """
    try:
        with Image.open(path) as image:
            return _decode(image, max_side)
    except _BROKEN as error:
        reason = "too many pixels" if isinstance(error, Image.DecompressionBombError) else str(error)
        msg = f"{path}: cannot be read as an image ({reason or type(error).__name__})"
        raise RunError(msg, hint="repair the file or remove it") from error


def _decode(image: Image.Image, max_side: int) -> UInt8Image:
    image.draft(None, (2 * max_side, 2 * max_side))
    upright: Image.Image = ImageOps.exif_transpose(_eight_bit_rgb(image))
    # A box filter is what averaging a sensor's pixels is.
    upright.thumbnail((max_side, max_side), Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(upright)


def _eight_bit_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _BITS_16:
        values = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255)
        grey = Image.fromarray(values.astype(np.uint8))
        grey.info = image.info
        return grey.convert("RGB")
    if image.mode == "F":
        msg = "floating-point pixels"
        raise ValueError(msg)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        page = Image.new("RGBA", layer.size, "white")
        page.alpha_composite(layer)
        page.info = layer.info
        return page.convert("RGB")
    return image.convert("RGB")
