"""Training data: which sample comes when, on every rank and after every resume the same."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo_core.contracts import Augmentation, UInt8Image
    from zoo_core.contracts import Dataset as ZooDataset

# (seed, stream): validation captures use stream 1, permutations 2 and training augmentation 3.
PERMUTATION_STREAM = 2
TRAINING_STREAM = 3


class TrainingItems(Dataset[tuple["UInt8Image", int]]):
    """Augmented samples by ``(pass over the data, index)``: ``(uint8 [H, W, 3], label)``."""

    def __init__(self, dataset: ZooDataset, augmentation: Augmentation, seed: int) -> None:
        self.dataset = dataset
        self.augmentation = augmentation
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> tuple[UInt8Image, int]:
        passed, index = key
        sample = self.dataset[index]
        generator = np.random.default_rng([self.seed, TRAINING_STREAM, passed, index])
        return self.augmentation(sample, generator), sample.label


class StreamSampler(DistributedSampler[tuple[int, int]]):
    """Cuts one endless stream of shuffled passes over the data into epochs of a chosen length.

    Every pass shows each sample once, in an order that depends on the seed and the pass alone; ranks take turns.
    Yields ``(pass, index)``. As a ``DistributedSampler`` it is left as it is by Lightning, and told the epoch.
    """

    def __init__(self, length: int, *, samples_per_epoch: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(range(length), num_replicas=world_size, rank=rank, seed=seed)  # type: ignore[arg-type] # only its length is used
        self.length = length
        # Every rank must see the same number of samples, or collectives would wait for ever.
        self.num_samples = max(1, samples_per_epoch // world_size)
        self.skip = 0

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[tuple[int, int]]:
        per_epoch = self.num_samples * self.num_replicas
        start = self.epoch * per_epoch + self.skip * self.num_replicas + self.rank
        self.skip = 0
        order_of: int | None = None
        order = np.empty(0, dtype=np.int64)
        for position in range(start, (self.epoch + 1) * per_epoch, self.num_replicas):
            passed, offset = divmod(position, self.length)
            if passed != order_of:
                order_of, order = passed, self._permutation(passed)
            yield passed, int(order[offset])

    def _permutation(self, passed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.random.default_rng([self.seed, PERMUTATION_STREAM, passed]).permutation(self.length)


def start_worker(_worker: int) -> None:
    """Prepare a loader's worker process: the main process decides about Ctrl-C, and cores are shared."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(0)
