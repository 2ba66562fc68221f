"""Training data: which sample comes when, on every rank and after every resume the same."""

from __future__ import annotations

import signal
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler

from zoo.skipping import Skipped
from zoo.training.shuffling import shuffled, shuffled_in_windows
from zoo.training.streaming import Streamed
from zoo_core.contracts import StreamingDataset
from zoo_core.errors import RunError, UnreadableSample
from zoo_core.seeding import seeded_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zoo.training.shuffling import Integers
    from zoo_core.contracts import Dataset as ZooDataset
    from zoo_core.contracts import Sample

# (seed, stream): validation captures use stream 1, permutations 2, training augmentation 3, replacements 4.
PERMUTATION_STREAM = 2
TRAINING_STREAM = 3
REPLACEMENT_STREAM = 4
_ATTEMPTS = 100
_BLOCK = 256  # samples within which every data set has its share
_CHUNK = 1024  # samples whose order is made at once


class TrainingItems(Dataset[list[tuple[Any, int]]]):
    """Augmented samples by ``(pass over the data, index)``: ``captures`` times ``(uint8 [H, W, 3], label)``.

    ``augmentation`` may be what a ``DeviceAugmentation`` prepares: its arrays then stand in the image's place.
    """

    def __init__(
        self,
        dataset: MixedDataset,
        augmentation: Callable[[Sample, np.random.Generator], Any],
        seed: int,
        captures: int = 1,
    ) -> None:
        self.dataset = dataset
        self.augmentation = augmentation
        self.seed = seed
        self.captures = captures
        self.skipped = Skipped()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> list[tuple[Any, int]]:
        passed, index = key
        index, sample = self.dataset.read(passed, index, self.skipped)
        generator = generator_of(self.seed, passed, index)
        return [(self.augmentation(sample, generator), sample.label) for _ in range(self.captures)]


def generator_of(seed: int, passed: int, index: int) -> np.random.Generator:
    """Return the generator of one sample's augmentation: always the same, and another for each pass and index."""
    return seeded_generator(b"%d %d %d %d" % (seed, TRAINING_STREAM, passed, index))


class MixedDataset:
    """Several data sets as one: their samples and their classes, one after the other.

    Streams among them have no samples by number: any number is their next one.
    """

    def __init__(self, datasets: Sequence[ZooDataset | StreamingDataset], seed: int = 0) -> None:
        self.datasets: list[ZooDataset | Streamed] = [
            Streamed(dataset, seed) if isinstance(dataset, StreamingDataset) else dataset for dataset in datasets
        ]
        self.seed = seed
        self.classes: Sequence[str] = MixedClasses([dataset.classes for dataset in datasets])
        self._ends = list(accumulate(len(dataset) for dataset in self.datasets))
        self._labels = [0, *accumulate(len(dataset.classes) for dataset in datasets)]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        part, position = self._locate(index)
        dataset = self.datasets[part]
        if isinstance(dataset, Streamed):
            raise TypeError("a stream has no samples by number")
        return self._labelled(part, dataset[position])

    def read(self, passed: int, index: int, skipped: Skipped) -> tuple[int, Sample]:
        """Return a sample, and its index within its data set's part of the indices.

        In place of one that cannot be read comes another of the same data set, which the pass and the index choose.

        Raises:
            RunError: too much cannot be read.
        """
        part, position = self._locate(index)
        dataset, name = self.datasets[part], "train" if part == 0 else f"train_also[{part - 1}]"
        first = index - position
        if isinstance(dataset, Streamed):
            position, sample = dataset.next(passed, lambda error, length: skipped.note(name, error, length))
            return first + position, self._labelled(part, sample)
        for attempt in range(_ATTEMPTS):
            try:
                return first + position, self._labelled(part, dataset[position])
            except UnreadableSample as error:
                skipped.note(name, error, len(dataset))
                chance = np.random.default_rng([self.seed, REPLACEMENT_STREAM, passed, index, attempt])
                position = int(chance.integers(len(dataset)))
        msg = f"data.{name}: {_ATTEMPTS} samples one after the other cannot be read"
        raise RunError(msg, hint="lower data.unreadable_share to see which")

    def _locate(self, index: int) -> tuple[int, int]:
        index = range(len(self))[index]
        part = bisect_right(self._ends, index)
        return part, index - self._ends[part] + len(self.datasets[part])

    def _labelled(self, part: int, sample: Sample) -> Sample:
        return replace(sample, label=sample.label + self._labels[part]) if part else sample


class MixedClasses(Sequence[str]):
    """The names of the classes of several data sets, one after the other."""

    def __init__(self, parts: Sequence[Sequence[str]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[label] for label in range(len(self))[index]]
        index = range(len(self))[index]
        part = bisect_right(self._ends, index)
        return self._parts[part][index - self._ends[part]]


class StreamSampler(DistributedSampler[tuple[int, int]]):
    """Cuts one endless stream of shuffled passes over the data into epochs of a chosen length.

    Every pass over a data set shows each of its samples once, in an order that depends on the seed and the pass alone.
    Of several, with ``lengths`` samples each, every 256 samples hold as many of each as its share says. Ranks take
    turns. Yields ``(pass, index)``, with indices into all data sets one after the other. As a ``DistributedSampler``
    it is left as it is by Lightning, and told the epoch. Of a source that is ``streamed``, the pass is the epoch. Of
    one with ``blocks``, ``(samples per block, blocks at a time)``, the order is that of ``shuffled_in_windows``.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        shares: Sequence[float] = (1.0,),
        streamed: Sequence[bool] = (),
        blocks: Sequence[tuple[int, int] | None] = (),
        samples_per_epoch: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(range(1), num_replicas=world_size, rank=rank, seed=seed)  # type: ignore[arg-type] # unused
        self._lengths = np.array(lengths)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._streamed = streamed or [False] * len(lengths)
        self._blocks = blocks or [None] * len(lengths)
        self._turns = _turns(shares)
        self._each = np.bincount(self._turns, minlength=len(lengths))
        # How often a source had its turn before, within a block.
        self._earlier = np.array([np.sum(self._turns[:place] == turn) for place, turn in enumerate(self._turns)])
        # Every rank must see the same number of samples, or collectives would wait for ever.
        self.num_samples = max(1, samples_per_epoch // world_size)
        self.skip = 0

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[tuple[int, int]]:
        per_epoch = self.num_samples * self.num_replicas
        start = self.epoch * per_epoch + self.skip * self.num_replicas + self.rank
        end = (self.epoch + 1) * per_epoch
        self.skip = 0
        for first in range(start, end, _CHUNK * self.num_replicas):
            positions = np.arange(first, min(end, first + _CHUNK * self.num_replicas), self.num_replicas)
            passes, indices = self._at(positions)
            yield from zip(passes.tolist(), indices.tolist(), strict=True)

    def _at(self, positions: Integers) -> tuple[Integers, Integers]:
        """Which pass over its source, and which sample, comes at each position of the stream."""
        block, place = np.divmod(positions, len(self._turns))
        source = self._turns[place]
        passes, offsets = np.divmod(block * self._each[source] + self._earlier[place], self._lengths[source])
        indices = np.empty_like(positions)
        for one, passed in np.unique(np.stack([source, passes]), axis=1).T.tolist():
            here = (source == one) & (passes == passed)
            if self._streamed[one]:
                passes[here], indices[here] = self.epoch, self._starts[one]
                continue
            key = (self.seed, PERMUTATION_STREAM, one, passed)
            length, blocks = int(self._lengths[one]), self._blocks[one]
            if blocks:
                order = shuffled_in_windows(offsets[here], length, key, block=blocks[0], window=blocks[1])
            else:
                order = shuffled(offsets[here], length, key)
            indices[here] = self._starts[one] + order
        return passes, indices


def _turns(shares: Sequence[float]) -> Integers:
    """Whose turn it is at each place of a block: each data set as evenly spread as it can be."""
    if len(shares) == 1:
        return np.zeros(1, dtype=np.int64)
    whole = np.array(shares) / sum(shares) * _BLOCK
    counts = np.maximum(1, np.floor(whole)).astype(np.int64)
    counts[np.argsort(counts - whole)[: max(0, _BLOCK - int(counts.sum()))]] += 1
    due = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    turns: Integers = np.repeat(np.arange(len(shares)), counts)[np.argsort(due, kind="stable")]
    return turns


def start_worker(_worker: int) -> None:
    """Prepare a loader's worker process: the main process decides about Ctrl-C, and cores are shared."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(0)
