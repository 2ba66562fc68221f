"""Samples that stay on the device: all pixels in one tensor there, all else with the loader's processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from zoo.training.data.batch import TrainingItem
from zoo.training.data.items import generator_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from zoo.training.data.items import TrainingItems
    from zoo_core.capabilities import ResidentAugmentation
    from zoo_core.errors import UnreadableSample

    Floats = npt.NDArray[np.float64]

# Pixels gathered at once: their indices take eight bytes each.
_AT_ONCE = 2**26


@dataclass(frozen=True, eq=False)
class ResidentDescriptions:
    """What the loader's processes know of the samples, by index: ``numbers float64 [M, K]``, ``labels int64 [M]``.

    ``sides int32 [M]`` are the longest ones of the images that are kept. Arrays, because a forked process would copy
    the pages of whatever Python counts references in.
    """

    numbers: Floats
    labels: npt.NDArray[np.int64]
    sides: npt.NDArray[np.int32]
    unreadable: Mapping[int, UnreadableSample]

    def read(self, index: int) -> tuple[Floats, int]:
        """Return the numbers that describe a sample, and its label.

        Raises:
            UnreadableSample: it could not be read.
        """
        if index in self.unreadable:
            raise self.unreadable[index]
        return self.numbers[index], int(self.labels[index])


class ResidentItems(Dataset[list[TrainingItem]]):
    """``items``, of which each view is a sample's index and what ``prepare_resident`` draws: no pixels."""

    def __init__(
        self, items: TrainingItems, descriptions: ResidentDescriptions, augmentation: ResidentAugmentation
    ) -> None:
        self.items = items
        self.descriptions = descriptions
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: tuple[int, int]) -> list[TrainingItem]:
        items, (passed, wanted) = self.items, key
        # As TrainingItems reads, so that both show the same views of the same samples.
        index, (numbers, label) = items.dataset.read_with(self.descriptions.read, passed, wanted, items.unreadable)
        generator = generator_of(items.seed, passed, index)
        prepare = self.augmentation.prepare_resident
        return [
            TrainingItem((np.int64(index), *prepare(numbers, generator)), label, wanted) for _ in range(items.captures)
        ]


class ResidentImages:
    """All images as ``pixels uint8 [P, 3]``, one after the other, on the device; no module, so that nothing copies it.

    Args:
        pixels: rows of all images, without gaps.
        starts: first pixel of each sample's image, ``int64 [M]``; several samples may show the same one.
        sizes: heights and widths, ``int64 [M, 2]``; zeros for what could not be read.
    """

    def __init__(self, pixels: Tensor, starts: Tensor, sizes: Tensor) -> None:
        self._pixels = pixels
        self._sizes = sizes.to(pixels.device)
        self._starts = starts.to(pixels.device)
        self.side = int(sizes.max())

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def device(self) -> torch.device:
        """Where the pixels are."""
        return self._pixels.device

    @property
    def bytes(self) -> int:
        """The memory that they take."""
        return self._pixels.numel()

    def gather(self, indices: Tensor, side: int | None = None) -> Tensor:
        """Return images ``[N]`` in the upper left corners of ``uint8 [N, S, S, 3]`` of zeros.

        S is ``side``, that of the largest of these images, or else that of the largest of all.
        """
        # Of two pixels at least: executors divide by the distance from the first one to the last.
        side = max(2, side or self.side)
        images = torch.empty(len(indices), side, side, 3, dtype=torch.uint8, device=self.device)
        steps, at_once = torch.arange(side, device=self.device), max(1, _AT_ONCE // side**2)
        for first in range(0, len(indices), at_once):
            chunk = indices[first : first + at_once]
            height, width = self._sizes[chunk].T[:, :, None, None]
            row, column = steps[None, :, None], steps[None, None, :]
            inside = (row < height) & (column < width)
            positions = torch.where(inside, self._starts[chunk][:, None, None] + row * width + column, 0)
            images[first : first + at_once] = self._pixels[positions] * inside[..., None]
        return images


class ResidentExecutor(nn.Module):
    """An augmentation's executor, given the images from the device once it holds them, and as they come before.

    The pixels are no buffer: DDP would send them at every step, and a checkpoint would hold them.
    """

    def __init__(self, executor: nn.Module) -> None:
        super().__init__()
        self.executor = executor
        self._images: ResidentImages | None = None

    @property
    def images(self) -> ResidentImages | None:
        """What it holds."""
        return self._images

    def hold(self, images: ResidentImages) -> None:
        """Take the images of which batches will name the indices."""
        self._images = images

    def forward(self, first: Tensor, *prepared: Tensor, side: int | None = None, **options: Any) -> Any:  # noqa: ANN401 - the executor's
        """Augment a batch: ``first`` are the indices of images held, up to ``side`` long, or else the images."""
        images = first if self._images is None else self._images.gather(first, side)
        return self.executor(images, *prepared, **options)
