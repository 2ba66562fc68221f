"""What a smaller file loses: its embeddings of the validation data against those of the float32 file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.metrics.open_set import open_set
from zoo.metrics.summary import tpr_key
from zoo.metrics.verification import FPR_TARGETS, verify
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.metrics.verification import Verification
    from zoo.validation.embedded_images import EmbeddedImages

# No budget asks for a rate at fewer false positives.
_STRICTEST_BUDGET = 1e-3
_FPIR = 0.01


@dataclass(frozen=True)
class Rates:
    """What embeddings recognise: true positive rates by FPR, as far as there are pairs enough to know them.

    ``tpir``: the true positive identification rate at an FPIR of 1 %, with the most registered classes for which it is
    known, one reference each; ``registered`` is how many these are.
    """

    tpr: Mapping[float, float]
    tpir: float | None
    registered: int | None

    def to_json(self) -> dict[str, Any]:
        """Return what a report says of them."""
        tpir = None if self.tpir is None else {"registered": self.registered, "references": 1, "fpir_1e-2": self.tpir}
        return {"tpr": {tpr_key(target): rate for target, rate in self.tpr.items()}, "tpir": tpir}


@dataclass(frozen=True)
class Loss:
    """How embeddings differ from others of the same images, ``before``.

    ``mean_cosine``, ``lowest_cosine``: between the two embeddings of an image. ``judged_at``: the FPR that a budget is
    about, None without pairs enough. ``fpr_at_threshold``: the FPR at the threshold that float32 has for that one.
    ``one_pair``: what one genuine pair is worth.
    """

    mean_cosine: float
    lowest_cosine: float
    rates: Rates
    before: Rates
    judged_at: float | None
    fpr_at_threshold: float | None
    one_pair: float

    @property
    def tpr_difference(self) -> dict[float, float]:
        """What the true positive rates have gained or, below zero, lost."""
        return {target: rate - self.before.tpr[target] for target, rate in self.rates.tpr.items()}

    def to_json(self) -> dict[str, Any]:
        """Return what a report says of it."""
        return {
            "mean_cosine": self.mean_cosine,
            "lowest_cosine": self.lowest_cosine,
            **self.rates.to_json(),
            "tpr_difference": {tpr_key(target): rate for target, rate in self.tpr_difference.items()},
            "fpr_at_threshold": None if self.judged_at is None else {f"{self.judged_at:g}": self.fpr_at_threshold},
        }


def measure_loss(found: EmbeddedImages, reference: EmbeddedImages) -> Loss:
    """Compare embeddings with ``reference``, those of the same images in float32."""
    cosines = (found.embeddings.astype(np.float64) * reference.embeddings).sum(axis=1)
    cosine = {"mean_cosine": float(cosines.mean()), "lowest_cosine": float(cosines.min())}
    try:
        before, after = (verify(one.embeddings, one.labels, one.groups) for one in (reference, found))
    except RunError:  # no two images of one class, or a single class: cosines alone can be judged
        nothing = Rates({}, None, None)
        return Loss(**cosine, rates=nothing, before=nothing, judged_at=None, fpr_at_threshold=None, one_pair=0.0)
    rates = _rates(before, reference)
    judged_at = min((target for target in rates.tpr if target >= _STRICTEST_BUDGET), default=None)
    return Loss(
        **cosine,
        rates=_rates(after, found),
        before=rates,
        judged_at=judged_at,
        fpr_at_threshold=None if judged_at is None else _fpr(after, before.at_fpr(judged_at).threshold),
        one_pair=1 / before.genuine_pairs,
    )


def _fpr(verification: Verification, threshold: float) -> float:
    rates, _, thresholds = verification.roc()
    # Each rate has the lowest threshold that gives it; these descend.
    return float(rates[min(int(np.searchsorted(-thresholds, -threshold)), len(rates) - 1)])


def _rates(verification: Verification, embedded: EmbeddedImages) -> Rates:
    tpr = {target: verification.at_fpr(target).tpr for target in FPR_TARGETS if verification.has_enough(target)}
    known = [
        (one.registered, rate.mean)
        for one in open_set(embedded.embeddings, embedded.labels, embedded.groups, references=(1,))
        if (rate := one.tpir[_FPIR]) is not None
    ]
    registered, tpir = max(known, default=(None, None))
    return Rates(tpr, tpir, registered)
