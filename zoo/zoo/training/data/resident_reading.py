"""Read every sample once, by the loader's processes, and keep its pixels on the device."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.training.data.resident import ResidentDescriptions, ResidentImages
from zoo.workers import start_worker
from zoo_core.capabilities import BlockedDataset
from zoo_core.errors import RunError, UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from zoo.training.data.items import TrainingItems
    from zoo.training.data.mixed_dataset import MixedDataset
    from zoo_core.capabilities import ResidentAugmentation

# Samples that a process reads at once, and of a data set with blocks at most: whole blocks are cheap to read.
_CHUNK, _LARGEST_CHUNK = 64, 512
# Stretches of samples from which the memory of all is estimated, and how many standard errors are added.
_STRETCHES, _STRETCH, _SAFETY = 32, 32, 4
_TOO_LARGE = "set data.resident=false, or lower the data sets' max_side"


@dataclass(frozen=True, eq=False)
class _Chunk:
    """The samples at ``indices [n]``, of which some may show the same image.

    ``pixels uint8 [P, 3]`` are those of the different images, one after the other, whose ``digests`` come in that order
    with the number of their pixels; ``image [n]`` says which is whose.
    """

    pixels: Tensor
    digests: dict[bytes, int]
    image: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.float64]
    unreadable: dict[int, UnreadableSample]


class _Chunks(Dataset[_Chunk]):
    """The samples of ``dataset`` by their indices, several at once."""

    def __init__(self, dataset: MixedDataset, augmentation: ResidentAugmentation) -> None:
        self.dataset = dataset
        self.augmentation = augmentation

    def __getitem__(self, indices: Sequence[int]) -> _Chunk:
        images, numbers, labels, read, sizes, which = [], [], [], [], [], []
        digests: dict[bytes, int] = {}
        unreadable: dict[int, UnreadableSample] = {}
        for index in indices:
            try:
                sample = self.dataset[index]
            except UnreadableSample as error:
                unreadable[index] = error
                continue
            image, described = self.augmentation.resident_image(sample)
            # Views of one image are samples of their own: it is kept once.
            digest = sha256(repr(image.shape).encode() + image.tobytes()).digest()
            if digest not in digests:
                digests[digest] = image.shape[0] * image.shape[1]
                images.append(image.reshape(-1, 3))
            which.append([*digests].index(digest))
            sizes.append(image.shape[:2])
            numbers.append(described)
            labels.append(sample.label)
            read.append(index)
        return _Chunk(
            pixels=torch.from_numpy(np.concatenate(images) if images else np.zeros((0, 3), np.uint8)),
            digests=digests,
            image=np.array(which, np.int64),
            sizes=np.array(sizes, np.int64).reshape(-1, 2),
            indices=np.array(read, np.int64),
            labels=np.array(labels, np.int64),
            numbers=np.array(numbers, np.float64),
            unreadable=unreadable,
        )


def estimate_bytes(items: TrainingItems, augmentation: ResidentAugmentation, *, workers: int) -> int:
    """Return the memory that all pixels will take, from stretches of samples all over the data; a little too much."""
    length = len(items)
    if length <= 2 * _STRETCHES * _STRETCH:
        counts: dict[bytes, int] = {}
        for chunk in _loader(items, augmentation, list(_in_order(items.dataset)), workers=workers):
            counts |= chunk.digests
        return 3 * sum(counts.values())
    firsts = np.linspace(0, length - _STRETCH - 1, _STRETCHES, dtype=np.int64).tolist()
    stretches = _loader(items, augmentation, [range(first, first + _STRETCH + 1) for first in firsts], workers=workers)
    # The first image of a stretch may be that of the sample before it.
    each = np.array([3 * sum([*chunk.digests.values()][1:]) / _STRETCH for chunk in stretches])
    return int(length * (each.mean() + _SAFETY * each.std() / _STRETCHES**0.5))


def read_resident(
    items: TrainingItems,
    augmentation: ResidentAugmentation,
    *,
    expected: int,
    limit: int | None,
    device: torch.device,
    workers: int,
    show: bool,
) -> tuple[ResidentDescriptions, ResidentImages]:
    """Read all samples of ``items``: pixels onto ``device``, where ``expected`` bytes are reserved.

    Raises:
        RunError: too many samples are unreadable, or the pixels take more than ``limit`` bytes.
    """
    dataset, length = items.dataset, len(items)
    pixels = _Pixels(-(-expected // 3), limit, device)
    sizes, starts, labels = np.zeros((length, 2), np.int64), np.zeros(length, np.int64), np.zeros(length, np.int64)
    numbers = np.zeros((length, 0))
    unreadable: dict[int, UnreadableSample] = {}
    for chunk in _shown(_loader(items, augmentation, list(_in_order(dataset)), workers=workers), length, show=show):
        for index, error in chunk.unreadable.items():
            dataset.record(index, error, items.unreadable)
        unreadable.update(chunk.unreadable)
        if not len(chunk.indices):
            continue
        if not numbers.shape[1]:
            numbers = np.zeros((length, chunk.numbers.shape[1]))
        starts[chunk.indices] = pixels.add(chunk)[chunk.image]
        sizes[chunk.indices], labels[chunk.indices] = chunk.sizes, chunk.labels
        numbers[chunk.indices] = chunk.numbers
    images = ResidentImages(pixels.all(), torch.from_numpy(starts), torch.from_numpy(sizes))
    return ResidentDescriptions(numbers, labels, sizes.max(axis=1).astype(np.int32), unreadable), images


class _Pixels:
    """A tensor ``uint8 [P, 3]`` that grows; it is reserved at once, because growing needs it twice for a moment."""

    def __init__(self, expected: int, limit: int | None, device: torch.device) -> None:
        self._limit = limit
        self._held = _reserved(expected, device)
        self._end = 0
        self._starts: dict[bytes, int] = {}

    def add(self, chunk: _Chunk) -> npt.NDArray[np.int64]:
        """Add those images of a chunk that are new, and return where each of its images starts."""
        new, offset, end = [], 0, self._end
        for digest, count in chunk.digests.items():
            if digest not in self._starts:
                self._starts[digest] = end
                new.append(chunk.pixels[offset : offset + count])
                end += count
            offset += count
        if new:
            self._append(chunk.pixels if len(new) == len(chunk.digests) else torch.cat(new))
        return np.array([self._starts[digest] for digest in chunk.digests], np.int64)

    def _append(self, pixels: Tensor) -> None:
        first, self._end = self._end, self._end + len(pixels)
        if self._limit is not None and 3 * self._end > self._limit:
            msg = f"the samples take more than the {self._limit / 1e9:.3g} GB that are left for them on the device"
            raise RunError(msg, hint=_TOO_LARGE)
        if self._end > len(self._held):
            grown = _reserved(self._end * 9 // 8, self._held.device)
            grown[:first] = self._held[:first]
            self._held = grown
        self._held[first : self._end] = pixels.to(self._held.device)

    def all(self) -> Tensor:
        """Return what has been added."""
        return self._held[: self._end]


def _reserved(rows: int, device: torch.device) -> Tensor:
    try:
        return torch.empty(rows, 3, dtype=torch.uint8, device=device)
    except torch.OutOfMemoryError as error:
        raise RunError(f"the device has no {3 * rows / 1e9:.3g} GB for the samples", hint=_TOO_LARGE) from error


def _loader(
    items: TrainingItems, augmentation: ResidentAugmentation, chunks: Sequence[Sequence[int]], *, workers: int
) -> DataLoader[_Chunk]:
    return DataLoader(
        _Chunks(items.dataset, augmentation),
        batch_size=None,
        sampler=chunks,  # each stands for a batch
        num_workers=workers,
        collate_fn=_unchanged,  # type: ignore[arg-type] # without a batch size it gets one item
        worker_init_fn=start_worker,
    )


def _unchanged(chunk: _Chunk) -> _Chunk:
    return chunk


def _in_order(dataset: MixedDataset) -> Iterator[range]:
    """Cut all indices into chunks, those of a data set with blocks at the ends of blocks."""
    first = 0
    for source in dataset.datasets:
        block = source.blocks[0] if isinstance(source, BlockedDataset) and source.blocks else 1
        size = min(_LARGEST_CHUNK, block * max(1, _CHUNK // block))
        end = first + len(source)
        yield from (range(start, min(end, start + size)) for start in range(first, end, size))
        first = end


def _shown(chunks: DataLoader[_Chunk], length: int, *, show: bool) -> Iterable[_Chunk]:
    console = Console(stderr=True)
    if show and not console.is_terminal:
        console.print(f"{length:,} samples are read onto the device, once")
    return track(chunks, "samples are read", console=console, disable=not (show and console.is_terminal))
