"""DocClassifier's own protocol, to compare with its published figures: pairs within batches, the nearest FPR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.metrics.embeddings import checked_labels, unit_vectors
from zoo_core.errors import RunError

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo.metrics.embeddings import Labels


@dataclass(frozen=True, slots=True)
class WithinBatches:
    """A point of the ROC curve over the pairs within batches.

    It is no rate of all pairs: their number depends on the batch, and the FPR may lie above its target.

    Attributes:
        fpr_target: the false positive rate that was asked for.
        fpr: the rate nearest to it.
        tpr: the true positive rate there.
        threshold: the lowest cosine that is accepted; DocClassifier's score is ``(cosine + 1) / 2``.
        pairs: how many pairs were compared.
    """

    fpr_target: float
    fpr: float
    tpr: float
    threshold: float
    pairs: int


def verify_within_batches(
    embeddings: npt.NDArray[np.floating], labels: Labels, *, batch_size: int, fpr_target: float = 1e-4
) -> WithinBatches:
    """Verify the pairs within consecutive batches, and take the rate nearest to ``fpr_target``, as DocClassifier does.

    Of several points at that rate the first is taken, which has the highest threshold.

    Args:
        embeddings: ``float [N, D]``, normalised or not, in the order in which they are batched.
        labels: ``int [N]``, the class of each.
        batch_size: images a batch; the last may be smaller.
        fpr_target: the false positive rate.

    Raises:
        RunError: an embedding is not finite or zero, or no batch has a pair of one class or of two.
    """
    unit = unit_vectors(embeddings)
    labels = checked_labels(labels, len(unit))
    scores, same = [], []
    for start in range(0, len(unit), batch_size):
        block, classes = unit[start : start + batch_size], labels[start : start + batch_size]
        upper = np.triu_indices(len(block), 1)
        scores.append((block @ block.T)[upper])
        same.append(classes[upper[0]] == classes[upper[1]])
    every, genuine = np.concatenate(scores), np.concatenate(same)
    count = int(genuine.sum())
    if count in {0, len(genuine)}:
        raise RunError(
            f"batches of {batch_size} have {count} genuine and {len(genuine) - count} impostor pairs; both are needed",
            hint="shuffle the images, or take larger batches",
        )
    order = np.argsort(-every, kind="stable")
    ranked, hits = every[order], np.cumsum(genuine[order])
    # A threshold accepts all that tie with it.
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true = np.append(0, hits[ends]) / count
    false = np.append(0, ends + 1 - hits[ends]) / (len(genuine) - count)
    nearest = int(np.argmin(np.abs(false - fpr_target)))
    threshold = np.append(np.inf, ranked[ends])[nearest]
    return WithinBatches(fpr_target, float(false[nearest]), float(true[nearest]), float(threshold), len(genuine))
