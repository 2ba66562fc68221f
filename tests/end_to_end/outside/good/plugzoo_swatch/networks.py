from __future__ import annotations

import torch
from torch import nn

from zoo_core.api import FeatureLevel, Preprocessing


class ConvNet(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.feature_levels = (FeatureLevel(channels=4 * width, stride=8),)
        self.preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        layers = []
        for entering, leaving in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [
                nn.Conv2d(entering, leaving, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(leaving),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, images):
        return [self.layers((images - 0.5) / 0.5)]


class PoolHead(nn.Module):
    def __init__(self, feature_levels: tuple[FeatureLevel, ...], embed_dim: int = 24) -> None:
        super().__init__()
        self.embedding_dim = embed_dim
        self.linear = nn.Linear(2 * feature_levels[-1].channels, embed_dim)

    def forward(self, features):
        last = features[-1].flatten(2)
        return self.linear(torch.cat([last.mean(2), last.std(2)], dim=1))
