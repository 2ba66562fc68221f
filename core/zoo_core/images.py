"""Image files to the pixels a model sees: the one decoder and the one resize of all that reads users' images."""

from __future__ import annotations

import struct
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from zoo_core.errors import UnreadableSample, UsageError
from zoo_core.image_files import IMAGE_FORMATS

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.ImageFile import ImageFile

    from zoo_core.contracts import UInt8Image

# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is still at least this many times the wanted size. No
# pixel then differs by more than one grey level or two from the whole decode; with twice, it is no faster.
REDUCED_DECODE = 4
# Pillow's own limit, 179 million, which a program may have lifted.
MAX_PIXELS = 2 * (1024**3 // 4 // 3)
_MAX_8_BIT, _MAX_16_BIT = 2**8 - 1, 2**16 - 1
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Those that swap width and height.
_TURNED = (5, 6, 7, 8)


def read_image(file: Path | IO[bytes], size: tuple[int, int] | None = None, *, source: str = "") -> UInt8Image:
    """Read an image as ``uint8 [H, W, 3]`` RGB, upright as its EXIF tag says.

    Any mode is read as it looks: 16-bit greys are scaled, transparent pixels lie over white, of several frames the
    first counts.

    Args:
        file: a path, or an open file.
        size: height and width to resize to, as ``resize`` does; default: the image's own. A JPEG of more than eight
            times that size is decoded at a reduced scale.
        source: name of an open file in errors.

    Raises:
        UsageError: there is no file at the path.
        UnreadableSample: the file is not an image, is broken, or would fill the memory.
    """
    if isinstance(file, Path) and not file.is_file():
        msg = f"{file}: {'a folder, not an image file' if file.is_dir() else 'no such file'}"
        raise UsageError(msg)
    try:
        with file.open("rb") if isinstance(file, Path) else nullcontext(file) as stream:
            return _decode(_open(stream), size)
    except Exception as error:  # Pillow's decoders raise exceptions of many types on broken files
        raise UnreadableSample(source or str(file), _reason(file, error)) from error


def resize(image: UInt8Image, size: tuple[int, int]) -> UInt8Image:
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


def _open(stream: IO[bytes]) -> ImageFile:
    """Open an image as ``Image.open`` does, without its warning of images as large as phones take.

    To silence the warning would not be safe with threads. Without the file's name, Pillow does not map it into memory,
    where a file that shrinks meanwhile kills the process.
    """
    Image.init()
    prefix = stream.read(16)
    for name in IMAGE_FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        try:
            if factory is None or (accept is not None and accept(prefix) is not True):
                continue
            stream.seek(0)
            image = factory(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # it is of another format
            continue
        if image.width * image.height > MAX_PIXELS:
            msg = f"too many pixels: {image.width} x {image.height}"
            raise ValueError(msg)
        return image
    raise UnidentifiedImageError


def _decode(image: ImageFile, size: tuple[int, int] | None) -> UInt8Image:
    orientation = _orientation(image)
    to_upright = _TO_UPRIGHT.get(orientation)
    if size is None:
        rgb = _to_rgb(image)
        return np.array(rgb if to_upright is None else rgb.transpose(to_upright), dtype=np.uint8)
    width, height = size if orientation in _TURNED else size[::-1]
    whole = image.size
    reduced = image.draft(None, (REDUCED_DECODE * width, REDUCED_DECODE * height))
    rgb = _to_rgb(image)
    if reduced is None or rgb.size == whole:
        upright = rgb if to_upright is None else rgb.transpose(to_upright)
        return np.array(upright.resize(size[::-1], Image.Resampling.BILINEAR), dtype=np.uint8)
    # The last column and row of the reduced image may stand for less than a whole one.
    small = rgb.resize((width, height), Image.Resampling.BILINEAR, box=reduced[1])
    return np.array(small if to_upright is None else small.transpose(to_upright), dtype=np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - a damaged tag raises anything, and the image is still good
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    image.load()  # numpy would wrap the errors that this raises
    if image.mode == "F":
        return Image.fromarray(_float_grey(np.asarray(image))).convert("RGB")
    if image.mode.startswith("I"):
        return Image.fromarray(_integer_grey(np.asarray(image), image.format)).convert("RGB")
    if image.has_transparency_data:
        foreground = image.convert("RGBA")
        background = Image.new("RGBA", foreground.size, "white")
        background.alpha_composite(foreground)
        return background.convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _float_grey(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scale greys to 0..255: from 0..1, or from 0..255 if any lies above 1."""
    finite = np.nan_to_num(grey.astype(np.float64), nan=0.0, posinf=255.0, neginf=0.0)
    scale = 255.0 if finite.max(initial=0.0) <= 1.0 else 1.0
    return np.clip(np.rint(finite * scale), 0, 255).astype(np.uint8)


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
    return np.rint(grey / 257).astype(np.uint8)


def _reason(file: Path | IO[bytes], error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        length = file.stat().st_size if isinstance(file, Path) else file.seek(0, 2)
        return "not an image of a known format" if length else "empty file: zero bytes"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    message = " ".join(str(error).split())
    # Errors of these types describe the broken file; others are bugs of a decoder, clear only with their type.
    descriptive = message and isinstance(error, (OSError, ValueError, SyntaxError, RuntimeError))
    return message if descriptive else f"{type(error).__name__}: {message}".removesuffix(": ")
