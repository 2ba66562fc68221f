"""Retrieval: how many of an image's nearest neighbours are of its class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.metrics.embeddings import checked_labels, unit_vectors
from zoo.metrics.pairs import run_parts
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from zoo.metrics.embeddings import Floats, Integers, Labels

_BLOCK_SCORES = 2**23


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Means over the images that have another one of their class, of which there are ``R``; each 0..1.

    Attributes:
        map_at_r: mean average precision at R: the precision at each right one of the R nearest, summed, over R.
        r_precision: the share of right ones among the R nearest.
        queries: how many images that is the mean of.
    """

    map_at_r: float
    r_precision: float
    queries: int


def retrieve(embeddings: npt.NDArray[np.floating], labels: Labels) -> Retrieval:
    """Look for each image among all others by cosine, as pytorch-metric-learning's ``AccuracyCalculator`` does.

    Args:
        embeddings: ``float [N, D]``, normalised or not.
        labels: ``int [N]``, the class of each.

    Raises:
        RunError: an embedding is not finite or zero, or no class has two images.
    """
    unit = unit_vectors(embeddings).astype(np.float32)
    labels = checked_labels(labels, len(unit))
    _, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    others = sizes[numbers] - 1
    # Images of classes of one size together: a block asks for as many neighbours as its largest class has.
    queries = np.flatnonzero(others > 0)
    queries = queries[np.argsort(others[queries], kind="stable")]
    if not queries.size:
        raise RunError(f"retrieval needs classes of two images or more, but each of the {len(sizes)} classes has one")
    rows = max(1, _BLOCK_SCORES // len(unit))
    blocks = [queries[start : start + rows] for start in range(0, len(queries), rows)]

    def measure(share: Sequence[Integers]) -> list[Floats]:
        return [_precisions(unit, labels, block, others[block]) for block in share]

    precisions = np.concatenate([part for parts in run_parts(measure, blocks) for part in parts], axis=1)
    # In order, so that threads do not change the last digit.
    average, right = np.sort(precisions, axis=1).mean(axis=1).tolist()
    return Retrieval(average, right, len(queries))


def _precisions(unit: npt.NDArray[np.float32], labels: Integers, block: Integers, others: Integers) -> Floats:
    """Return average precision and precision at R of each image of ``block``, ``float64 [2, B]``."""
    scores = unit[block] @ unit.T
    scores[np.arange(len(block)), block] = -np.inf
    most = int(others.max())
    nearest = np.argpartition(scores, -most, axis=1)[:, -most:]
    ranked = np.argsort(-np.take_along_axis(scores, nearest, axis=1), axis=1, kind="stable")
    nearest = np.take_along_axis(nearest, ranked, axis=1)
    places = np.arange(1, most + 1)
    right = (labels[nearest] == labels[block, None]) & (places <= others[:, None])
    precision = np.cumsum(right, axis=1) / places
    return np.stack([(precision * right).sum(axis=1), right.sum(axis=1)]) / others
