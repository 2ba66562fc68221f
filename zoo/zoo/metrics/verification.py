"""Verification over all pairs, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from zoo.metrics.embeddings import checked_groups, checked_labels, unit_vectors
from zoo.metrics.pairs import CELLS, TIE, SortedImages, count_pairs
from zoo_core.errors import RunError

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo.metrics.embeddings import Floats, Integers, Labels
    from zoo.metrics.worst_pairs import WorstPairs

FPR_TARGETS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
# A rate is not known from fewer false positives than this.
LEAST_FALSE = 10


@dataclass(frozen=True)
class OperatingPoint:
    """Where one threshold puts the system: pairs with ``score >= threshold`` are accepted."""

    fpr_target: float
    fpr: float
    tpr: float
    threshold: float


@dataclass(frozen=True, slots=True)
class ReportedPoint:
    """An operating point as it may be printed: without figures where there are too few pairs for its target.

    Attributes:
        fpr_target: the false positive rate that was asked for.
        pairs: the pairs of strangers there are; from ``10 / fpr_target`` on there are figures.
        fpr: the rate at the threshold, at most the target; None with too few pairs, as the others.
        tpr: the true positive rate.
        threshold: the lowest score, -1..1, that is accepted.
        interval: within which the true positive rate lies at 95 % confidence; None where that was not asked for.
    """

    fpr_target: float
    pairs: int
    fpr: float | None = None
    tpr: float | None = None
    threshold: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Verification:
    """The distribution of the scores of genuine pairs (same class) and impostor pairs (different class).

    Impostor pairs of two look-alikes are counted apart: rates and thresholds are those of strangers.

    ``cells``: ``int64 [M]``, ascending: cell ``k`` holds the scores in ``1 - (k +- 1/2) * width``, so the first are the
    highest; only cells that hold a pair are kept. ``genuine``, ``impostor`` (strangers) and ``look_alike``:
    ``int64 [M]``, the pairs in each cell. ``worst``: the pairs that are most wrong.
    """

    images: int
    classes: int
    width: float
    cells: Integers
    genuine: Integers
    impostor: Integers
    look_alike: Integers
    worst: WorstPairs

    @property
    def scores(self) -> Floats:
        """The middle of each cell, ``float64 [M]``, descending."""
        return self._score(self.cells)

    @cached_property
    def genuine_pairs(self) -> int:
        """The number of pairs of the same class."""
        return int(self.genuine.sum())

    @cached_property
    def impostor_pairs(self) -> int:
        """The number of pairs of different classes, without those of look-alikes."""
        return int(self.impostor.sum())

    @cached_property
    def look_alike_pairs(self) -> int:
        """The number of pairs of different classes of one group."""
        return int(self.look_alike.sum())

    @property
    def look_alikes(self) -> Verification | None:
        """The same genuine pairs against the look-alikes alone, with their own rates and curve; None without any."""
        if not self.look_alike_pairs:
            return None
        return replace(self, impostor=self.look_alike, look_alike=np.zeros_like(self.look_alike))

    @cached_property
    def auc(self) -> float:
        """The area under the ROC curve: the probability that a genuine pair outscores an impostor pair, ties half.

        Scores in one cell are ties; that moves the area by less than the share of such pairs, some 1e-8.
        """
        below = self.impostor_pairs - np.cumsum(self.impostor) + self.impostor / 2
        return float(np.dot(self.genuine, below)) / self.genuine_pairs / self.impostor_pairs

    @cached_property
    def operating_points(self) -> tuple[OperatingPoint, ...]:
        """One point for each of ``FPR_TARGETS``."""
        return tuple(self.at_fpr(target) for target in FPR_TARGETS)

    @cached_property
    def eer(self) -> float:
        """The equal error rate, at which as many impostors are accepted as genuine pairs are refused.

        Between two thresholds it is interpolated along the ROC curve.
        """
        false = np.append(0.0, np.cumsum(self.impostor) / self.impostor_pairs)
        missed = np.append(1.0, 1 - np.cumsum(self.genuine) / self.genuine_pairs)
        after = int(np.searchsorted(false - missed, 0))
        before = after - 1
        gap, rest = missed[before] - false[before], false[after] - missed[after]
        return float(false[before] + (false[after] - false[before]) * gap / (gap + rest))

    def has_enough(self, fpr_target: float) -> bool:
        """Return whether there are the ``10 / fpr_target`` pairs of strangers from which on a rate is known."""
        return self.impostor_pairs * fpr_target >= LEAST_FALSE * (1 - 1e-9)

    def report(self, fpr_target: float, interval: tuple[float, float] | None = None) -> ReportedPoint:
        """Return the point at ``fpr_target`` as it may be printed, with the ``interval`` of its true positive rate."""
        if not self.has_enough(fpr_target):
            return ReportedPoint(fpr_target, self.impostor_pairs)
        point = self.at_fpr(fpr_target)
        return ReportedPoint(fpr_target, self.impostor_pairs, point.fpr, point.tpr, point.threshold, interval)

    def at_fpr(self, target: float) -> OperatingPoint:
        """Return the lowest threshold whose false positive rate is not above ``target``, and its rates.

        With fewer than ``1 / target`` impostor pairs that is the threshold just above all of them, at rate 0: see
        ``has_enough`` before it is printed.
        """
        fpr, tpr, thresholds = self._curve
        last = int(np.searchsorted(fpr, target, side="right")) - 1
        return OperatingPoint(target, float(fpr[last]), float(tpr[last]), float(thresholds[last]))

    def roc(self) -> tuple[Floats, Floats, Floats]:
        """Return the ROC curve: false and true positive rates, ascending, and their thresholds, descending.

        Each ``float64 [K]``, one point for each false positive rate there is, with the lowest threshold that gives it:
        from 0, just above all impostors, to 1. The counts at each threshold are exact.
        """
        return self._curve

    @cached_property
    def _curve(self) -> tuple[Floats, Floats, Floats]:
        steps = np.flatnonzero(self.impostor)
        before = steps - 1
        false = np.append(np.cumsum(self.impostor)[steps] - self.impostor[steps], self.impostor_pairs)
        # Pairs of a cell fall together: those accepted lie in the cells before it.
        true = np.append(np.where(before >= 0, np.cumsum(self.genuine)[before], 0), self.genuine_pairs)
        thresholds = self._score(np.append(self.cells[steps] - 0.5, self.cells[-1] + 0.5))
        return false / self.impostor_pairs, true / self.genuine_pairs, thresholds

    def histogram(self, edges: Floats) -> tuple[Integers, Integers]:
        """Count genuine and impostor pairs between ``edges [B + 1]`` (ascending): two ``int64 [B]``.

        As in ``numpy.histogram``, a bin holds its left edge, and the last bin its right one too.
        """
        genuine, impostor = (
            np.histogram(self.scores, bins=edges, weights=counts)[0].astype(np.int64)
            for counts in (self.genuine, self.impostor)
        )
        return genuine, impostor

    def _score(self, cells: npt.NDArray[np.floating] | Integers) -> Floats:
        return np.asarray(1.0 - cells * self.width, dtype=np.float64)


def verify(embeddings: npt.NDArray[np.floating], labels: Labels, groups: Labels | None = None) -> Verification:
    """Score all pairs of images by the cosine of their embeddings.

    Every pair is counted once, an image is never paired with itself, and the counts at each threshold that lies
    between two cells are exact. Work is done in blocks: memory stays some hundred MB however many images there are.

    Args:
        embeddings: ``float [N, D]``, normalised or not.
        labels: ``int [N]``, the class of each.
        groups: ``int [N]``, the group of each one's class: classes of one group are look-alikes. Default: none are.

    Raises:
        RunError: an embedding is not finite or zero, there are fewer than two classes, no class has two images, or all
            classes are look-alikes of each other.
    """
    unit = unit_vectors(embeddings)
    labels = checked_labels(labels, len(unit))
    groups = checked_groups(groups, labels)
    classes = int(np.unique(labels).size)
    if classes < 2:  # noqa: PLR2004 - it takes two classes to have an impostor pair
        raise RunError(
            f"verification needs at least two classes, but the {len(labels)} images have {classes}",
            hint="validate on a data set with more classes",
        )
    if classes == len(labels):
        raise RunError(
            f"verification needs pairs of the same class, but each of the {classes} classes has one image",
            hint="add captures of each image with data.valid_captures=8",
        )
    if (groups == groups[0]).all():
        raise RunError(
            f"verification needs pairs of strangers, but all {classes} classes are look-alikes of each other",
            hint="validate on a data set with other classes too",
        )
    span = _span(unit)
    width = max(2.0 ** np.ceil(np.log2(span / CELLS)), TIE)
    counts = count_pairs(SortedImages.of(unit, labels, groups), float(width), int(span / width) + 2)
    used = np.flatnonzero(counts.genuine + counts.impostor + counts.look_alike)
    return Verification(
        images=len(labels),
        classes=classes,
        width=float(width),
        cells=used,
        genuine=counts.genuine[used],
        impostor=counts.impostor[used],
        look_alike=counts.look_alike[used],
        worst=counts.worst,
    )


def _span(unit: Floats) -> float:
    """Return how far below 1 a score can lie: 2, or less when all embeddings lie around one direction."""
    mean = unit.mean(axis=0)
    length = float(np.linalg.norm(mean))
    lowest = float((unit @ mean).min()) / length if length > 0 else 0.0
    # Two embeddings at an angle a from the mean are at most 2a apart, and 1 - cos(2a) is 2 - 2 cos(a)^2.
    span = 2.0 - 2.0 * lowest**2 if lowest > 0 else 2.0
    # A hundredth more, for rounding, and enough to take the logarithm of.
    return min(2.0, span * 1.01 + TIE)
