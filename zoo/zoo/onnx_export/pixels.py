"""The one image input of an exported graph: its layout, its dtype, and images in that form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from zoo_core.images import resize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.onnx_export.witnesses import Witnesses
    from zoo_core.contracts import Preprocessing, UInt8Image

# Sizes at which a graph that takes any is compared with its module; wide and tall, larger and smaller than models see.
_ANY_SIZES = ((480, 640), (131, 97))
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

    def arrays(self, witnesses: Witnesses, counts: Sequence[int], size: tuple[int, int]) -> list[npt.NDArray[Any]]:
        """Return batches of so many images at the model's ``size``; where any will do, an image of others, too."""
        height, width = self.size
        fixed = (height or size[0], width or size[1])
        batches = [self.array(list(witnesses.batch(count, fixed)), fixed) for count in counts]
        if self.batch is None:
            others = {(height or any_height, width or any_width) for any_height, any_width in _ANY_SIZES} - {fixed}
            batches += [self.array(list(witnesses.batch(1, other)), other) for other in sorted(others)]
        return batches

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
