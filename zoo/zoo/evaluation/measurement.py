"""What embeddings are worth: strangers and look-alikes apart, as figures and as the document of an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.metrics.identification import rank1
from zoo.metrics.summary import figures, tpr_key
from zoo.metrics.verification import verify

if TYPE_CHECKING:
    from zoo.metrics.verification import OperatingPoint, Verification
    from zoo.validation.embedded_images import EmbeddedImages

SCHEMA = 2
# A rate is not known from fewer false positives than this.
LEAST_FALSE = 10


@dataclass(frozen=True, eq=False)
class Measurement:
    """Verification over all pairs, and rank-1 of the images that are no references."""

    verification: Verification
    rank1: float

    @property
    def figures(self) -> dict[str, float]:
        """The figures that a table shows, without rates at which there are too few pairs."""
        few = {tpr_key(point.fpr_target) for point in self.verification.operating_points if self.has_too_few(point)}
        named = figures(self.verification, self.rank1)
        alike = self.verification.look_alikes
        more = {"look_alike_auc": alike.auc} if alike else {}
        return {name: value for name, value in named.items() if name not in few} | more

    def has_too_few(self, point: OperatingPoint) -> bool:
        """Return whether there are too few pairs of strangers to know a rate at this target."""
        return self.verification.impostor_pairs * point.fpr_target < LEAST_FALSE * (1 - 1e-9)

    @property
    def points(self) -> list[dict[str, Any]]:
        """The operating points as plain values: thresholds are those of strangers."""
        return [
            {
                **asdict(point),
                "too_few_pairs": self.has_too_few(point),
                "look_alike_fpr": self._look_alike_fpr(point.threshold),
            }
            for point in self.verification.operating_points
        ]

    def _look_alike_fpr(self, threshold: float) -> float | None:
        """Return the share of pairs of look-alikes that are accepted at a threshold; None without such pairs."""
        found = self.verification
        if not found.look_alike_pairs:
            return None
        return float(found.look_alike[found.scores >= threshold].sum()) / found.look_alike_pairs

    def to_json(self) -> dict[str, Any]:
        """Return what a document holds of it."""
        found, alike = self.verification, self.verification.look_alikes
        return {
            "schema": SCHEMA,
            "metrics": self.figures,
            "thresholds": self.points,
            "look_alikes": None
            if alike is None
            else {
                "pairs": alike.impostor_pairs,
                "auc": alike.auc,
                "points": [asdict(point) for point in alike.operating_points],
            },
            "counts": {
                "images": found.images,
                "classes": found.classes,
                "genuine_pairs": found.genuine_pairs,
                "impostor_pairs": found.impostor_pairs,
                "look_alike_pairs": found.look_alike_pairs,
            },
        }


def measure(embedded: EmbeddedImages) -> Measurement:
    """Measure embeddings; images of a class without a reference are no queries.

    Raises:
        RunError: they cannot be measured; see ``zoo.metrics``.
    """
    known = np.isin(embedded.labels, embedded.labels[embedded.is_reference])
    return Measurement(
        verify(embedded.embeddings, embedded.labels, embedded.groups),
        rank1(embedded.embeddings[known], embedded.labels[known], embedded.is_reference[known]),
    )
