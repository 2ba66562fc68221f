"""Components, each with one fault, and a good one of each kind; written into a plugin as it stands."""

# What a fault leaves unused is part of its contract.
# ruff: noqa: ARG002

from __future__ import annotations

import random

import numpy as np
import torch
from torch import nn

from zoo_core.api import FeatureLevel, Preprocessing, Sample

WIDTH = 8


class GoodBackbone(nn.Module):
    levels = (FeatureLevel(WIDTH, 4),)
    preprocessing = Preprocessing((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    def __init__(self):
        super().__init__()
        self.feature_levels = self.levels
        self.convolution = nn.Conv2d(3, WIDTH, 3, stride=4, padding=1)

    def forward(self, images):
        return [self.convolution(images)]


class WrongChannels(GoodBackbone):
    levels = (FeatureLevel(16, 4),)


class WrongStride(GoodBackbone):
    levels = (FeatureLevel(WIDTH, 8),)


class MissingLevel(GoodBackbone):
    levels = (FeatureLevel(WIDTH, 4), FeatureLevel(WIDTH, 8))


class OneTensor(GoodBackbone):
    def forward(self, images):
        return self.convolution(images)


class NotFinite(GoodBackbone):
    def forward(self, images):
        return [self.convolution(images) / 0]


class Unused(GoodBackbone):
    def __init__(self):
        super().__init__()
        self.forgotten = nn.Linear(2, 2)


class GoodHead(nn.Module):
    def __init__(self, feature_levels, embed_dim: int = 16):
        super().__init__()
        self.embedding_dim = embed_dim
        self.project = nn.Linear(feature_levels[-1].channels, embed_dim)

    def forward(self, features):
        return self.project(features[-1].mean((2, 3)))


class WrongInput(GoodHead):
    def __init__(self, feature_levels):
        super().__init__(feature_levels)
        self.project = nn.Linear(99, 16)


class WrongDimension(GoodHead):
    def __init__(self, feature_levels):
        super().__init__(feature_levels)
        self.embedding_dim = 32


class OfTheBatch(GoodHead):
    def forward(self, features):
        embeddings = super().forward(features)
        return embeddings - embeddings.mean(0)


class NotANumber(GoodHead):
    def forward(self, features):
        return super().forward(features) * float("nan")


class GlobalDropout(GoodHead):
    def forward(self, features):
        return super().forward(features) * float(np.random.rand() + 1)  # noqa: NPY002 - the fault


class GoodLoss(nn.Module):
    def __init__(self, num_classes, embedding_dim):
        super().__init__()
        self.classify = nn.Linear(embedding_dim, num_classes)

    def forward(self, embeddings, labels):
        return nn.functional.cross_entropy(self.classify(embeddings), labels)


class PerSample(GoodLoss):
    def forward(self, embeddings, labels):
        return nn.functional.cross_entropy(self.classify(embeddings), labels, reduction="none")


class Infinite(GoodLoss):
    def forward(self, embeddings, labels):
        return super().forward(embeddings, labels) / 0


class Detached(GoodLoss):
    def forward(self, embeddings, labels):
        return super().forward(embeddings, labels).detach()


class NoTensor(GoodLoss):
    def forward(self, embeddings, labels):
        return float(super().forward(embeddings, labels).detach())


class InfiniteGradient(GoodLoss):
    def forward(self, embeddings, labels):
        return super().forward(embeddings, labels) + (embeddings * 0).abs().sqrt().sum()


class UnequalParts(GoodLoss):
    @property
    def parts(self):
        return {"first": torch.tensor(1e6)}


class GoodDataset:
    classes = ("a", "b", "c", "d", "e", "f")

    def __len__(self):
        return 24

    def image(self, index):
        return np.full((40, 60, 3), index * 9, np.uint8)

    def __getitem__(self, index):
        return Sample(self.image(index), index % 6)


class Grey(GoodDataset):
    def image(self, index):
        return np.full((40, 60), index, np.uint8)


class Float(GoodDataset):
    def image(self, index):
        return np.full((40, 60, 3), index / 30, np.float32)


class Pair(GoodDataset):
    def __getitem__(self, index):
        return self.image(index), index % 6


class LabelTooHigh(GoodDataset):
    def __getitem__(self, index):
        return Sample(self.image(index), 6)


class LabelText(GoodDataset):
    def __getitem__(self, index):
        return Sample(self.image(index), "a")


class OtherEachTime(GoodDataset):
    reads = 0

    def image(self, index):
        self.reads += 1
        return np.full((40, 60, 3), self.reads % 256, np.uint8)


class GlobalRandom(GoodDataset):
    def image(self, index):
        return np.full((40, 60, 3), random.randrange(256), np.uint8)  # noqa: S311 - the fault


class PairsInStream(GoodDataset):
    length = 24

    def stream(self, **_):
        return ((index, (self.image(index), 0)) for index in range(24))


class Raises(GoodDataset):
    def image(self, index):
        return {}[index]


class GoodAugmentation:
    def __init__(self, image_size):
        self.image_size = image_size

    def __call__(self, sample, generator):
        height, width = self.image_size
        return np.full((height, width, 3), generator.integers(256), np.uint8)


class WrongSize(GoodAugmentation):
    def __call__(self, sample, generator):
        return np.zeros((8, 16, 3), np.uint8)


class NumpyGlobal(GoodAugmentation):
    def __call__(self, sample, generator):
        return np.full((*self.image_size, 3), np.random.randint(256), np.uint8)  # noqa: NPY002 - the fault


class Unseeded(GoodAugmentation):
    calls = 0

    def __call__(self, sample, generator):
        self.calls += 1
        return np.full((*self.image_size, 3), self.calls, np.uint8)


class WritesIntoSample(GoodAugmentation):
    def __call__(self, sample, generator):
        sample.image[:] = 0
        return super().__call__(sample, generator)


class FloatImage(GoodAugmentation):
    def __call__(self, sample, generator):
        return np.zeros((*self.image_size, 3))


class GoodWrapper(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, img):
        return self.model(img)


class TwoOutputs(GoodWrapper):
    def forward(self, img):
        return self.model(img), img.mean((1, 2, 3))


class ShortOutput(GoodWrapper):
    def forward(self, img):
        return self.model(img)[:, :8]


class OtherColours(GoodWrapper):
    def forward(self, img):
        return self.model(img.flip(1))


class Unexportable(GoodWrapper):
    def forward(self, img):
        embeddings = self.model(img)
        return embeddings + 0 * torch.linalg.eigvals(embeddings[:, :, None] * embeddings[:, None]).real
