"""The figures of a model by the names that recipes, tables and cards use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.metrics.identification import rank1
from zoo.metrics.verification import verify

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from zoo.metrics.embeddings import Booleans, Labels
    from zoo.metrics.verification import Verification


def summary(embeddings: npt.NDArray[np.floating], labels: Labels, is_reference: Booleans) -> dict[str, float]:
    """Verify and identify; return ``tpr_at_fpr_1e-5`` .. ``tpr_at_fpr_1e-1``, ``auc`` and ``rank1``.

    Raises:
        RunError: as ``verify`` and ``rank1`` do.
    """
    return figures(verify(embeddings, labels), rank1(embeddings, labels, is_reference))


def figures(verification: Verification, rank1_accuracy: float) -> dict[str, float]:
    """Name the figures that ``summary`` returns."""
    rates = {tpr_key(point.fpr_target): point.tpr for point in verification.operating_points}
    return {**rates, "auc": verification.auc, "rank1": rank1_accuracy}


def tpr_key(fpr_target: float) -> str:
    """Name the true positive rate at ``fpr_target``: ``tpr_at_fpr_1e-3``."""
    return f"tpr_at_fpr_{fpr_target:.0e}".replace("e-0", "e-")
