"""Read each sample of a stream of shards once, by any number of readers, in an order that seed and epoch determine."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from zoo_core.api import Sample, UnreadableSample
from zoo_images.datasets.class_names import MAX_INDEX_DIGITS
from zoo_images.datasets.decoding import read_reduced
from zoo_images.datasets.shard_slices import divide_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from zoo_images.datasets.shard_slices import ShardSlice

Item = TypeVar("Item")

# Last words of the seeds of the two random generators: the order of shards, and the shuffle buffer.
_ORDER, _BUFFER = range(2)
# The index of a sample is the number of its shard, and in these lowest bits its position in the shard.
_POSITION_BITS = 40
_MAX_LABEL_SHOWN = 80


class EncodedSample(NamedTuple):
    """A sample before decoding: where it is, the bytes of its image file, and the name or index of its class."""

    source: str
    image: bytes
    label: str


class ShardReader:
    """What streaming datasets share: distribution over readers, shuffling, decoding and class names.

    Args:
        open_shard: opens a shard by number; yields its samples, or for an unreadable one the error.
        shards: number of shards.
        classes: class names, by label.
        max_side: longest side of a decoded image, in pixels; larger images are reduced.
        shuffle_buffer: size of the buffer of encoded samples that the next sample is drawn from.
    """

    def __init__(
        self,
        open_shard: Callable[[int], Iterator[EncodedSample | UnreadableSample]],
        shards: int,
        classes: Sequence[str],
        *,
        max_side: int,
        shuffle_buffer: int,
    ) -> None:
        self._open_shard = open_shard
        self._shards = shards
        self._label_by_name = {name: label for label, name in enumerate(classes)}
        self._max_side = max_side
        self._shuffle_buffer = shuffle_buffer

    def stream(
        self, *, rank: int, world_size: int, worker: int, workers: int, epoch: int, seed: int
    ) -> Iterator[tuple[int, Sample | UnreadableSample]]:
        """Read one pass as one of ``world_size * workers`` readers; see ``StreamingDataset``."""
        reader = rank * workers + worker
        return self.stream_slices(reader, reader + 1, world_size * workers, epoch=epoch, seed=seed)

    def stream_slices(
        self, first: int, last: int, slices: int, *, epoch: int, seed: int
    ) -> Iterator[tuple[int, Sample | UnreadableSample]]:
        """Read slices ``first`` to ``last - 1`` of one pass; see ``SliceableStream``."""
        shard_slices = divide_shards(self._shards, first, last, slices, key=(seed, epoch, _ORDER))
        encoded = (item for shard_slice in shard_slices for item in self._read(shard_slice))
        generator = np.random.default_rng((seed, epoch, _BUFFER, first, slices))
        for index, item in shuffled(encoded, self._shuffle_buffer, generator, bypass=_is_unreadable):
            yield index, item if isinstance(item, UnreadableSample) else self._decode(item)

    def _read(self, shard_slice: ShardSlice) -> Iterator[tuple[int, EncodedSample | UnreadableSample]]:
        samples = (
            (shard << _POSITION_BITS | position, item)
            for shard in shard_slice.shards
            for position, item in enumerate(self._open_shard(shard))
        )
        return (sample for index, sample in enumerate(samples) if shard_slice.contains(index))

    def _decode(self, item: EncodedSample) -> Sample | UnreadableSample:
        label = self._label_by_name.get(item.label)
        if label is None and item.label.isdecimal() and len(item.label) <= MAX_INDEX_DIGITS:
            label = int(item.label) if int(item.label) < len(self._label_by_name) else None
        if label is None:
            name = f"{item.label[:_MAX_LABEL_SHOWN]!r}"
            return UnreadableSample(item.source, f"{name} is none of the {len(self._label_by_name)} classes")
        try:
            return Sample(read_reduced(BytesIO(item.image), self._max_side, item.source), label)
        except UnreadableSample as error:
            return error


def shuffled(
    items: Iterable[Item],
    size: int,
    generator: np.random.Generator,
    *,
    bypass: Callable[[Item], bool] = lambda _: False,
) -> Iterator[Item]:
    """Yield all ``items``, each from a random position of a buffer of ``size``; those that ``bypass`` it at once."""
    buffer: list[Item] = []
    for item in items:
        if bypass(item):
            yield item
        elif len(buffer) < size:
            buffer.append(item)
        else:
            position = int(generator.integers(size))
            yield buffer[position]
            buffer[position] = item
    generator.shuffle(buffer)
    yield from buffer


def _is_unreadable(sample: tuple[int, EncodedSample | UnreadableSample]) -> bool:
    # Reported before it would leave the buffer, so that training stops early if much of the data is lost.
    return isinstance(sample[1], UnreadableSample)


def truncated_shard(source: str, count: int, error: Exception, *, length: int | None, shards: int) -> UnreadableSample:
    """Return the error for a shard that ends after ``count`` samples.

    It counts for the samples that are missing from a shard of mean length, or if the ``length`` of the dataset is
    unknown, for the share of one of ``shards``.
    """
    reason = f"the shard breaks off after {count} samples: {first_line(error)}"
    if length is None:
        return UnreadableSample(source, reason, share=1 / shards)
    return UnreadableSample(source, reason, samples=max(1, length // shards - count))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class name if there is no message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
