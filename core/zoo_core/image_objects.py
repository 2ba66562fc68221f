"""Images that the caller has opened or decoded to the pixels that a model sees, as the reader makes them of a file."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from zoo_core.errors import UnreadableSample, UsageError
from zoo_core.images import read_image, resize, upright_rgb

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo_core.contracts import UInt8Image

_GREY, _RGB, _RGBA = 1, 3, 4
_RANK = 3


def detach(image: Image.Image) -> IO[bytes] | Image.Image:
    """Return what may be read in another thread: the file's bytes of an image that Pillow has opened but not decoded.

    So the caller's image stays as it is, and its embedding is that of its file. Any other image is returned as it is,
    decoded. An image whose frame or reduced scale (``draft``) the caller has chosen is decoded as that.

    Raises:
        UnreadableSample: it is broken, or its file is closed.
    """
    try:
        if isinstance(image, ImageFile) and image.fp is not None and _is_untouched(image):
            return _FileOfImage(_whole_file(image.fp), image)
        image.load()
    except Exception as error:  # Pillow's decoders raise exceptions of many types on broken files
        raise UnreadableSample(_name(image), str(error) or type(error).__name__) from error
    return image


def from_pil(image: Image.Image, size: tuple[int, int] | None = None) -> UInt8Image:
    """Take a Pillow image, of any mode, as ``read_image`` takes a file: ``uint8 [H, W, 3]`` RGB, upright.

    Raises:
        UnreadableSample: it is broken, or its file is closed.
    """
    try:
        rgb = upright_rgb(image)
        fitted = rgb if size is None else rgb.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.array(fitted, dtype=np.uint8)
    except Exception as error:  # as above
        raise UnreadableSample(_name(image), str(error) or type(error).__name__) from error


def from_array(array: npt.NDArray[Any], size: tuple[int, int] | None = None) -> UInt8Image:
    """Take an array as ``read_image`` takes a file: ``uint8 [H, W, 3]`` RGB.

    Args:
        array: ``uint8``: RGB ``[H, W, 3]``, grey ``[H, W]`` or ``[H, W, 1]``, or RGBA ``[H, W, 4]``, which lies over
            white.
        size: height and width to resize to, as ``resize`` does; default: the array's own.

    Raises:
        UsageError: it is of another dtype or shape.
    """
    if array.dtype != np.uint8:
        raise UsageError(f"{_describe(array)} is not an image: uint8 0..255 is taken", hint=_dtype_hint(array.dtype))
    grey = array.ndim == _RANK - 1
    channels = array.shape[-1] if array.ndim == _RANK else _GREY
    if array.ndim not in {_RANK - 1, _RANK} or channels not in {_GREY, _RGB, _RGBA} or not array.size:
        hint = "RGB is [H, W, 3], grey [H, W] or [H, W, 1], RGBA [H, W, 4]"
        if array.ndim == _RANK and array.shape[0] in {_GREY, _RGB, _RGBA}:
            hint += "; channels come last: array.transpose(1, 2, 0)"
        raise UsageError(f"{_describe(array)} is not an image", hint=hint)
    if channels != _RGB:
        return from_pil(Image.fromarray(array if grey or channels == _RGBA else array[..., 0]), size)
    return np.array(array) if size is None else resize(array, size)


def read_object(item: Path | IO[bytes] | Image.Image | npt.NDArray[Any], size: tuple[int, int] | None) -> UInt8Image:
    """Take an image in any of these forms as ``uint8 [H, W, 3]`` RGB; ``size``: height and width to resize to.

    Raises:
        UsageError: there is no file at the path, or an array is of another dtype or shape.
        UnreadableSample: the image is broken.
    """
    if isinstance(item, Image.Image):
        return from_pil(item, size)
    return from_array(item, size) if isinstance(item, np.ndarray) else read_image(item, size, source=_name(item))


class _FileOfImage(BytesIO):
    """The bytes of the file that ``image`` was opened from, with its name for errors."""

    def __init__(self, data: bytes, image: Image.Image) -> None:
        super().__init__(data)
        self.filename = _name(image)


def _is_untouched(image: ImageFile) -> bool:
    return bool(image.tile) and not image.tell() and not image.decoderconfig


def _whole_file(file: IO[bytes]) -> bytes:
    position = file.tell()
    try:
        file.seek(0)
        return file.read()
    finally:
        # The file may be the caller's own.
        file.seek(position)


def _name(item: Path | IO[bytes] | Image.Image) -> str:
    return str(item) if isinstance(item, Path) else os.fsdecode(getattr(item, "filename", "") or "a Pillow image")


def _describe(array: npt.NDArray[Any]) -> str:
    return f"an array of {array.dtype} {list(array.shape)}"


def _dtype_hint(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return "of floats 0..1 make (array * 255).round().astype('uint8'); of 0..255, array.round().astype('uint8')"
    if dtype == np.uint16:
        return "of 16 bits make (array / 257).round().astype('uint8')"
    return "make it array.astype('uint8') with values 0..255"
