"""The best scores of pictures against a gallery, apart for their own class and for all others; numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

Integers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

_BLOCK_SCORES = 2**22
STRANGER = -1


@dataclass(frozen=True, eq=False)
class Gallery:
    """References: ``embeddings float32 [R, D]`` of unit length, and the class of each, ``int [R]``, 0..K-1."""

    embeddings: Scores
    classes: Integers

    @cached_property
    def count(self) -> int:
        """The number of classes."""
        return int(self.classes.max()) + 1

    @cached_property
    def by_class(self) -> tuple[Scores, Integers]:
        """The references ordered by class, and where each class starts."""
        order = np.argsort(self.classes, kind="stable")
        return self.embeddings[order], np.searchsorted(self.classes[order], np.arange(self.count))


@dataclass(frozen=True, eq=False)
class Queries:
    """Pictures to find in a gallery.

    Attributes:
        embeddings: ``float32 [N, D]`` of unit length.
        own: ``int [N]``, the class of each in the gallery, or ``STRANGER``.
        itself: ``int [N]``, which reference a picture is itself, so that it is not compared with that; -1 for none.
    """

    embeddings: Scores
    own: Integers
    itself: Integers


def best_scores(queries: Queries, gallery: Gallery) -> tuple[Scores, Scores]:
    """Return the best score of each picture with its own class, and with any other: two ``float32 [N]``.

    It is -inf where there is no reference of that kind.
    """
    own, other = np.empty((2, len(queries.own)), np.float32)
    for rows, scores, own_scores in _blocks(queries, gallery):
        own[rows] = own_scores
        other[rows] = scores.max(axis=1)
    return own, other


def others_accepted(queries: Queries, gallery: Gallery, threshold: float) -> Integers:
    """Count for each picture the classes other than its own that score from ``threshold`` on, ``int64 [N]``."""
    found = np.empty(len(queries.own), np.int64)
    for rows, scores, _ in _blocks(queries, gallery):
        found[rows] = np.count_nonzero(scores >= threshold, axis=1)
    return found


def chance_in_smaller(accepted: Integers, classes: int, size: int) -> npt.NDArray[np.float64]:
    """Return the probability that a gallery of ``size`` classes, drawn from ``classes``, accepts, ``float64 [N]``.

    Args:
        accepted: ``int [N]``, how many of the ``classes`` accept each picture.
        classes: how many there are.
        size: how many of them are drawn, at most ``classes``.
    """
    # None of the drawn is among the accepting: the first accepting one is not drawn, nor the second of the rest ...
    steps = np.arange(int(accepted.max(initial=0)))
    none = np.cumprod(np.append(1.0, np.maximum(classes - size - steps, 0) / np.maximum(classes - steps, 1)))
    return np.asarray(1 - none[accepted])


def _blocks(queries: Queries, gallery: Gallery) -> Iterator[tuple[slice, Scores, Scores]]:
    """Yield rows, their scores with each class ``[n, K]`` (-inf for their own), and the best with their own ``[n]``."""
    references, starts = gallery.by_class
    # Where each reference has gone.
    place = np.empty(len(references), np.int64)
    place[np.argsort(gallery.classes, kind="stable")] = np.arange(len(references))
    height = max(1, _BLOCK_SCORES // len(references))
    for start in range(0, len(queries.own), height):
        rows = slice(start, start + height)
        scores = queries.embeddings[rows] @ references.T
        itself = np.flatnonzero(queries.itself[rows] >= 0)
        scores[itself, place[queries.itself[rows][itself]]] = -np.inf
        best = np.maximum.reduceat(scores, starts, axis=1)
        own = np.full(len(best), -np.inf, np.float32)
        known = np.flatnonzero(queries.own[rows] != STRANGER)
        columns = queries.own[rows][known]
        own[known] = best[known, columns]
        best[known, columns] = -np.inf
        yield rows, best, own
