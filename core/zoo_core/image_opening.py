"""Open image files by what they hold: the formats that zoo reads, and no other."""

from __future__ import annotations

import ctypes
import struct
from contextlib import suppress
from functools import cache
from typing import IO, TYPE_CHECKING

# Importing a module of Pillow is what makes its format known.
from PIL import (  # noqa: F401
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
    _imaging,
)

from zoo_core.extras import pip_line
from zoo_core.image_files import IMAGE_FORMATS

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

# Pillow's own limit, 179 million, which a program may have changed.
MAX_PIXELS = 2 * (1024**3 // 4 // 3)
_HEAD = 64
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
# What Pillow's own `open` takes for a file of another format.
_OTHER_FORMAT = (SyntaxError, IndexError, TypeError, struct.error)


def open_image(stream: IO[bytes]) -> ImageFile:
    """Read the header of an image file; its pixels are decoded when they are loaded.

    As ``PIL.Image.open`` does, but without its warning of images as large as phones take: to silence that is not safe
    with threads. Without the file's name, Pillow does not map it into memory, where a file that shrinks meanwhile kills
    the process.

    Raises:
        UnidentifiedImageError: the file is of no format that is read.
        ValueError: it has too many pixels, or is HEIC and the extra that reads it is not installed.
        Exception: whatever Pillow raises on a damaged header.
    """
    image = _opened(stream)
    if image.width * image.height > MAX_PIXELS:
        msg = f"too many pixels: {image.width} x {image.height}"
        raise ValueError(msg)
    return image


def _opened(stream: IO[bytes]) -> ImageFile:
    head = stream.read(_HEAD)
    if _is_heif(head):
        stream.seek(0)
        return _opened_heif(stream)
    for name in IMAGE_FORMATS:
        factory, accept = Image.OPEN[name]
        try:
            # A text instead of a yes says that this Pillow was built without the format.
            if accept is not None and accept(head) is not True:
                continue
            stream.seek(0)
            if name == "TIFF":
                _silence_libtiff()
            # Of several pictures in a JPEG, Pillow's factory reads the table, with a warning if that is damaged.
            return JpegImagePlugin.JpegImageFile(stream, "") if name == "JPEG" else factory(stream, "")
        except _OTHER_FORMAT:
            continue
    raise UnidentifiedImageError


@cache
def _silence_libtiff() -> None:
    """Keep libtiff from printing on stderr what is wrong with a file, which Pillow then raises.

    For the whole process: to put its handler back after each file is not safe with threads. Where Pillow holds libtiff
    in itself, as on Windows, it cannot be reached, and prints.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _is_heif(head: bytes) -> bool:
    """Return whether a file is HEIC and not AVIF, which may have the same main brand: then both are listed."""
    if head[4:8] != b"ftyp":
        return False
    end = min(len(head), int.from_bytes(head[:4], "big"))
    brands = {head[start : start + 4] for start in (8, *range(16, end, 4))}
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def _opened_heif(stream: IO[bytes]) -> ImageFile:
    try:
        from pillow_heif import HeifImageFile  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = f"HEIC is not read without: {pip_line('heic')}"
        raise ValueError(msg) from error
    # The extra may be missing here, and its constructor has no types.
    image: ImageFile = HeifImageFile(stream, "")  # type: ignore[no-untyped-call,unused-ignore]
    return image
