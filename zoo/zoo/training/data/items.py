"""Training samples, augmented: the same ones on every rank and after every resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

from zoo.runs.unreadable import UnreadableSamples
from zoo.training.data.batch import TrainingItem
from zoo_core.seeding import seeded_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from zoo.training.data.mixed_dataset import MixedDataset
    from zoo_core.contracts import Sample

# (seed, stream): validation uses stream 1, permutations 2, training augmentation 3, replacements 4, previews 5.
TRAINING_STREAM = 3


class TrainingItems(Dataset[list[TrainingItem]]):
    """Augmented samples by ``(pass over the data, index)``: ``captures`` views of each.

    ``augmentation`` may be what a ``DeviceAugmentation`` prepares: its arrays then replace the image.
    """

    def __init__(
        self,
        dataset: MixedDataset,
        augmentation: Callable[[Sample, np.random.Generator], Any],
        seed: int,
        captures: int = 1,
        unreadable: UnreadableSamples | None = None,
    ) -> None:
        self.dataset = dataset
        self.augmentation = augmentation
        self.seed = seed
        self.captures = captures
        self.unreadable = unreadable or UnreadableSamples()

    def recording(self, unreadable: UnreadableSamples) -> TrainingItems:
        """Return the same items, whose unreadable samples are recorded in ``unreadable``."""
        return TrainingItems(self.dataset, self.augmentation, self.seed, self.captures, unreadable)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: tuple[int, int]) -> list[TrainingItem]:
        passed, wanted = key
        index, sample = self.dataset.read(passed, wanted, self.unreadable)
        generator = generator_of(self.seed, passed, index)
        return [TrainingItem(self.augmentation(sample, generator), sample.label, wanted) for _ in range(self.captures)]


def generator_of(seed: int, passed: int, index: int) -> np.random.Generator:
    """Return the generator of one sample's augmentation, which pass and index determine."""
    return seeded_generator(b"%d %d %d %d" % (seed, TRAINING_STREAM, passed, index))
