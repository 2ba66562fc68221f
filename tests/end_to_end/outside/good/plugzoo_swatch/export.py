from __future__ import annotations

from torch import nn


class WarpFeatureLearning(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.backbone = model.backbone
        self.head = model.head

    def forward(self, img):
        return self.head(self.backbone(img))
