"""Verification over all pairs and rank-1 identification, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

FPR_TARGETS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

# Scores are counted in cells, few enough that any number of pairs fits in memory. Over the whole range of a cosine a
# cell is 2.4e-7 wide, about what a float32 embedding is rounded to; a collapsed model, whose scores lie close together,
# gets narrower ones. Scores that differ by less than _TIE are equal but for rounding.
_CELLS = 2**23
_TIE = 2.0**-48
_BLOCK_SCORES = 2**22


@dataclass(frozen=True)
class OperatingPoint:
    """Where one threshold puts the system: pairs with ``score >= threshold`` are accepted."""

    fpr_target: float
    fpr: float
    tpr: float
    threshold: float


@dataclass(frozen=True, eq=False)
class Verification:
    """The distribution of the scores of genuine pairs (same class) and impostor pairs (different class).

    ``cells``: ``int64 [M]``, ascending: cell ``k`` holds the scores in ``1 - (k +- 1/2) * width``, so the first are the
    highest; only cells that hold a pair are kept. ``genuine`` and ``impostor``: ``int64 [M]``, the pairs in each cell.
    """

    images: int
    classes: int
    width: float
    cells: Integers
    genuine: Integers
    impostor: Integers

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
        """The number of pairs of different classes."""
        return int(self.impostor.sum())

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

    def at_fpr(self, target: float) -> OperatingPoint:
        """Return the lowest threshold whose false positive rate is not above ``target``, and its rates.

        With fewer than ``1 / target`` impostor pairs that is the threshold just above all of them, at rate 0.
        """
        fpr, tpr, thresholds = self.roc()
        last = int(np.searchsorted(fpr, target, side="right")) - 1
        return OperatingPoint(target, float(fpr[last]), float(tpr[last]), float(thresholds[last]))

    def roc(self) -> tuple[Floats, Floats, Floats]:
        """Return the ROC curve: false and true positive rates, ascending, and their thresholds, descending.

        Each ``float64 [K]``, one point for each false positive rate there is, with the lowest threshold that gives it:
        from 0, just above all impostors, to 1. The counts at each threshold are exact.
        """
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


def verify(embeddings: npt.NDArray[np.floating], labels: Integers) -> Verification:
    """Score all pairs of images by the cosine of their embeddings.

    Every pair is counted once, an image is never paired with itself. Work is done in blocks: memory stays some
    hundred MB however many images there are.

    Args:
        embeddings: ``float [N, D]``, normalised or not.
        labels: ``int [N]``, the class of each.

    Raises:
        RunError: an embedding is not finite or zero, there are fewer than two classes, or no class has two images.
    """
    unit = _unit(embeddings)
    labels = _checked_labels(labels, len(unit))
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
    span = _span(unit)
    width = max(2.0 ** np.ceil(np.log2(span / _CELLS)), _TIE)
    everything = np.zeros(int(span / width) + 2, np.int64)
    genuine = np.zeros_like(everything)
    for scores, same in _pairs(unit, labels):
        cells = _cells(scores, width)
        _count(everything, cells)
        _count(genuine, cells[same])
    used = np.flatnonzero(everything)
    return Verification(
        images=len(labels),
        classes=classes,
        width=float(width),
        cells=used,
        genuine=genuine[used],
        impostor=everything[used] - genuine[used],
    )


def rank1(embeddings: npt.NDArray[np.floating], labels: Integers, is_reference: Booleans) -> float:
    """Return the share of images that are closest, by cosine, to the reference of their own class.

    Every image that is no reference is a query. It is right only if its own class scores strictly higher than every
    other, so that a model which maps everything to one point gets 0.

    Args:
        embeddings: ``float [N, D]``, normalised or not.
        labels: ``int [N]``, the class of each.
        is_reference: ``bool [N]``, the references: one or more per class.

    Raises:
        RunError: an embedding is not finite or zero, there is no query, or a query's class has no reference.
    """
    unit = _unit(embeddings)
    labels = _checked_labels(labels, len(unit))
    references, reference_labels = unit[is_reference], labels[is_reference]
    queries, query_labels = unit[~is_reference], labels[~is_reference]
    if len(queries) == 0:
        raise RunError(
            f"rank-1 needs queries, but all of the {len(labels)} images are references",
            hint="add captures of each image with data.valid_captures=8",
        )
    orphans = np.setdiff1d(query_labels, reference_labels)
    if orphans.size:
        raise RunError(
            f"rank-1 needs a reference of each class, but {orphans.size} have none (the first: class {orphans[0]})"
        )
    right = 0
    rows = max(1, _BLOCK_SCORES // len(references))
    for start in range(0, len(queries), rows):
        scores = queries[start : start + rows] @ references.T
        own = query_labels[start : start + rows, None] == reference_labels
        best_own = np.where(own, scores, -np.inf).max(axis=1)
        best_other = np.where(own, -np.inf, scores).max(axis=1)
        right += int(np.count_nonzero(best_own > best_other + _TIE))
    return right / len(queries)


def summary(embeddings: npt.NDArray[np.floating], labels: Integers, is_reference: Booleans) -> dict[str, float]:
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


def _unit(embeddings: npt.NDArray[np.floating]) -> Floats:
    if embeddings.ndim != 2:  # noqa: PLR2004 - rows and columns
        raise RunError(f"embeddings must be [N, D], not {list(embeddings.shape)}")
    # float64, so that scores do not depend on how the work is cut into blocks.
    wide = embeddings.astype(np.float64)
    broken = np.count_nonzero(~np.isfinite(wide).all(axis=1))
    if broken:
        raise RunError(
            f"{broken} of {len(wide)} embeddings are not finite (NaN or infinity)",
            hint="the model has diverged: lower the learning rate, or clip gradients",
        )
    # Scaled first, so that squares of very small or large values neither vanish nor overflow.
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0.0)
    zero = np.count_nonzero(largest == 0)
    if zero:
        raise RunError(
            f"{zero} of {len(wide)} embeddings are all zeros: they have no direction",
            hint="the model has collapsed: lower the learning rate, or train from other weights",
        )
    wide /= largest
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    return wide


def _checked_labels(labels: Integers, count: int) -> Integers:
    if labels.shape != (count,):
        raise RunError(f"there are {count} embeddings, but labels of shape {list(labels.shape)}")
    return labels


def _span(unit: Floats) -> float:
    """Return how far below 1 a score can lie: 2, or less when all embeddings lie around one direction."""
    mean = unit.mean(axis=0)
    length = float(np.linalg.norm(mean))
    lowest = float((unit @ mean).min()) / length if length > 0 else 0.0
    # Two embeddings at an angle a from the mean are at most 2a apart, and 1 - cos(2a) is 2 - 2 cos(a)^2.
    span = 2.0 - 2.0 * lowest**2 if lowest > 0 else 2.0
    # A hundredth more, for rounding, and enough to take the logarithm of.
    return min(2.0, span * 1.01 + _TIE)


def _pairs(unit: Floats, labels: Integers) -> Iterator[tuple[Floats, Booleans]]:
    """Yield the scores of all pairs ``i < j`` block by block, and which pairs are genuine; both one-dimensional."""
    rows = max(1, _BLOCK_SCORES // len(unit))
    for start in range(0, len(unit), rows):
        block, block_labels = unit[start : start + rows], labels[start : start + rows]
        stop = start + len(block)
        upper = np.triu_indices(len(block), 1)
        yield (block @ block.T)[upper], block_labels[upper[0]] == block_labels[upper[1]]
        if stop < len(unit):
            yield (block @ unit[stop:].T).ravel(), (block_labels[:, None] == labels[stop:]).ravel()


def _cells(scores: Floats, width: float) -> Integers:
    """Number the cells of ``scores``: ``round((1 - score) / width)``; overwrites the scores."""
    np.subtract(1.0, scores, out=scores)
    scores *= 1 / width
    scores += 0.5
    # Rounding can lift a cosine above 1, or below the span by less than a cell.
    np.maximum(scores, 0.0, out=scores)
    return scores.astype(np.int64)


def _count(counts: Integers, cells: Integers) -> None:
    if cells.size:
        lowest = int(cells.min())
        found = np.bincount(cells - lowest)
        counts[lowest : lowest + len(found)] += found
