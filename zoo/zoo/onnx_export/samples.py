"""Images of the recipe's data sets, to convert a graph with."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from zoo.validation.dataset import UNREADABLE_LABEL
from zoo_core.contracts import Sample, StreamingDataset
from zoo_core.errors import RunError, UnreadableSample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.assembly import RecipeBuilder
    from zoo_core.contracts import Dataset, UInt8Image

# Seeds these views apart from those of training and of validation.
_CALIBRATION_STREAM = 2


def validation_images(builder: RecipeBuilder, count: int) -> list[UInt8Image]:
    """Return up to ``count`` images ``uint8 [H, W, 3]`` from all of the validation data.

    Raises:
        ComponentError, RecipeError: the data set or the augmentation cannot be built.
        RunError: no sample can be read.
    """
    items = builder.validation_items()
    found = [items[index] for index in _spread(len(items), count)]
    return _some([item.image for item in found if item.label != UNREADABLE_LABEL], "validation")


def training_images(builder: RecipeBuilder, count: int) -> list[UInt8Image]:
    """Return up to ``count`` images ``uint8 [H, W, 3]`` from all of the training data, augmented as in training.

    Raises:
        ComponentError, RecipeError: the data set or the augmentation cannot be built.
        RunError: no sample can be read.
    """
    augmentation, dataset, seed = builder.augmentation(), builder.dataset("train"), builder.recipe.seed
    images = [
        augmentation(sample, np.random.default_rng([seed, _CALIBRATION_STREAM, number]))
        for number, sample in enumerate(islice(_samples(dataset, count), count))
    ]
    return _some(images, "training")


def _samples(dataset: Dataset | StreamingDataset, count: int) -> Iterator[Sample]:
    if isinstance(dataset, StreamingDataset):
        for _, sample in dataset.stream(rank=0, world_size=1, worker=0, workers=1, epoch=0, seed=0):
            if isinstance(sample, Sample):
                yield sample
        return
    for index in _spread(len(dataset), count):
        try:
            yield dataset[index]
        except UnreadableSample:
            continue


def _spread(length: int, count: int) -> list[int]:
    return [int(index) for index in np.unique(np.linspace(0, length - 1, count).round())]


def _some(images: list[UInt8Image], data: str) -> list[UInt8Image]:
    if not images:
        raise RunError(f"no sample of the {data} data can be read", hint="'zoo data check' shows why")
    return images
