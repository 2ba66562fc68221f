"""Several data sets as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np

from zoo.training.data.streaming import StreamReader
from zoo_core.contracts import StreamingDataset
from zoo_core.errors import RunError, UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self.classes: Sequence[str] = MixedClasses([dataset.classes for dataset in datasets])
        self._ends = list(accumulate(len(dataset) for dataset in self.datasets))
        self._labels = [0, *accumulate(len(dataset.classes) for dataset in datasets)]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Sample:
        part, position = self._locate(index)
        dataset = self.datasets[part]
        if isinstance(dataset, StreamReader):
            raise TypeError("a stream has no samples by number")
        return self._labelled(part, dataset[position])

    def read(self, passed: int, index: int, unreadable: UnreadableSamples) -> tuple[int, Sample]:
        """Return a sample, and its index within its data set's part of the indices.

        In place of one that cannot be read comes another of the same data set, which the pass and the index choose.

        Raises:
            RunError: too much cannot be read.
        """
        part, position = self._locate(index)
        dataset, name = self.datasets[part], _name(part)
        if not isinstance(dataset, StreamReader):
            return self.read_with(self.__getitem__, passed, index, unreadable)
        number, sample = dataset.next(passed, lambda error, length: unreadable.record(name, error, length))
        return index - position + number, self._labelled(part, sample)

    def read_with(
        self, read: Callable[[int], T], passed: int, index: int, unreadable: UnreadableSamples
    ) -> tuple[int, T]:
        """Return what ``read`` makes of an index, or of the one in its place where that raises ``UnreadableSample``.

        Raises:
            RunError: too much cannot be read.
        """
        part, position = self._locate(index)
        dataset, name = self.datasets[part], _name(part)
        first = index - position
        for attempt in range(_ATTEMPTS):
            try:
                return first + position, read(first + position)
            except UnreadableSample as error:
                self.record(index, error, unreadable)
                chance = np.random.default_rng([self.seed, REPLACEMENT_STREAM, passed, index, attempt])
                position = int(chance.integers(len(dataset)))
        msg = f"data.{name}: {_ATTEMPTS} samples one after the other cannot be read"
        raise RunError(msg, hint="lower data.unreadable_share to see which")

    def record(self, index: int, error: UnreadableSample, unreadable: UnreadableSamples) -> None:
        """Count an unreadable sample among those of its data set.

        Raises:
            RunError: with it, there are too many.
        """
        part, _ = self._locate(index)
        unreadable.record(_name(part), error, len(self.datasets[part]))

    def _locate(self, index: int) -> tuple[int, int]:
        index = range(len(self))[index]
        part = bisect_right(self._ends, index)
        return part, index - self._ends[part] + len(self.datasets[part])

    def _labelled(self, part: int, sample: Sample) -> Sample:
        return replace(sample, label=sample.label + self._labels[part]) if part else sample


def _name(part: int) -> str:
    return "train" if part == 0 else f"train_also[{part - 1}]"


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
