"""How far what a graph gives is from what it should give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

TOLERANCE = 1e-5
# Of embeddings that lie close together, a fault changes little, too: so much of the distance between them is allowed.
SHARE_OF_SPREAD = 1e-3
LOWEST_COSINE = 1 - 1e-6


@dataclass(frozen=True)
class Distance:
    """The largest difference between two sets of embeddings, and the lowest cosine of two of the same image."""

    max_abs_diff: float
    min_cosine: float

    def within(self, tolerance: float) -> bool:
        """Return whether they are the same but for rounding."""
        # Written so that NaN fails, too.
        return self.max_abs_diff <= tolerance and self.min_cosine >= LOWEST_COSINE

    def describe(self, tolerance: float) -> str:
        """Say both figures."""
        return (
            f"largest difference {self.max_abs_diff:.1e} (allowed {tolerance:.0e}), lowest cosine {self.min_cosine:.7f}"
        )


def distance(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> Distance:
    """Compare rows of equal shape ``[N, ...]``; differences are relative to the largest value where that is above 1."""
    rows, others = (array.reshape(len(array), -1).astype(np.float64) for array in (found, wanted))
    difference = float(np.abs(rows - others).max() / max(1.0, np.abs(others).max()))
    return Distance(difference, float((unit(rows) * unit(others)).sum(axis=1).min()))


def unit(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Scale rows to unit length; one of length zero stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: npt.NDArray[Any] = rows / np.where(lengths > 0, lengths, 1)
    return scaled
