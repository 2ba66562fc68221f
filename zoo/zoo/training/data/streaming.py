"""A streaming data set beside those with samples by number: its next sample, whichever that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.utils.data import get_worker_info

from zoo_core.capabilities import SliceableStream
from zoo_core.errors import RunError, UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zoo_core.contracts import Sample, StreamingDataset

# Stands for an unknown length; no training reaches it.
ENDLESS = 2**40
# A stream that ends before its epoch continues in another order: that of an epoch that no training reaches.
_ROUND = 2**20
# The share of unreadable samples in a stream of unknown length is taken of at least this many.
_LEAST = 1000


class StreamReader:
    """The samples of a stream one after the other, in each loader process its share of them.

    Each epoch starts its own pass, so that a training resumed at an epoch sees the same samples.
    """

    def __init__(self, dataset: StreamingDataset, seed: int) -> None:
        self.dataset = dataset
        self.classes = dataset.classes
        self._rank, self._world_size = 0, 1
        # Batches of an epoch on each rank, where the stream is divided by them.
        self._batches = 0
        self._seed = seed
        self._epoch = -1
        self._round = 0
        self._taken = 0
        self._samples: Iterator[tuple[int, Sample | UnreadableSample]] = iter(())

    def __len__(self) -> int:
        return self.dataset.length or ENDLESS

    def divide(self, *, rank: int, world_size: int, batches: int) -> None:
        """Take the share of one of ``world_size`` ranks, each of which has ``batches`` batches in an epoch."""
        self._rank, self._world_size, self._batches = rank, world_size, batches

    def next(self, epoch: int, skip: Callable[[UnreadableSample, int], None]) -> tuple[int, Sample]:
        """Return the next sample of this process and its index; ``skip`` is told of unreadable ones, and of how many.

        Raises:
            RunError: nothing falls to this process, or what ``skip`` raises.
        """
        if epoch != self._epoch:
            self._epoch, self._round = epoch, 0
            self._samples = self._start()
        while True:
            for index, sample in self._samples:
                self._taken += 1
                if not isinstance(sample, UnreadableSample):
                    return index, sample
                skip(sample, self.dataset.length or max(_LEAST, self._taken * self._readers()))
            if not self._taken:
                msg = f"no sample of the stream falls to one of the {self._readers()} loader processes"
                raise RunError(msg, hint="lower data.loader.num_workers, or train on more samples")
            self._round += 1
            self._samples = self._start()

    def _start(self) -> Iterator[tuple[int, Sample | UnreadableSample]]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        epoch = self._epoch + self._round * _ROUND
        if not self._batches or not isinstance(self.dataset, SliceableStream):
            reader = {"rank": self._rank, "world_size": self._world_size, "worker": worker, "workers": workers}
            return self.dataset.stream(**reader, epoch=epoch, seed=self._seed)
        # The loader takes batches from its processes in turn, so that some give one more than others.
        first, last = (
            self._rank * self._batches + self._batches // workers * one + min(one, self._batches % workers)
            for one in (worker, worker + 1)
        )
        slices = self._batches * self._world_size
        return self.dataset.stream_slices(first, last, slices, epoch=epoch, seed=self._seed)

    def _readers(self) -> int:
        worker = get_worker_info()
        return self._world_size * (worker.num_workers if worker else 1)

    def __getstate__(self) -> dict[str, object]:
        # An open stream stays in its process.
        return {**self.__dict__, "_samples": iter(()), "_epoch": -1}
