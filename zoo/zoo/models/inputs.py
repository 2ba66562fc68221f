"""What a model embeds: paths, Pillow images, arrays, and iterables of these."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from zoo_core.errors import UsageError
from zoo_core.image_objects import detach

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

ImageInput: TypeAlias = "str | os.PathLike[str] | Image.Image | npt.NDArray[np.uint8]"
Readable: TypeAlias = "Path | IO[bytes] | Image.Image | npt.NDArray[Any]"
_IMAGE_RANK = 3
_TAKEN = "a path, a Pillow image or a uint8 array"


def is_one(inputs: object) -> bool:
    """Return whether ``inputs`` is an image by itself; else it is an iterable of images.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(inputs, (str, os.PathLike, Image.Image)):
        return True
    if isinstance(inputs, (bytes, bytearray, memoryview)):
        raise UsageError("bytes are not an image", hint="of a file's bytes make PIL.Image.open(io.BytesIO(data))")
    if hasattr(inputs, "read"):  # its lines would be the images
        raise UsageError("an open file is not an image", hint="make PIL.Image.open(file) of it")
    if hasattr(inputs, "__array__"):
        return np.ndim(_array(inputs)) <= _IMAGE_RANK
    if not isinstance(inputs, Iterable):
        raise UsageError(f"{type(inputs).__name__} is not an image", hint=f"give {_TAKEN}, or an iterable of these")
    return False


def images_of(inputs: Any) -> Iterator[ImageInput]:  # noqa: ANN401 - what `is_one` has let pass
    """Yield the images of an iterable.

    Raises:
        UsageError: one is None, which is no image to a caller, though a pause to ``embed_each``.
    """
    for number, item in enumerate(inputs):
        if item is None:
            raise UsageError(f"inputs[{number}]: None is not an image", hint=f"give {_TAKEN}")
        yield item


def readable(item: object) -> Readable:
    """Return ``item`` in a form that another thread may read.

    Raises:
        UsageError: it is no image.
        UnreadableSample: it is a broken Pillow image.
    """
    if isinstance(item, (str, os.PathLike)):
        return Path(item)
    if isinstance(item, Image.Image):
        return detach(item)
    if hasattr(item, "__array__"):
        return _array(item)
    raise UsageError(f"{type(item).__name__} is not an image", hint=f"give {_TAKEN}")


def _array(item: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - of any library
    try:
        return np.asarray(item)
    except Exception as error:  # such as of a tensor on a GPU
        raise UsageError(f"{type(item).__name__} cannot be taken as an array: {error}") from error
