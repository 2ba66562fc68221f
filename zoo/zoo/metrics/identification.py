"""Identification of images by the references that they are closest to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.metrics.embeddings import checked_labels, checked_references, unit_vectors
from zoo_core.errors import RunError

if TYPE_CHECKING:
    import numpy.typing as npt

    from zoo.metrics.embeddings import Booleans, Labels

# Scores that differ by less are equal but for rounding.
_TIE = 2.0**-48
_BLOCK_SCORES = 2**22


def rank1(embeddings: npt.NDArray[np.floating], labels: Labels, is_reference: Booleans) -> float:
    """Return the share of images that are closest, by cosine, to the reference of their own class.

    See ``rank1_queries``.
    """
    return float(rank1_queries(embeddings, labels, is_reference).mean())


def rank1_queries(embeddings: npt.NDArray[np.floating], labels: Labels, is_reference: Booleans) -> Booleans:
    """Return which queries are closest, by cosine, to the reference of their own class: ``bool [Q]``, in their order.

    Every image that is no reference is a query. It is right only if its own class scores strictly higher than every
    other, so that a model which maps everything to one point gets 0.

    Args:
        embeddings: ``float [N, D]``, normalised or not.
        labels: ``int [N]``, the class of each.
        is_reference: ``bool [N]``, the references: one or more per class.

    Raises:
        RunError: an embedding is not finite or zero, there is no query, or a query's class has no reference.
    """
    unit = unit_vectors(embeddings)
    labels = checked_labels(labels, len(unit))
    is_reference = checked_references(is_reference, len(unit))
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
    right = np.empty(len(queries), np.bool_)
    rows = max(1, _BLOCK_SCORES // len(references))
    for start in range(0, len(queries), rows):
        scores = queries[start : start + rows] @ references.T
        own = query_labels[start : start + rows, None] == reference_labels
        best_own = np.where(own, scores, -np.inf).max(axis=1)
        best_other = np.where(own, -np.inf, scores).max(axis=1)
        right[start : start + rows] = best_own > best_other + _TIE
    return right
