"""Supervised contrast: what a batch says of itself, without the class table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def supervised_contrast(directions: Tensor, labels: Tensor, s: float) -> Tensor:
    """Return how unsure each image is of which others in the batch are of its class, in nats.

    The supervised contrastive loss of Khosla et al. 2020 (arXiv:2004.11362, equation 2) at temperature ``1 / s``: the
    softmax over ``s`` times the cosines to all others, minus the log of it at those of the same class, mean over
    these, then mean over the images that have any. 0 where none has.

    Args:
        directions: ``[N, D]``, rows of unit length.
        labels: ``int64 [N]``.
        s: scale of the cosines.
    """
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    alike = (labels[:, None] == labels) & ~itself
    # Finite, for an infinity times the 0 of "not alike" would be no number.
    logits = (s * directions @ directions.T).masked_fill(itself, -1e4)
    others = alike.sum(dim=1)
    of_each = -(logits.log_softmax(dim=1) * alike).sum(dim=1) / others.clamp(min=1)
    return of_each.sum() / (others > 0).sum().clamp(min=1)
