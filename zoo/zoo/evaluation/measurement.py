"""What embeddings are worth: strangers and look-alikes apart, as figures and as the document of an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.artifacts.thresholds import RECOMMENDED_FPR
from zoo.metrics.bootstrap import intervals
from zoo.metrics.identification import rank1
from zoo.metrics.open_set import REGISTERED, fpir_at, open_set
from zoo.metrics.retrieval import retrieve
from zoo.metrics.summary import figures, tpr_key
from zoo.metrics.verification import FPR_TARGETS, verify
from zoo.metrics.within_batches import verify_within_batches
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.metrics.bootstrap import Estimate
    from zoo.metrics.open_set import OpenSet, Spread
    from zoo.metrics.retrieval import Retrieval
    from zoo.metrics.verification import Verification
    from zoo.metrics.within_batches import WithinBatches
    from zoo.validation.embedded_images import EmbeddedImages

SCHEMA = 2
# Of DocClassifier's protocol: images a batch, and the seed of their order.
BATCH, ORDER = 256, 0


@dataclass(frozen=True, eq=False)
class Measurement:
    """Verification over all pairs, identification, retrieval, and DocClassifier's protocol where it has pairs.

    ``rank1`` is of the images that are no references; ``expected_fpir`` of the recommended threshold, by the number of
    references: the share of strangers that a gallery accepts.
    """

    verification: Verification
    rank1: float
    open_set: tuple[OpenSet, ...]
    retrieval: Retrieval
    within_batches: WithinBatches | None
    intervals: Mapping[str, Estimate]
    expected_fpir: Mapping[int, float]

    @property
    def figures(self) -> dict[str, float]:
        """The figures by name, without rates at which there are too few pairs."""
        found, alike = self.verification, self.verification.look_alikes
        few = {tpr_key(target) for target in FPR_TARGETS if not found.has_enough(target)}
        named = {name: value for name, value in figures(found, self.rank1).items() if name not in few}
        named |= {"eer": found.eer, "map_at_r": self.retrieval.map_at_r, "r_precision": self.retrieval.r_precision}
        return named | ({"look_alike_auc": alike.auc} if alike else {})

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """The operating points as plain values: thresholds are those of strangers."""
        found = self.verification
        return [
            {
                **asdict(point),
                "interval": self._interval(tpr_key(point.fpr_target)),
                "too_few_pairs": not found.has_enough(point.fpr_target),
                "look_alike_fpr": self._look_alike_fpr(point.threshold),
                "expected_fpir": {str(size): rate for size, rate in self.expected_fpir.items()}
                if point.fpr_target == RECOMMENDED_FPR
                else None,
            }
            for point in found.operating_points
        ]

    def _interval(self, name: str) -> list[float] | None:
        """Return the bounds of a figure at 95 % confidence; None where it is not known."""
        found = self.intervals.get(name)
        return [found.low, found.high] if found else None

    def _look_alike_fpr(self, threshold: float) -> float | None:
        """Return the share of pairs of look-alikes that are accepted at a threshold; None without such pairs."""
        found = self.verification
        if not found.look_alike_pairs:
            return None
        return float(found.look_alike[found.scores >= threshold].sum()) / found.look_alike_pairs

    def to_json(self) -> dict[str, Any]:
        """Return what a document holds of it."""
        found, alike = self.verification, self.verification.look_alikes
        within = {"batch_size": BATCH, **asdict(self.within_batches)} if self.within_batches else None
        if within and not np.isfinite(within["threshold"]):
            # Above all scores: nothing is accepted.
            within["threshold"] = None
        return {
            "schema": SCHEMA,
            "metrics": self.figures,
            "intervals": {name: [one.low, one.high] for name, one in self.intervals.items()},
            "thresholds": self.points,
            "look_alikes": None
            if alike is None
            else {
                "pairs": alike.impostor_pairs,
                "auc": alike.auc,
                "points": [asdict(point) for point in alike.operating_points],
            },
            "open_set": [_open_set_json(one) for one in self.open_set],
            "docclassifier": within,
            "counts": {
                "images": found.images,
                "classes": found.classes,
                "genuine_pairs": found.genuine_pairs,
                "impostor_pairs": found.impostor_pairs,
                "look_alike_pairs": found.look_alike_pairs,
            },
        }


def measure(embedded: EmbeddedImages) -> Measurement:
    """Measure embeddings; images of a class without a reference are no queries of rank-1.

    Raises:
        RunError: they cannot be measured; see ``zoo.metrics``.
    """
    embeddings, labels, groups = embedded.embeddings, embedded.labels, embedded.groups
    known = np.isin(labels, labels[embedded.is_reference])
    verification = verify(embeddings, labels, groups)
    return Measurement(
        verification,
        rank1(embeddings[known], labels[known], embedded.is_reference[known]),
        open_set(embeddings, labels, groups),
        retrieve(embeddings, labels),
        _within_batches(embedded),
        intervals(
            embeddings,
            labels,
            groups,
            # Of rank-1 every query needs a reference.
            is_reference=embedded.is_reference if known.all() else None,
            verification=verification,
        ),
        _expected_fpir(verification, embedded),
    )


def _expected_fpir(verification: Verification, embedded: EmbeddedImages) -> dict[int, float]:
    """Return what the threshold that an artifact recommends means for galleries; nothing with too few pairs."""
    if not verification.has_enough(RECOMMENDED_FPR):
        return {}
    threshold = verification.at_fpr(RECOMMENDED_FPR).threshold
    found = fpir_at(threshold, embedded.embeddings, embedded.labels, embedded.groups, gallery_sizes=(1, *REGISTERED))
    return {size: rate for size, rate in found.items() if rate is not None}


def _within_batches(embedded: EmbeddedImages) -> WithinBatches | None:
    # By class, as data sets are ordered, a batch would have few impostors.
    order = np.random.default_rng(ORDER).permutation(len(embedded.labels))
    try:
        return verify_within_batches(embedded.embeddings[order], embedded.labels[order], batch_size=BATCH)
    except RunError:
        # No batch has a pair of one class.
        return None


def _open_set_json(found: OpenSet) -> dict[str, Any]:
    def plain(spread: Spread | None) -> dict[str, float] | None:
        return None if spread is None else asdict(spread)

    return {
        "registered": found.registered,
        "references": found.references,
        "galleries": found.galleries,
        "queries": found.queries,
        "strangers": found.strangers,
        "left_out": found.left_out,
        "points": [
            {"fpir_target": target, "tpir": plain(tpir), "threshold": plain(found.threshold[target])}
            for target, tpir in found.tpir.items()
        ],
        **{f"rank{rank}": plain(share) for rank, share in found.ranks.items()},
    }
