"""Samples to keep on the device, an augmentation that shows them as they are, and what loads them."""

from __future__ import annotations

import numpy as np
import torch

from zoo.runs.unreadable import UnreadableSamples
from zoo.training.data.items import TrainingItems
from zoo.training.data.mixed_dataset import MixedDataset
from zoo.training.data.residency import Residency
from zoo.training.data.resident import ResidentExecutor
from zoo_core.api import Sample, UnreadableSample

DEVICE = ("data.augment_on=device", "data.captures=2")
CPU = torch.device("cpu")


class Numbers:
    """Sixty samples of different sizes, of which each third is broken."""

    classes = tuple(map(str, range(60)))
    blocks = None

    def __init__(self, broken=3):
        self.broken = broken

    def __len__(self):
        return 60

    def __getitem__(self, index):
        if self.broken and index % self.broken == 0:
            raise UnreadableSample(str(index), "broken")
        return Sample(np.full((1 + index % 5, 1 + index % 7, 3), index, np.uint8), index)


class Plain:
    """Shows the image as it is, with one random number; the executor returns what it is given."""

    def __call__(self, sample, generator):
        raise NotImplementedError

    def prepare(self, sample, generator):
        canvas = np.zeros((7, 7, 3), np.uint8)
        canvas[: sample.image.shape[0], : sample.image.shape[1]] = sample.image
        return canvas, np.array([sample.label, generator.integers(2**40)])

    def resident_image(self, sample):
        return sample.image, np.array([sample.label], float)

    def prepare_resident(self, description, generator):
        return (np.array([int(description[0]), generator.integers(2**40)]),)

    def executor(self):
        return Same()


class Same(torch.nn.Module):
    def forward(self, sources, drawn):
        return sources, drawn


class Planned(Plain):
    """Renders four images at once, and plans the sum of what was drawn."""

    def images_at_once(self, device):
        assert device == CPU
        return 4

    def plan(self, sources, drawn):
        assert sources is None or len(sources) == len(drawn)
        return drawn[:, 0].astype(np.int64), (int(drawn[:, 1].sum()),)

    def executor(self):
        return Told()


class Told(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.told = []

    def forward(self, sources, drawn, *, plan):
        numbers, (total,) = plan
        assert torch.equal(numbers, drawn[:, 0])
        assert total == int(drawn[:, 1].sum())
        self.told.append(sources.shape)
        return sources[:, 0, 0]


def items_of(*datasets, captures=1):
    return TrainingItems(MixedDataset(datasets, 5), Plain().prepare, 5, captures, UnreadableSamples(share=1.0))


def load(items, *, required=True, device=CPU, agree=bool, workers=0):
    made = Residency(Plain(), ResidentExecutor(Same()), required=required)
    loaded = made.load(items, device=device, sharers=1, workers=workers, agree=agree, show=True)
    return made.executor, loaded


def assert_same_steps(some, others):
    assert len(some) == len(others) > 0
    for (images, labels), (other_images, other_labels) in zip(some, others, strict=True):
        assert torch.equal(labels, other_labels)
        # Measured: 0.17 grey levels in the worst step.
        assert (images.float() - other_images.float()).abs().mean() < 0.5
