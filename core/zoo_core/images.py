"""Image files to the pixels a model sees: the one decoder and the one resize of all that reads users' images."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from zoo_core.errors import UnreadableSample, UsageError
from zoo_core.image_opening import open_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    from PIL.ImageFile import ImageFile

    from zoo_core.contracts import UInt8Image

    Size = tuple[int, int]
    # From the height and width of an image to the height and width that are needed of it.
    Needed = Callable[[int, int], Size]
    Box = tuple[float, float, float, float]

# For `read_image` a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is still at least this many times the
# wanted size. How far its pixels then are from the whole decode: benchmarks/caller_decoded.py. Less would be faster,
# and further off.
REDUCED_DECODE = 4
_MAX_8_BIT, _MAX_16_BIT = 2**8 - 1, 2**16 - 1
_STRIP_PIXELS = 2**20
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Those that swap width and height, and those after which the last columns or rows come first.
_SWAPPED, _MIRRORED, _UPSIDE_DOWN = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)


class DecodedImage(NamedTuple):
    """An image that may have been decoded at a reduced scale.

    ``pixels``: ``uint8 [h, w, 3]`` RGB, upright, read-only. ``shape``: height and width of the whole image, upright.
    """

    pixels: UInt8Image
    shape: Size


def read_image(file: Path | IO[bytes], size: Size | None = None, *, source: str = "") -> UInt8Image:
    """Read an image as ``uint8 [H, W, 3]`` RGB, upright as its EXIF tag says.

    Any mode is read as it looks: 16-bit greys are scaled, transparent pixels lie over white, of several frames the
    first counts.

    Args:
        file: a path, or an open file.
        size: height and width to resize to, as ``resize`` does; default: the image's own. A JPEG of more than eight
            times that size is decoded at a reduced scale.
        source: name of an open file in errors.

    Raises:
        UsageError: there is no regular file at the path, or what is there cannot be known.
        UnreadableSample: the file is not an image, is broken, or would fill the memory.
    """
    if isinstance(file, Path) and (reason := _why_no_file(file)):
        raise UsageError(f"{file}: {reason}")
    with _reading(file, source) as stream:
        if size is None:
            return np.array(_decode(stream, None).image, dtype=np.uint8)
        decoded = _decode(stream, lambda *_: (REDUCED_DECODE * size[0], REDUCED_DECODE * size[1]))
        return np.array(decoded.image.resize(size[::-1], Image.Resampling.BILINEAR, decoded.box), dtype=np.uint8)


def decode_image(file: Path | IO[bytes], needed: Needed, *, source: str = "") -> DecodedImage:
    """Decode an image for a resize of the caller's own; else as ``read_image``.

    Args:
        file: a path, or an open file.
        needed: given the image's height and width, returns those that are needed of it: a JPEG is decoded at the
            smallest of 1/8, 1/4, 1/2 and 1 of its size that is no smaller.
        source: name of an open file in errors.

    Raises:
        UnreadableSample: there is no file, or as in ``read_image``.
    """
    with _reading(file, source) as stream:
        decoded = _decode(stream, needed)
        return DecodedImage(np.asarray(decoded.image, dtype=np.uint8), decoded.shape)


def resize(image: UInt8Image, size: Size) -> UInt8Image:
    """Resize ``uint8 [H, W, 3]`` to ``size`` (height, width): bilinear, antialiased, without keeping the aspect ratio.

    It is Pillow's own filter on 8-bit pixels, so that anybody can repeat it:
    ``PIL.Image.resize((width, height), Resampling.BILINEAR)``.
    """
    return np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR), dtype=np.uint8)


def upright_rgb(image: Image.Image) -> Image.Image:
    """Convert an image that Pillow has opened as ``read_image`` converts a file: RGB, upright as its EXIF tag says.

    Raises:
        Exception: whatever Pillow raises on an image that is broken or closed.
    """
    rgb = _to_rgb(image)
    # Read when the pixels are loaded, which turns TIFF upright.
    to_upright = _TO_UPRIGHT.get(_orientation(image))
    return rgb if to_upright is None else rgb.transpose(to_upright)


@contextmanager
def _reading(file: Path | IO[bytes], source: str) -> Iterator[IO[bytes]]:
    try:
        with file.open("rb") if isinstance(file, Path) else nullcontext(file) as stream:
            yield stream
    except Exception as error:  # Pillow's decoders raise exceptions of many types on broken files
        raise UnreadableSample(source or str(file), _reason(file, error)) from error


class _Decoded(NamedTuple):
    """``image``: RGB, upright. ``box``: left, top, right and bottom of what shows the image, of size ``shape``."""

    image: Image.Image
    box: Box
    shape: Size


def _decode(stream: IO[bytes], needed: Needed | None) -> _Decoded:
    image = open_image(stream)
    width, height = image.size
    # Only JPEG has reduced scales; of HEIC, Pillow would take the thumbnail.
    reduced = _reduce(image, needed) if needed is not None and image.format == "JPEG" else None
    rgb = _to_rgb(image)
    # What a header says of other formats may differ from what is decoded.
    end: tuple[float, float] = reduced or rgb.size
    shape = (height, width) if reduced else rgb.size[::-1]
    # Read when the pixels are loaded, which turns TIFF upright.
    orientation = _orientation(image)
    if orientation in _SWAPPED:
        shape, end = shape[::-1], end[::-1]
    if orientation in _TO_UPRIGHT:
        rgb = rgb.transpose(_TO_UPRIGHT[orientation])
    left = rgb.width - end[0] if orientation in _MIRRORED else 0.0
    top = rgb.height - end[1] if orientation in _UPSIDE_DOWN else 0.0
    return _Decoded(rgb, (left, top, left + end[0], top + end[1]), shape)


def _reduce(image: ImageFile, needed: Needed) -> tuple[float, float] | None:
    """Let a JPEG be decoded at a reduced scale; return its width and height at that scale, which may be fractions."""
    swapped = _orientation(image) in _SWAPPED
    height, width = needed(*(image.size if swapped else image.size[::-1]))
    reduced = image.draft(None, (height, width) if swapped else (width, height))
    return None if reduced is None else reduced[1][2:]


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - a damaged tag raises anything, and the image is still good
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB; of a large image, no more than one copy is in memory beside what Pillow has decoded."""
    image.load()  # numpy would wrap the errors that this raises
    if image.mode == "F":
        return Image.fromarray(_float_grey(np.asarray(image))).convert("RGB")
    if image.mode.startswith("I"):
        return Image.fromarray(_integer_grey(np.asarray(image), image.format)).convert("RGB")
    if image.has_transparency_data:
        rgba = image if image.mode in {"LA", "RGBA"} else image.convert("RGBA")
        rgb = Image.new("RGB", image.size, "white")
        rgb.paste(rgba, mask=rgba)
        return rgb
    return image if image.mode == "RGB" else image.convert("RGB")


def _float_grey(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scale greys to 0..255: from 0..1, or from 0..255 if any lies above 1."""
    scale = 1.0 if (grey > 1).any() else 255.0
    return _by_strips(grey, lambda strip: np.clip(np.rint(np.nan_to_num(strip.astype(np.float64) * scale)), 0, 255))


def _integer_grey(grey: npt.NDArray[Any], image_format: str | None) -> npt.NDArray[np.uint8]:
    """Scale greys of 16 bits to 0..255.

    Files of 32 bits do not say how many of them they use: values up to 255 are taken as they are. PPM always has 16,
    to which Pillow scales.
    """
    low, high = int(grey.min()), int(grey.max())
    if low < 0 or high > _MAX_16_BIT:
        msg = f"32-bit pixels from {low} to {high}"
        raise ValueError(msg)
    if grey.dtype.itemsize > 2 and image_format != "PPM" and high <= _MAX_8_BIT:  # noqa: PLR2004 - bytes of 16 bits
        return grey.astype(np.uint8)
    return _by_strips(grey, lambda strip: np.rint(strip / 257))


def _by_strips(
    grey: npt.NDArray[Any], scaled: Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]]
) -> npt.NDArray[np.uint8]:
    """Scale ``[H, W]`` some rows at a time, because wider numbers of a whole image could fill the memory."""
    result = np.empty(grey.shape, np.uint8)
    rows = max(1, _STRIP_PIXELS // grey.shape[1])
    for start in range(0, len(grey), rows):
        result[start : start + rows] = scaled(grey[start : start + rows])
    return result


def _why_no_file(path: Path) -> str:
    """Return why ``path`` is no file that can be read from its beginning to its end; nothing if it is one."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a name with a NUL is a ValueError
        return "a link to nothing" if os.path.islink(path) else "no such file"  # noqa: PTH114 - raises nothing
    except OSError as error:
        return error.strerror or "cannot be read"
    if stat.S_ISREG(mode):
        return ""
    return "a folder, not an image file" if stat.S_ISDIR(mode) else "a pipe or a device, not an image file"


def _reason(file: Path | IO[bytes], error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        length = file.stat().st_size if isinstance(file, Path) else file.seek(0, 2)
        return "not an image of a known format" if length else "empty file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    message = " ".join(str(error).split())
    # Errors of these types describe the broken file; others are bugs of a decoder, clear only with their type.
    descriptive = message and isinstance(error, (OSError, ValueError, SyntaxError, RuntimeError))
    return message if descriptive else f"{type(error).__name__}: {message}".removesuffix(": ")
