"""Image files of every format, mode, size and orientation that zoo reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image, features

ORIENTATION = 0x0112
# The modes that each format can hold. `p` is a palette of which one colour is transparent.
MODES = {
    "png": ("1", "L", "LA", "P", "p", "RGB", "RGBA", "I;16"),
    "jpg": ("L", "RGB", "CMYK"),
    "webp": ("RGB", "RGBA"),
    "bmp": ("1", "L", "P", "RGB", "RGBA"),
    "tif": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"),
    "gif": ("1", "L", "P", "p"),
    "jp2": ("L", "LA", "RGB", "RGBA", "I;16"),
    "ppm": ("1", "L", "RGB", "I;16", "F"),
    "tga": ("L", "LA", "P", "RGB", "RGBA"),
    **({"avif": ("RGB", "RGBA")} if features.check("avif") else {}),
    **({"heic": ("RGB", "RGBA")} if find_spec("pillow_heif") else {}),
}
TURNED = ("png", "jpg", "webp", "tif", "avif", "heic")
# Encoders that take seconds for a megapixel, and those that fail on a few pixels.
SLOW, COARSE = ("avif", "heic", "jp2"), ("avif", "heic", "jp2")


@dataclass(frozen=True)
class Drawing:
    """An image file to write: its format by suffix, the mode, width and height, and how it is stored."""

    suffix: str
    mode: str
    size: tuple[int, int]
    orientation: int = 1
    seed: int = 0
    options: dict = field(default_factory=dict)

    def image(self):
        """Draw smooth colours with a hard edge, so that every turn shows."""
        generator = np.random.default_rng(self.seed)
        width, height = self.size
        coarse = Image.fromarray(generator.integers(0, 256, (5, 7, 4), dtype=np.uint8))
        picture = coarse.resize(self.size, Image.Resampling.BILINEAR)
        picture.paste((250, 10, 10, 255), (0, 0, max(1, width // 3), max(1, height // 4)))
        if self.mode in {"I;16", "I", "F"}:
            grey = np.asarray(picture.convert("L")).astype(np.float32)
            return Image.fromarray(
                {"I;16": (grey * 257).astype(np.uint16), "I": (grey * 200).astype(np.int32), "F": grey / 255}[self.mode]
            )
        if self.mode in {"P", "p"}:
            return picture.convert("RGB").quantize(int(generator.integers(2, 200)))
        return picture.convert("RGB").convert(self.mode) if self.mode != "RGBA" else picture

    def write(self, folder):
        """Write the file into ``folder`` and return its path."""
        path = folder / f"drawn.{self.suffix}"
        image = self.image()
        options = dict(self.options)
        if self.mode == "p":
            options["transparency"] = 0
        if self.suffix in TURNED:
            exif = Image.Exif()
            exif[ORIENTATION] = self.orientation
            options["exif"] = exif
        if self.suffix == "heic":
            import pillow_heif

            # As a phone does: the turn is in the file twice, and counts once.
            heif = pillow_heif.from_pillow(image)
            heif[0].info["exif"] = options.pop("exif").tobytes()
            heif.save(path, **options)
        else:
            image.save(path, **({"format": "PPM"} if self.suffix == "ppm" else {}), **options)
        return path


@st.composite
def _drawings(draw):
    suffix = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[suffix]))
    least, most = (16 if suffix in COARSE else 1), (200 if suffix in SLOW else 2000)
    small, any_side = st.integers(least, 80), st.integers(least, most)
    size = draw(st.one_of(st.tuples(small, small), st.tuples(any_side, any_side), st.tuples(any_side, st.just(least)),
                          st.tuples(st.just(least), any_side)))  # fmt: skip
    orientation = draw(st.integers(1, 8)) if suffix in TURNED else 1
    quality = st.integers(5, 100)
    options = {
        "jpg": st.fixed_dictionaries({"quality": quality, "progressive": st.booleans(),
                                      "subsampling": st.sampled_from([0, 1, 2])}),
        "webp": st.fixed_dictionaries({"quality": quality, "lossless": st.booleans()}),
        "avif": st.fixed_dictionaries({"quality": quality, "speed": st.just(10)}),
        "heic": st.fixed_dictionaries({"quality": quality}),
        "tif": st.fixed_dictionaries({"compression": st.sampled_from(["raw", "tiff_lzw", "tiff_deflate"])}),
        "tga": st.sampled_from([{}, {"compression": "tga_rle"}]),
        "png": st.fixed_dictionaries({"compress_level": st.integers(0, 3)}),
    }.get(suffix, st.just({}))  # fmt: skip
    if mode in {"CMYK", "L"}:
        options = options.map(lambda found: {key: value for key, value in found.items() if key != "subsampling"})
    return Drawing(suffix, mode, size, orientation, draw(st.integers(0, 9)), draw(options))


@pytest.fixture(scope="session")
def drawings():
    """Return the strategy of files to write."""
    return _drawings()


@pytest.fixture(scope="session")
def modes():
    """Return the modes of each format that can be written here, by suffix."""
    return MODES


@pytest.fixture(scope="session")
def drawing():
    """Return the class of files to write."""
    return Drawing
