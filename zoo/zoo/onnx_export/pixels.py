"""The one image input of an exported graph: its layout, its dtype, and pictures in that form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from zoo_core.images import resize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo_core.contracts import Preprocessing, UInt8Image

BATCHES = (1, 3, 16)
# An input of any size is tried wide, tall and square; larger and smaller than models see.
_ANY_SIZES = ((480, 640), (131, 97), (224, 224))
_CHANNELS = 3
_SPATIAL_AXES = {"NCHW": (2, 3), "NHWC": (1, 2)}


@dataclass(frozen=True)
class PixelInput:
    """``shape`` as the recipe writes it, with the batch; ``axes`` names the dimensions that are left open."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "uint8"]
    axes: Mapping[int, str]

    @property
    def layout(self) -> str | None:
        """NCHW or NHWC, or None when the shape is not that of a batch of RGB images."""
        if len(self.shape) == 1 + _CHANNELS:
            for layout in _SPATIAL_AXES:
                if self.shape[layout.index("C")] == _CHANNELS:
                    return layout
        return None

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width, None where any will do."""
        height, width = (
            None if axis in self.axes else self.shape[axis] for axis in _SPATIAL_AXES[self.layout or "NCHW"]
        )
        return height, width

    @property
    def batch(self) -> int | None:
        """How many images the graph takes at once, None when it takes any number."""
        return None if 0 in self.axes else self.shape[0]

    def example_shape(self) -> tuple[int, ...]:
        """Return the shape to trace with: two images when the batch is open, as exporters take a 1 for a constant."""
        return (2 if self.batch is None else self.shape[0], *self.shape[1:])

    def array(self, images: Sequence[UInt8Image], size: tuple[int, int]) -> npt.NDArray[Any]:
        """Put ``uint8 [H, W, 3]`` images of any size into one array of this input, resized to ``size``."""
        pixels = np.stack([resize(image, size) for image in images])
        if self.layout == "NCHW":
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        return pixels if self.dtype == "uint8" else pixels.astype(np.float32) / np.float32(255)

    def batches(self, images: Sequence[UInt8Image]) -> list[npt.NDArray[Any]]:
        """Return batches of 1, 3 and 16 images, each of another size where any will do; of the fixed size otherwise."""
        counts = BATCHES if self.batch is None else (self.batch,)
        height, width = self.size
        sizes = [(height or any_height, width or any_width) for any_height, any_width in _ANY_SIZES]
        return [
            self.array([images[index % len(images)] for index in range(count)], size)
            for count, size in zip(counts, sizes, strict=False)
        ]

    def describe(self, preprocessing: Preprocessing) -> dict[str, Any]:
        """Say how to prepare an image; written into the graph as ``zoo.preprocess``."""
        height, width = self.size
        return {
            "layout": self.layout,
            "dtype": self.dtype,
            "size": None if height is None or width is None else [height, width],
            "color": "RGB",
            "range": [0, 255] if self.dtype == "uint8" else [0, 1],
            "resample": "bilinear",
            "antialias": True,
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.std),
            "normalization": "in graph",
        }


def patterns(count: int, seed: int = 0) -> list[UInt8Image]:
    """Draw ``count`` distinct pictures: smooth colours with sharp rectangles, ``uint8 [240, 320, 3]``."""
    generator = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        grid = generator.integers(256, size=(4, 5, 3), dtype=np.uint8)
        image = resize(grid, (240, 320))
        for _ in range(6):
            top, left = generator.integers(200), generator.integers(280)
            height, width = generator.integers(8, 120, 2)
            image[top : top + height, left : left + width] = generator.integers(256, size=3)
        images.append(image)
    return images
