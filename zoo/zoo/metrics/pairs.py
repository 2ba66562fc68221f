"""One pass over the scores of all pairs of images: each is counted in a cell, and the worst are remembered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from zoo.metrics.worst_pairs import WORST, Worst, WorstPairs
from zoo.workers import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zoo.metrics.embeddings import Floats, Integers

# Scores are counted in cells, few enough that any number of pairs fits in memory. Over the whole range of a cosine a
# cell is 9.5e-7 wide, about what scores of one model differ by between two runtimes; a collapsed model, whose scores
# lie close together, gets narrower ones. Scores that differ by less than TIE are equal but for rounding.
CELLS = 2**21
TIE = 2.0**-48
# A tile of scores fits into the last cache, a chunk of it into that of a core.
_TILE_ROWS, _TILE_COLUMNS = 1024, 2048
_CHUNK_SCORES = 2**15
# A float64 of 2**52 and more is an integer, and its lowest bits are that integer's: adding this rounds, in place.
_ROUNDING = 2.0**52
_ROUNDING_BITS = int(np.float64(_ROUNDING).view(np.int64))
# Each has its own counts.
_MOST_WORKERS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class SortedImages:
    """Images in the order of groups and classes, so that pairs of a class, and of look-alikes, lie together.

    ``unit``: ``float64 [N, D]`` of unit length; ``labels``, ``groups``: ``int64 [N]``, classes numbered from 0;
    ``order``: ``int64 [N]``, where each image stood before.
    """

    unit: Floats
    labels: Integers
    groups: Integers
    order: Integers

    @classmethod
    def of(cls, unit: Floats, labels: Integers, groups: Integers) -> SortedImages:
        """Sort images; those of a class keep their order."""
        order = np.lexsort((labels, groups))
        _, numbers = np.unique(labels, return_inverse=True)
        return cls(unit[order], numbers[order], groups[order], order)

    @property
    def classes(self) -> int:
        """The number of classes."""
        return int(self.labels.max()) + 1

    @cached_property
    def class_ends(self) -> Integers:
        """Where the class of each image ends, ``int64 [N]``."""
        return _ends(self.labels)

    @cached_property
    def group_ends(self) -> Integers:
        """Where the group of each image ends, ``int64 [N]``."""
        return _ends(self.groups)

    def are_one_class(self, rows: slice) -> bool:
        """Return whether all images at ``rows`` are of one class."""
        return bool(self.class_ends[rows.start] >= rows.stop)

    def tiles(self) -> list[tuple[slice, slice]]:
        """Cut the upper triangle of all pairs into rows and columns."""
        count = len(self.labels)
        return [
            (slice(top, min(top + _TILE_ROWS, count)), slice(left, min(left + _TILE_COLUMNS, count)))
            for top in range(0, count, _TILE_ROWS)
            for left in range(top, count, _TILE_COLUMNS)
        ]


@dataclass(frozen=True, eq=False)
class PairCounts:
    """How many pairs are in each cell, ``int64 [cells]`` each, and the worst of them."""

    genuine: Integers
    impostor: Integers
    look_alike: Integers
    worst: WorstPairs


def count_pairs(images: SortedImages, width: float, cells: int) -> PairCounts:
    """Score all pairs and count them in ``cells`` of ``width``: ``round((1 - score) / width)``.

    Threads share the tiles; what is found does not depend on how many there are.
    """
    tiles = images.tiles()
    parts = run_parts(lambda share: _Scan(images, width, cells).over(share), tiles)
    first, *others = parts
    for other in others:
        first.add(other)
    unit = np.empty_like(images.unit)
    unit[images.order] = images.unit
    return PairCounts(
        genuine=first.genuine,
        impostor=first.impostor,
        look_alike=first.look_alike,
        worst=WorstPairs(*(worst.pairs(unit) for worst in (first.mixed, first.alike, first.torn))),
    )


class _Scan:
    """Counts the pairs of some tiles."""

    def __init__(self, images: SortedImages, width: float, cells: int) -> None:
        self.images, self.width = images, width
        self.genuine, self.impostor, self.look_alike = (np.zeros(cells, np.int64) for _ in range(3))
        classes = images.classes
        self.mixed, self.alike = Worst(classes**2, min(WORST, classes * (classes - 1) // 2)), Worst(classes**2, WORST)
        self.torn = Worst(classes, min(WORST, classes))

    def over(self, tiles: Sequence[tuple[slice, slice]]) -> _Scan:
        """Count the pairs of ``tiles`` too."""
        unit, scores = self.images.unit, np.empty(_TILE_ROWS * _TILE_COLUMNS)
        for rows, columns in tiles:
            height, breadth = rows.stop - rows.start, columns.stop - columns.start
            tile = scores[: height * breadth].reshape(height, breadth)
            # A width is a power of two: nothing is lost.
            np.matmul(unit[rows] * (-1 / self.width), unit[columns].T, out=tile)
            # Rounding can lift a cosine above 1 by less than half a cell: none is below 0.
            tile += 1 / self.width + _ROUNDING
            cells = tile.view(np.int64)
            cells -= _ROUNDING_BITS
            step = max(1, _CHUNK_SCORES // breadth)
            chunks = [slice(top, min(top + step, height)) for top in range(0, height, step)]
            whole = self._whole(rows, columns)
            if whole is None or self._near(whole[1], cells, whole[1].limit):
                for chunk in chunks:
                    where = slice(rows.start + chunk.start, rows.start + chunk.stop), columns
                    if whole is None:
                        self._chunk(cells[chunk], *where)
                    else:
                        self._offer_all(whole[1], cells[chunk], *where)
            if whole is not None:
                _count(cells, whole[0])
        return self

    def _whole(self, rows: slice, columns: slice) -> tuple[Integers, Worst] | None:
        """Return where the pairs of a tile belong if they are of one kind, as nearly all tiles are."""
        last = rows.stop - 1
        if self.images.group_ends[last] <= columns.start:
            return self.impostor, self.mixed
        one_class = self.images.are_one_class(rows) and columns.stop <= self.images.class_ends[last]
        return (self.genuine, self.torn) if one_class and columns.start >= rows.stop else None

    def add(self, other: _Scan) -> None:
        """Take over what ``other`` counted."""
        self.impostor += other.impostor
        self.genuine += other.genuine
        self.look_alike += other.look_alike
        self.mixed.merge(other.mixed)
        self.alike.merge(other.alike)
        self.torn.merge(other.torn)

    def _chunk(self, chunk: Integers, rows: slice, columns: slice) -> None:
        """Count the pairs of the images at ``rows`` with later ones of those at ``columns``."""
        last = rows.stop - 1
        class_end, group_end = int(self.images.class_ends[last]), int(self.images.group_ends[last])
        edges = np.clip([rows.start, rows.stop, class_end, group_end, columns.stop], columns.start, columns.stop)
        for start, stop in pairwise(edges.tolist()):
            if start == stop:
                continue
            cells = chunk[:, start - columns.start : stop - columns.start]
            where = rows, slice(start, stop)
            if start >= group_end:
                np.add.at(self.impostor, cells.ravel(), 1)
                self._offer_all(self.mixed, cells, *where)
            elif start >= rows.stop and stop <= class_end and self.images.are_one_class(rows):
                np.add.at(self.genuine, cells.ravel(), 1)
                self._offer_all(self.torn, cells, *where)
            else:
                self._mixture(cells, *where)

    def _mixture(self, cells: Integers, rows: slice, columns: slice) -> None:
        """Count pairs of several kinds."""
        later = np.arange(columns.start, columns.stop) > np.arange(rows.start, rows.stop)[:, None]
        labels, groups = self.images.labels, self.images.groups
        same = labels[rows, None] == labels[columns]
        kin = groups[rows, None] == groups[columns]
        for counts, worst, kind in (
            (self.genuine, self.torn, same & later),
            (self.look_alike, self.alike, kin & ~same & later),
            (self.impostor, self.mixed, later & ~kin),
        ):
            chosen = np.nonzero(kind)
            np.add.at(counts, cells[chosen], 1)
            self._offer(worst, cells[chosen], chosen, rows, columns)

    def _offer_all(self, worst: Worst, cells: Integers, rows: slice, columns: slice) -> None:
        """Look for the worst in a whole part of a chunk, of strangers or of one class."""
        limit = worst.limit
        if self.images.are_one_class(rows) and self.images.are_one_class(columns):
            limit = min(limit, worst.best_of(self._key(worst, rows.start, columns.start)))
        if self._near(worst, cells, limit):
            chosen = np.nonzero(cells >= -limit) if worst is self.torn else np.nonzero(cells <= limit)
            self._offer(worst, cells[chosen], chosen, rows, columns)

    def _near(self, worst: Worst, cells: Integers, limit: int) -> bool:
        """Return whether one of ``cells`` may be among the worst: of one class the least similar pairs are."""
        return bool(-cells.max() <= limit if worst is self.torn else cells.min() <= limit)

    def _offer(self, worst: Worst, cells: Integers, chosen: tuple[Integers, ...], rows: slice, columns: slice) -> None:
        ranks = -cells if worst is self.torn else cells
        near = ranks <= worst.limit
        if near.any():
            row, column = chosen[0][near] + rows.start, chosen[1][near] + columns.start
            one, other = self.images.order[row], self.images.order[column]
            keys = self._key(worst, row, column)
            worst.offer(ranks[near], np.minimum(one, other), np.maximum(one, other), keys)

    def _key(self, worst: Worst, row: int | Integers, column: int | Integers) -> Integers:
        """Number the class, or the pair of classes, of images."""
        first, second = self.images.labels[row], self.images.labels[column]
        if worst is self.torn:
            return np.asarray(first)
        return np.asarray(np.minimum(first, second) * self.images.classes + np.maximum(first, second))


def _count(cells: Integers, counts: Integers) -> None:
    """Add the number of each of ``cells`` to ``counts``, and leave ``cells`` changed.

    Not by ``add.at``, which keeps all other threads waiting.
    """
    lowest = int(cells.min())
    cells -= lowest
    found = np.bincount(cells.ravel())
    counts[lowest : lowest + len(found)] += found


def _ends(numbers: Integers) -> Integers:
    """Return where the run of equal ``numbers`` ends in which each one is."""
    stops = np.append(np.flatnonzero(np.diff(numbers)) + 1, len(numbers))
    return np.repeat(stops, np.diff(stops, prepend=0))


def run_parts(work: Callable[[Sequence[Item]], Result], items: Sequence[Item]) -> list[Result]:
    """Deal ``items`` to as many threads as there are cores, and return what each makes of its own."""
    workers = max(1, min(cores(), _MOST_WORKERS, len(items)))
    if workers == 1:
        return [work(items)]
    # One thread of BLAS each: else those that wait for work take the cores from the others.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, [items[start::workers] for start in range(workers)]))
