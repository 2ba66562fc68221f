"""The images that a graph is proven on: of the validation data where it can be read, drawn where not, and odd ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image

from zoo.validation.dataset import plain_view
from zoo_core.errors import ZooError
from zoo_core.images import resize

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from zoo.assembly import RecipeBuilder
    from zoo_core.contracts import Sample, UInt8Image

COUNT = 48
_FEW = 16
# Of a larger image nothing more is learnt, and as a file it takes a second.
_LONGEST_SIDE = 1024
_LARGEST = (3000, 4000)
_MIDDLE_GREY = 127


@dataclass(frozen=True)
class Witnesses:
    """Distinct images ``uint8 [H, W, 3]`` of any size, what they are, and a warning if some are only drawn."""

    images: tuple[UInt8Image, ...]
    source: str
    warnings: tuple[str, ...] = ()

    def batch(self, count: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Return ``uint8 [count, *size, 3]``, all distinct: the images, then their negatives, mirrored, and so on."""
        fitted = [resize(image, size) for image in self.images[:count]]
        changes = [(negative, step) for step in ((1, 1), (1, -1), (-1, 1), (-1, -1)) for negative in (False, True)]
        rows = [
            (255 - image if negative else image)[:: step[0], :: step[1]]
            for negative, step in changes
            for image in fitted
        ]
        if count > len(rows):
            rows += [resize(image, size) for image in patterns(count - len(rows), seed=1)]
        return np.ascontiguousarray(np.stack(rows[:count]))

    def sized(self, size: tuple[int, int], number: int) -> UInt8Image:
        """Return an image of ``size`` with fine detail, so that another resize shows: ``uint8 [*size, 3]``."""
        image = resize(self.images[number % len(self.images)], size)
        detail = np.random.default_rng(number).integers(0, 2, (*size, 1), dtype=np.uint8) * 96
        return np.where(image > _MIDDLE_GREY, image - detail, image + detail).astype(np.uint8)


def find_witnesses(builder: RecipeBuilder, count: int = COUNT) -> Witnesses:
    """Return at most ``count`` distinct images: of the validation data, and drawn patterns where these are few."""
    try:
        dataset = builder.dataset("valid")
        indices = np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int))
        views = [_view(dataset[int(index)]) for index in indices]
    except ZooError as error:
        reason = f"the validation data cannot be read, so the graph is compared on drawn patterns: {error}"
        return Witnesses(tuple(patterns(count)), "patterns", (reason.replace("\n", "; "),))
    images = list({(view.shape, view.tobytes()): view for view in views}.values())
    if len(images) >= _FEW:
        return Witnesses(tuple(images), "validation data")
    # Equal images would hide a mix-up between the rows of a batch.
    reason = f"the validation data gave {len(images)} distinct images, so the graph is compared on drawn patterns, too"
    return Witnesses((*images, *patterns(count - len(images))), "validation data and patterns", (reason,))


def _view(sample: Sample) -> UInt8Image:
    """Show what the sample shows of its image, which it may share with others, at most 1024 pixels long."""
    height, width = sample.image.shape[:2]
    shrink = min(1.0, _LONGEST_SIDE / max(height, width))
    return plain_view(sample, (max(1, round(height * shrink)), max(1, round(width * shrink))))


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


def write_png(image: UInt8Image, path: Path) -> Path:
    """Write an image without loss."""
    Image.fromarray(image).save(path, compress_level=0)
    return path


def write_odd_files(folder: Path) -> list[Path]:
    """Write images as they are rarely met: tiny, large, tall, wide, grey, of extreme colours, turned by their tag."""
    whole, other = patterns(2, seed=2)
    grey = Image.fromarray(whole).convert("L")
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    odd = {
        "tiny.png": Image.fromarray(resize(whole, (2, 3))),
        "wide.png": Image.fromarray(resize(whole, (24, 1200))),
        "tall.png": Image.fromarray(resize(other, (1200, 24))),
        "grey.png": grey,
        "grey16.png": Image.fromarray(np.asarray(grey).astype(np.uint16) * 257),
        "alpha.png": Image.fromarray(np.dstack([whole, whole[..., 0]])),
        "extreme.png": Image.fromarray(np.where(other > _MIDDLE_GREY, 255, 0).astype(np.uint8)),
        "dark.png": Image.fromarray(other // 16),
        "light.png": Image.fromarray(255 - other // 16),
        "large.png": Image.fromarray(resize(other, _LARGEST)),
    }
    for name, image in odd.items():
        image.save(folder / name, compress_level=0)
    Image.fromarray(other).save(folder / "turned.jpg", exif=turned)
    return [*(folder / name for name in odd), folder / "turned.jpg"]
