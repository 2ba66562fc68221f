"""Pairs by their classes, few enough to weigh anew a thousand times: the top ones all, of the others a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.metrics.pairs import run_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zoo.metrics.embeddings import Floats, Integers
    from zoo.metrics.pairs import SortedImages
    from zoo.metrics.verification import Verification

# Impostor pairs that are all kept, the most similar ones; others that are sampled; genuine pairs.
_TOP, _OTHERS, _GENUINE = 2**15, 2**15, 2**17
_GATHERED = 2**12


@dataclass(frozen=True, eq=False)
class PairSample:
    """Pairs in ascending order of their cells, so in descending order of their scores.

    Attributes:
        cells: ``int64 [P]``, as in ``Verification``.
        first: ``int64 [P]``, the class of one image, numbered from 0.
        second: ``int64 [P]``, the class of the other.
        weights: ``float64 [P]``, how many pairs each stands for; up to each cell they sum to those that there are.
    """

    cells: Integers
    first: Integers
    second: Integers
    weights: Floats


def impostor_sample(images: SortedImages, found: Verification, seed: int) -> PairSample:
    """Keep the most similar pairs of strangers and a random sample of the others."""
    counts = np.cumsum(found.impostor)
    if counts[-1] <= _TOP + _OTHERS:
        kept, limit = _top_pairs(images, found.width, found.cells[-1]), found.cells[-1]
    else:
        # A cell that holds more than all that are to be kept is sampled.
        last = int(np.searchsorted(counts, _TOP, side="right")) - 1
        limit = found.cells[last] if last >= 0 else -1
        kept = _top_pairs(images, found.width, limit) if last >= 0 else np.empty((3, 0), np.int64)
    columns, weights = [kept], [np.ones(kept.shape[1])]
    if kept.shape[1] < counts[-1]:
        others = _scored(images, found.width, _random_strangers(images, np.random.default_rng([seed, 1])))
        others = others[:, others[0] > limit]
        others = others[:, np.argsort(others[0], kind="stable")]
        columns.append(others)
        weights.append(_shares(others[0], found.cells, counts, start=kept.shape[1]))
    return _sorted(np.concatenate(columns, axis=1), np.concatenate(weights))


def genuine_sample(images: SortedImages, found: Verification, seed: int) -> PairSample:
    """Keep all genuine pairs, or where there are many a random sample."""
    sizes = np.bincount(images.labels)
    if found.genuine_pairs <= _GENUINE:
        starts = np.cumsum(sizes) - sizes
        order = np.argsort(images.labels, kind="stable")
        upper = {int(size): np.triu_indices(size, 1) for size in np.unique(sizes)}
        pairs = [
            np.stack([order[start + upper[size][side]] for side in (0, 1)])
            for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)
        ]
        scored = _scored(images, found.width, np.concatenate(pairs, axis=1))
    else:
        scored = _scored(images, found.width, _random_twins(images, sizes, np.random.default_rng([seed, 2])))
    scored = scored[:, np.argsort(scored[0], kind="stable")]
    counts = np.cumsum(found.genuine)
    return _sorted(scored, _shares(scored[0], found.cells, counts, start=0))


def _sorted(columns: Integers, weights: Floats) -> PairSample:
    order = np.argsort(columns[0], kind="stable")
    cells, first, second = columns[:, order]
    return PairSample(cells, first, second, weights[order])


def _shares(sampled: Integers, cells: Integers, counts: Integers, *, start: int) -> Floats:
    """Share the pairs that there are, beyond the first ``start``, among ``sampled`` cells, ascending."""
    own, multiplicity = np.unique(sampled, return_counts=True)
    # A score at the edge of a cell may be rounded into the one before it, where there are no pairs.
    reached = np.append(0, counts)[np.searchsorted(cells, own, side="right")].astype(np.float64)
    # The last one stands for all that are left.
    reached[-1] = counts[-1]
    return np.repeat(np.maximum(np.diff(reached, prepend=start), 0) / multiplicity, multiplicity)


def _top_pairs(images: SortedImages, width: float, limit: int) -> Integers:
    """Return cell and classes of all pairs of strangers in cells up to ``limit``, ``int64 [3, P]``."""

    def search(tiles: Sequence[tuple[slice, slice]]) -> list[Integers]:
        found = [np.empty((3, 0), np.int64)]
        for rows, columns in tiles:
            # Most pairs of a class are left out before they are looked at.
            start = max(columns.start, int(images.group_ends[rows.start]))
            if start >= columns.stop:
                continue
            scaled = images.unit[rows] * (-1 / width) @ images.unit[start : columns.stop].T
            # The number of a cell is what is before the point, after half a cell was added.
            row, column = np.nonzero(scaled < limit + 0.5 - 1 / width)
            cells = (scaled[row, column] + (1 / width + 0.5)).astype(np.int64)
            row, column = row + rows.start, column + start
            strangers = (column > row) & (images.groups[row] != images.groups[column])
            found.append(np.stack([cells, images.labels[row], images.labels[column]])[:, strangers])
        return found

    return np.concatenate([one for part in run_parts(search, images.tiles()) for one in part], axis=1)


def _scored(images: SortedImages, width: float, pairs: Integers) -> Integers:
    """Return cell and classes of ``pairs``: rows of images ``int64 [2, P]`` to ``int64 [3, P]``."""
    cells = []
    for start in range(0, pairs.shape[1], _GATHERED):
        first, second = (images.unit[side] for side in pairs[:, start : start + _GATHERED])
        cells.append((np.einsum("pd,pd->p", first, second) * (-1 / width) + (1 / width + 0.5)).astype(np.int64))
    return np.stack([np.concatenate(cells), images.labels[pairs[0]], images.labels[pairs[1]]])


def _random_strangers(images: SortedImages, random: np.random.Generator) -> Integers:
    return _enough(
        lambda count: random.integers(0, len(images.labels), (2, count)),
        lambda pairs: images.groups[pairs[0]] != images.groups[pairs[1]],
        _OTHERS,
    )


def _random_twins(images: SortedImages, sizes: Integers, random: np.random.Generator) -> Integers:
    order = np.argsort(images.labels, kind="stable")
    starts, pairs = np.cumsum(sizes) - sizes, sizes * (sizes - 1) / 2

    def draw(count: int) -> Integers:
        chosen = random.choice(len(sizes), count, p=pairs / pairs.sum())
        rows: Integers = order[starts[chosen] + (random.random((2, count)) * sizes[chosen]).astype(np.int64)]
        return rows

    return _enough(draw, lambda drawn: drawn[0] != drawn[1], _GENUINE)


def _enough(draw: Callable[[int], Integers], is_kept: Callable[[Integers], np.ndarray], wanted: int) -> Integers:
    """Draw pairs until so many are kept; each kind is some share of all, so that this ends."""
    found = np.empty((2, 0), np.int64)
    while found.shape[1] < wanted:
        drawn = draw(wanted)
        found = np.concatenate([found, drawn[:, is_kept(drawn)]], axis=1)
    return found[:, :wanted]
