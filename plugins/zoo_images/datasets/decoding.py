"""Decode image files of all common formats to small, upright RGB."""

from __future__ import annotations

import warnings
from typing import IO, TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from zoo_core.api import IMAGE_FORMATS, UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zoo_core.api import UInt8Image

# Identifies the pixels that an image store holds: increase it when decoding changes.
DECODING_VERSION = 3

_MODES_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_MAX_8_BIT, _MAX_16_BIT = 2**8 - 1, 2**16 - 1
# Undo each EXIF orientation.
_TO_UPRIGHT: dict[int, Callable[[UInt8Image], UInt8Image]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, 3),
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


def read_image(file: Path | IO[bytes], max_side: int, source: str = "") -> UInt8Image:
    """Read an image as ``uint8 [H, W, 3]`` RGB, upright by its EXIF orientation, longest side at most ``max_side``.

    JPEG is decoded at the smallest scale that is at least twice the requested size: at 12 megapixels as fast as
    OpenCV's reduced decoding, and correct for CMYK too. Transparent pixels are blended with white.

    Args:
        file: path, or an open file.
        max_side: in pixels.
        source: name of the file in errors; default: its path.

    Raises:
        UnreadableSample: the file is unreadable, too large, or its pixels are floating point or integers beyond 16
            bits.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns above 89 megapixels, which scanners produce, and refuses above 179.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=IMAGE_FORMATS) as image:
                return _decode(image, max_side)
    except Exception as error:  # Pillow's decoders raise exceptions of many types on broken files
        raise UnreadableSample(source or str(file), _reason(file, error)) from error


def _reason(file: Path | IO[bytes], error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    if isinstance(error, UnidentifiedImageError):
        start = file.seek(0, 2) if hasattr(file, "seek") else file.stat().st_size
        return "no image format that is known" if start else "empty file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    message = " ".join(str(error).split())
    # Errors of these types describe the broken file; others are bugs of a decoder, clear only with their type.
    descriptive = message and isinstance(error, (OSError, ValueError, SyntaxError, RuntimeError))
    return message if descriptive else f"{type(error).__name__}: {message}".removesuffix(": ")


def _decode(image: Image.Image, max_side: int) -> UInt8Image:
    scale = min(1.0, max_side / max(image.size))
    # From the full size, not that of JPEG's reduced scale, whose rounding could lead to another shape.
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image.draft(None, (2 * size[0], 2 * size[1]))
    pixels = np.asarray(_eight_bit_rgb(image))
    if pixels.shape[:2] != size[::-1]:
        # Exact area averages; Pillow's box filter uses whole pixels only, which frays thin lines.
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    # Rotated last, when the image is small.
    to_upright = _TO_UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return pixels if to_upright is None else np.ascontiguousarray(to_upright(pixels))


def _eight_bit_rgb(image: Image.Image) -> Image.Image:
    image.load()  # numpy would wrap the errors that this raises
    if image.mode in _MODES_16_BIT or image.mode == "I":
        return Image.fromarray(_eight_bit_grey(image)).convert("RGB")
    if image.mode == "F":
        msg = "floating-point pixels"
        raise ValueError(msg)
    if image.has_transparency_data:
        foreground = image.convert("RGBA")
        background = Image.new("RGBA", foreground.size, "white")
        background.alpha_composite(foreground)
        return background.convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit_grey(image: Image.Image) -> npt.NDArray[np.uint8]:
    values = np.asarray(image)
    # Files rarely state how many of 32 bits they use, so the values decide; PGM always has 16, to which Pillow scales.
    if image.mode == "I" and image.format != "PPM":
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > _MAX_16_BIT:
            msg = f"32-bit pixels from {low} to {high}"
            raise ValueError(msg)
        if high <= _MAX_8_BIT:
            return values.astype(np.uint8)
    return (values >> 8).astype(np.uint8)
