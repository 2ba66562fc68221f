"""The distillation loss: the student's similarities within a batch follow the teacher's."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SimilarityDistillation(nn.Module):
    """How much the similarities within a batch differ between student and teacher.

    For each sample the cosines to all others, over a temperature and through a softmax, are a distribution; the loss
    is the Kullback-Leibler divergence of the student's from the teacher's, mean over the batch (CompRess,
    Koohpayegani et al. 2020, arXiv:2010.14713, with the batch for anchors). Only similarities are compared, so that
    embeddings may have any length, and nothing but the student has to be published. Training multiplies by ``weight``.
    """

    def __init__(self, *, temperature: float, weight: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.weight = weight

    def forward(self, embeddings: Tensor, features: Tensor) -> Tensor:
        """Return the loss of ``embeddings [N, D]`` against the teacher's ``features [N, any]``.

        A row of zeros, a sample that the teacher never saw, is skipped. Works in float32 (float64 stays) whatever
        autocast says.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            seen = features.any(dim=1)
            # All models agree on the diagonal. A finite value, because the difference of infinities is NaN.
            apart = torch.eye(len(features), dtype=torch.bool, device=features.device) | ~seen
            student, teacher = (
                functional.log_softmax((_cosines(rows) / self.temperature).masked_fill(apart, -1e4), dim=1)
                for rows in (embeddings, features)
            )
            divergence = functional.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=1)
            return (divergence * seen).sum() / seen.sum().clamp(min=1)


def _cosines(rows: Tensor) -> Tensor:
    rows = functional.normalize(rows.to(torch.promote_types(rows.dtype, torch.float32)))
    return rows @ rows.T
