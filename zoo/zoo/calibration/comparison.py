"""Pictures beside a gallery: who is a stranger to whom, and how well they match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.calibration.matches import STRANGER, Gallery, Queries, best_scores, chance_in_smaller, others_accepted
from zoo.calibration.search import Strangers
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from zoo.calibration.bounds import Floats
    from zoo.calibration.matches import Integers, Scores
    from zoo.calibration.pictures import Embedded

# Where one class is taken for another, the other is taken for it, too: two of them see one match.
_OF_EACH_OTHER = 0.5


@dataclass(frozen=True, eq=False)
class Compared:
    """Pictures and the scores that they have with a gallery.

    Attributes:
        queries: the pictures.
        gallery: the references.
        own: ``float32 [N]``, the best score of each picture with its own class; -inf for none.
        other: ``float32 [N]``, the best score with any other class.
        rows: ``int [S]``, which of the pictures are strangers.
        strangers: these, by their scores.
        among_themselves: whether the classes of the gallery are the strangers, each to all others.
    """

    queries: Queries
    gallery: Gallery
    own: Scores
    other: Scores
    rows: Integers
    strangers: Strangers
    among_themselves: bool

    @property
    def other_classes(self) -> int:
        """How many classes a stranger is compared with."""
        return self.gallery.count - self.among_themselves

    def found_again(self, threshold: float) -> Floats:
        """Return the share of its pictures that each class finds again, ``float64 [C]``; empty where none has two.

        A picture is found if its own class scores best, and from ``threshold`` on.
        """
        known = np.flatnonzero(np.isfinite(self.own))
        right = (self.own[known] >= threshold) & (self.own[known] > self.other[known])
        _, classes = np.unique(self.queries.own[known], return_inverse=True)
        return np.asarray(np.bincount(classes, weights=right) / np.bincount(classes))

    def expected_fpir(self, threshold: float, sizes: tuple[int, ...]) -> dict[int, float]:
        """Return the mean FPIR over all galleries of so many of these classes, for each of ``sizes`` that there are."""
        asked, rows = self.queries, self.rows
        among = Queries(asked.embeddings[rows], asked.own[rows], asked.itself[rows])
        accepted = others_accepted(among, self.gallery, threshold)
        return {
            size: float(self.strangers.shares(chance_in_smaller(accepted, self.other_classes, size)).mean())
            for size in sorted({*sizes, self.other_classes})
            if size <= self.other_classes
        }


def compare(found: Embedded, gallery: Embedded | None) -> Compared:
    """Compare pictures with a gallery; where there is none, with each other, each class a stranger to the others.

    Raises:
        UsageError: there are no strangers.
    """
    known = found if gallery is None else gallery
    numbers = {name: number for number, name in enumerate(sorted(set(known.labels)))}
    own = np.array([numbers.get(label, STRANGER) for label in found.labels])
    if gallery is None and len(numbers) == 1:
        raise UsageError(
            f"all pictures are of one class, {known.labels[0]!r}, so that none is a stranger",
            hint="give folders of several classes, or a gallery and pictures of strangers to it",
        )
    itself = np.arange(len(own)) if gallery is None else _positions(found, gallery)
    rows = np.arange(len(own)) if gallery is None else np.flatnonzero(own == STRANGER)
    if not rows.size:
        raise UsageError(
            "there are no strangers: each picture is of a class of the gallery",
            hint="add pictures of other things; without a gallery each class is a stranger to the others",
        )
    references = Gallery(known.embeddings, np.array([numbers[label] for label in known.labels]))
    queries = Queries(found.embeddings, own, itself)
    own_scores, other_scores = best_scores(queries, references)
    names = {name: number for number, name in enumerate(sorted({found.labels[row] for row in rows}))}
    classes = np.array([names[found.labels[row]] for row in rows])
    strangers = Strangers(other_scores[rows], classes, _OF_EACH_OTHER if gallery is None else 1.0)
    return Compared(queries, references, own_scores, other_scores, rows, strangers, gallery is None)


def _positions(found: Embedded, gallery: Embedded) -> Integers:
    """Return which reference has the very file of each picture, ``int [N]``, or -1: it would find itself."""
    position = {digest: number for number, digest in enumerate(gallery.digests)}
    positions = np.full(len(found.labels), -1)
    for row, digest in enumerate(found.digests):
        positions[row] = position.get(digest, -1)
    return positions
