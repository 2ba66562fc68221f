"""Several data sets as one."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from zoo.training.data.streaming import StreamReader
from zoo.validation.dataset import plain_sample
from zoo_core.contracts import StreamingDataset
from zoo_core.errors import RunError, UnreadableSample
from zoo_core.lazy_names import LazyNames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zoo.runs.unreadable import UnreadableSamples
    from zoo_core.contracts import Dataset as ZooDataset
    from zoo_core.contracts import Sample

T = TypeVar("T")

# See TRAINING_STREAM.
REPLACEMENT_STREAM = 4
_ATTEMPTS = 100


class MixedDataset:
    """Several data sets as one: their samples and their classes, one after the other.

    Streams among them have no samples by number: any number is their next one.
    """

    def __init__(self, datasets: Sequence[ZooDataset | StreamingDataset], seed: int = 0) -> None:
        self.datasets: list[ZooDataset | StreamReader] = [
            StreamReader(dataset, seed) if isinstance(dataset, StreamingDataset) else dataset for dataset in datasets
        ]
        self.seed = seed
        self.classes: Sequence[str] = _joined([dataset.classes for dataset in datasets])
        self._ends = list(accumulate(len(dataset) for dataset in self.datasets))
        self._labels = [0, *accumulate(len(dataset.classes) for dataset in datasets)]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        source, position = self._locate(index)
        dataset = self.datasets[source]
        if isinstance(dataset, StreamReader):
            raise TypeError("a stream has no samples by number")
        return self._labelled(source, dataset[position])

    def plain_sample(self, index: int, size: tuple[int, int]) -> Sample:
        """Return a sample as every model sees its file; see ``HasPlainSamples``."""
        source, position = self._locate(index)
        dataset = self.datasets[source]
        if isinstance(dataset, StreamReader):
            raise TypeError("a stream has no samples by number")
        return self._labelled(source, plain_sample(dataset, position, size))

    def read(self, passed: int, index: int, unreadable: UnreadableSamples) -> tuple[int, Sample]:
        """Return a sample and its index in the mixture.

        An unreadable sample is replaced with another of the same data set, which the pass and the index determine.

        Raises:
            RunError: too much cannot be read.
        """
        source, position = self._locate(index)
        dataset, part = self.datasets[source], _part(source)
        if not isinstance(dataset, StreamReader):
            return self.read_with(self.__getitem__, passed, index, unreadable)
        number, sample = dataset.next(passed, lambda error, length: unreadable.record(part, error, length))
        return index - position + number, self._labelled(source, sample)

    def read_with(
        self, read: Callable[[int], T], passed: int, index: int, unreadable: UnreadableSamples
    ) -> tuple[int, T]:
        """Return what ``read`` makes of an index, or of the one in its place where that raises ``UnreadableSample``.

        Raises:
            RunError: too much cannot be read.
        """
        source, position = self._locate(index)
        dataset, part = self.datasets[source], _part(source)
        first = index - position
        for attempt in range(_ATTEMPTS):
            try:
                return first + position, read(first + position)
            except UnreadableSample as error:
                self.record(index, error, unreadable)
                generator = np.random.default_rng([self.seed, REPLACEMENT_STREAM, passed, index, attempt])
                position = int(generator.integers(len(dataset)))
        msg = f"data.{part}: {_ATTEMPTS} samples one after the other cannot be read"
        raise RunError(msg, hint="lower data.unreadable_share to see which")

    def record(self, index: int, error: UnreadableSample, unreadable: UnreadableSamples) -> None:
        """Count an unreadable sample among those of its data set.

        Raises:
            RunError: with it, there are too many.
        """
        source, _ = self._locate(index)
        unreadable.record(_part(source), error, len(self.datasets[source]))

    def _locate(self, index: int) -> tuple[int, int]:
        index = range(len(self))[index]
        source = bisect_right(self._ends, index)
        return source, index - self._ends[source] + len(self.datasets[source])

    def _labelled(self, source: int, sample: Sample) -> Sample:
        return replace(sample, label=sample.label + self._labels[source]) if source else sample


def _part(source: int) -> str:
    return "train" if source == 0 else f"train_also[{source - 1}]"


def _joined(names: Sequence[Sequence[str]]) -> LazyNames:
    """Return the class names of several data sets, one after the other."""
    ends = list(accumulate(map(len, names)))
    return LazyNames(ends[-1], partial(_joined_name, names, ends))


def _joined_name(names: Sequence[Sequence[str]], ends: list[int], label: int) -> str:
    source = bisect_right(ends, label)
    return names[source][label - ends[source]]
