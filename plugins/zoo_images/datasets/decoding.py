"""Decode an image file of any common kind to small, upright RGB."""

from __future__ import annotations

import warnings
from typing import IO, TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from zoo_core.api import UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zoo_core.api import UInt8Image

# Whoever keeps decoded images must forget them when this changes.
DECODING_VERSION = 3

_BITS_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_MOST_8, _MOST_16 = 2**8 - 1, 2**16 - 1
# How to undo each EXIF orientation.
_TURNS: dict[int, Callable[[UInt8Image], UInt8Image]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, 3),
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


def read_image(file: Path | IO[bytes], max_side: int, source: str = "") -> UInt8Image:
    """Read an image as ``uint8 [H, W, 3]`` RGB, upright as its EXIF says, longest side at most ``max_side``.

    JPEG is decoded at the smallest scale that is still twice the size asked for: at 12 megapixels as fast as
    OpenCV's reduced decoding, and right for CMYK too. Transparency lies on white.

    Args:
        file: path, or an open file.
        max_side: in pixels.
        source: what to call the file in an error; default: its path.

    Raises:
        UnreadableSample: the file is unreadable, absurdly large or of a pixel type that is no picture, such as floating
            point or integers beyond 16 bits.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on, which scanners make; from 179 on it refuses.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                return _decode(image, max_side)
    except Exception as error:  # Pillow reports broken files by whatever its decoders stumble over
        raise UnreadableSample(source or str(file), _reason(file, error)) from error


def _reason(file: Path | IO[bytes], error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    if isinstance(error, UnidentifiedImageError):
        start = file.seek(0, 2) if hasattr(file, "seek") else file.stat().st_size
        return "no image format that is known" if start else "empty file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = " ".join(str(error).split())
    # What says that a file is broken speaks for itself; the rest is some decoder's own mishap.
    plain = said and isinstance(error, (OSError, ValueError, SyntaxError, RuntimeError))
    return said if plain else f"{type(error).__name__}: {said}".removesuffix(": ")


def _decode(image: Image.Image, max_side: int) -> UInt8Image:
    scale = min(1.0, max_side / max(image.size))
    # From the size of the file, not of the reduced scale, whose rounding would add up to another shape.
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image.draft(None, (2 * size[0], 2 * size[1]))
    pixels = np.asarray(_eight_bit_rgb(image))
    if pixels.shape[:2] != size[::-1]:
        # Exact means over areas; Pillow's box filter takes whole pixels only, and frays thin lines.
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    # Turned last, when it is small.
    turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _eight_bit_rgb(image: Image.Image) -> Image.Image:
    image.load()  # here, where its errors are its own; numpy would have its say
    if image.mode in _BITS_16 or image.mode == "I":
        return Image.fromarray(_eight_bit_grey(image)).convert("RGB")
    if image.mode == "F":
        msg = "floating-point pixels"
        raise ValueError(msg)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        page = Image.new("RGBA", layer.size, "white")
        page.alpha_composite(layer)
        return page.convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit_grey(image: Image.Image) -> npt.NDArray[np.uint8]:
    values = np.asarray(image)
    # Of 32 bits a file seldom says which it uses, so its values do; PGM's are 16, which Pillow scales them to.
    if image.mode == "I" and image.format != "PPM":
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > _MOST_16:
            msg = f"32-bit pixels from {low} to {high}"
            raise ValueError(msg)
        if high <= _MOST_8:
            return values.astype(np.uint8)
    return (values >> 8).astype(np.uint8)
