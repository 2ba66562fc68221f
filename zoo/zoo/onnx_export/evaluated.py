"""The model that was evaluated: what every exported graph has to compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from zoo.models.torch_model import to_pixels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from zoo.assembly import EmbeddingModel
    from zoo_core.contracts import Preprocessing

_TOGETHER = 32


@dataclass(frozen=True)
class EvaluatedModel:
    """Backbone and head with the checkpoint's weights, which no wrapper has touched; ``size`` is height and width."""

    model: EmbeddingModel
    size: tuple[int, int]

    @property
    def preprocessing(self) -> Preprocessing:
        """The normalisation inside the model."""
        return cast("Preprocessing", self.model.backbone.preprocessing)

    def embed(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed ``uint8 [N, *size, 3]`` as ``zoo eval`` does: ``float32 [N, D]`` of unit length."""
        with torch.inference_mode():
            rows = [
                self.embed_pixels(to_pixels(torch.from_numpy(images[start : start + _TOGETHER])))
                for start in range(0, len(images), _TOGETHER)
            ]
        return torch.cat(rows).numpy()

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """Embed ``float32 [N, 3, *size]`` in 0..1: ``float32 [N, D]`` of unit length."""
        return nn.functional.normalize(self.model(pixels).float(), dim=1)
