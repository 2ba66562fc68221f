"""Image files to the pixels a model sees: the one decoder and the one resize of validation and prediction."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from zoo_core.errors import RunError, UsageError
from zoo_core.image_files import IMAGE_FORMATS

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from zoo_core.contracts import UInt8Image

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: Path) -> UInt8Image:
    """Read the picture at ``path`` as ``uint8 [H, W, 3]`` RGB, upright as its EXIF tag says.

    Any mode is read as it looks: 16-bit greys are scaled, transparent pixels lie over white, of several frames the
    first counts.

    Raises:
        UsageError: there is no file at ``path``.
        RunError: the file is no image, is broken, or would fill the memory.
    """
    if not path.is_file():
        msg = f"{path}: {'a folder, not an image file' if path.is_dir() else 'no such file'}"
        raise UsageError(msg)
    try:
        # Pillow warns from 89 megapixels on and refuses from 179 on; phones take pictures between the two.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                orientation = _orientation(image)
                upright = _to_rgb(image)
    except UnidentifiedImageError:
        what = "is not an image of a known format" if path.stat().st_size else "is empty (zero bytes)"
        msg = f"{path}: {what}"
        raise RunError(msg) from None
    except Image.DecompressionBombError as error:
        msg = f"{path}: too many pixels: {error}"
        raise RunError(msg) from error
    except Exception as error:  # decoders raise anything at all on a broken file
        reason = " ".join(str(error).split()) or type(error).__name__
        msg = f"{path}: cannot be read as an image: {reason}"
        raise RunError(msg) from error
    if orientation in _UPRIGHT:
        upright = upright.transpose(_UPRIGHT[orientation])
    return np.array(upright, dtype=np.uint8)


def fit(image: UInt8Image, size: tuple[int, int]) -> UInt8Image:
    """Resize ``uint8 [H, W, 3]`` to ``size`` (height, width): bilinear, antialiased, without keeping the aspect ratio.

    It is Pillow's own filter on 8-bit pixels, so that anybody can repeat it:
    ``PIL.Image.resize((width, height), Resampling.BILINEAR)``.
    """
    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - a damaged tag raises anything, and the picture is still good
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    image.load()
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        picture = image.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(grey: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scale greys to 0..255: integers from 0..65535, floats from 0..1, or from 0..255 if any lies above 1."""
    if np.issubdtype(grey.dtype, np.integer):
        scaled = grey / 257.0
    else:
        finite = np.nan_to_num(grey.astype(np.float64), nan=0.0, posinf=255.0, neginf=0.0)
        scaled = finite * (255.0 if finite.max(initial=0.0) <= 1.0 else 1.0)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
