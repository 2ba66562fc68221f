"""The supervised contrastive loss: compares the images of a batch with each other, without the class table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def supervised_contrast(directions: Tensor, labels: Tensor, s: float) -> Tensor:
    """Return the supervised contrastive loss of a batch.

    Equation 2 of Khosla et al. 2020 (arXiv:2004.11362) at temperature ``1 / s``: the negative log-softmax of ``s``
    times the cosines of an image with all others, mean over the others of its class, then mean over the images for
    which there are any. 0 where there are none.

    Args:
        directions: ``[N, D]``, embeddings of unit length.
        labels: ``int64 [N]``.
        s: scale of the cosines.
    """
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positives = (labels[:, None] == labels) & ~itself
    # Finite, because infinity times the 0 of an image that is not a positive would be NaN.
    logits = (s * directions @ directions.T).masked_fill(itself, -1e4)
    counts = positives.sum(dim=1)
    losses = -(logits.log_softmax(dim=1) * positives).sum(dim=1) / counts.clamp(min=1)
    return losses.sum() / (counts > 0).sum().clamp(min=1)
