"""Validation items as a batch of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from zoo.validation.dataset import ValidationItem


class ValidationBatch(TypedDict):
    """Items as tensors: ``images uint8 [N, H, W, 3]``, ``plain bool [N]``, and the others ``int64 [N]``."""

    images: Tensor
    labels: Tensor
    plain: Tensor
    positions: Tensor
    digests: Tensor


def collate(items: Sequence[ValidationItem]) -> ValidationBatch:
    """Stack ``items``."""
    images, labels, plain, positions, digests = zip(*items, strict=True)
    return {
        "images": torch.from_numpy(np.stack(images)),
        "labels": torch.tensor(labels),
        "plain": torch.tensor(plain),
        "positions": torch.tensor(positions),
        "digests": torch.tensor(digests),
    }


def gathered(batch: ValidationBatch, embeddings: Tensor) -> tuple[Tensor, ...]:
    """Return the columns of `EmbeddedImages.of` that a batch has."""
    return embeddings, batch["labels"], batch["plain"], batch["positions"], batch["digests"]
