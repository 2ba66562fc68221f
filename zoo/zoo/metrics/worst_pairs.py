"""The pairs of images that a model gets most wrong, found while all pairs are scored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from zoo.metrics.embeddings import Floats, Integers

WORST = 12
# A table with the best of each pair of so many classes is small; of more classes the worst few lie far above the rest.
_TABLE_CLASSES = 1024
# Above any rank.
_NEVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class Pair:
    """The indices of two images, the lower first, and the cosine of their embeddings."""

    first: int
    second: int
    cosine: float


@dataclass(frozen=True, slots=True)
class WorstPairs:
    """At most ``WORST`` pairs of each kind, worst first; of pairs in one cell those of the lower indices come first.

    Of two classes only their most similar pair is given, and of one class only its least similar one: else one hard
    document would fill the list.

    Attributes:
        impostor: the most similar images of different classes that are no look-alikes.
        look_alike: the most similar images of look-alikes.
        genuine: the least similar images of one class.
    """

    impostor: tuple[Pair, ...]
    look_alike: tuple[Pair, ...]
    genuine: tuple[Pair, ...]


@dataclass(eq=False)
class Worst:
    """Collects the worst pair of each key, by rank: of a lower rank is worse.

    Args:
        keys: how many keys there may be; a key is a class, or ``first class * classes + second class``.
        wanted: how many pairs to keep.
    """

    keys: int
    wanted: int
    limit: int = _NEVER
    kept: Integers = field(default_factory=lambda: np.empty((4, 0), np.int64))
    best: Integers | None = None

    def __post_init__(self) -> None:
        if self.keys <= _TABLE_CLASSES**2:
            self.best = np.full(self.keys, _NEVER, np.int64)

    def offer(self, ranks: Integers, first: Integers, second: Integers, keys: Integers) -> None:
        """Take pairs ``int64 [P]`` of ranks not above ``limit`` into account; ``first < second`` are image indices."""
        if self.best is not None:
            # Equal ranks too: the one of lower indices is kept.
            closer = ranks <= self.best[keys]
            ranks, first, second, keys = ranks[closer], first[closer], second[closer], keys[closer]
        if not ranks.size:
            return
        pairs = np.concatenate([self.kept, np.stack([ranks, first, second, keys])], axis=1)
        pairs = pairs[:, np.lexsort(pairs[2::-1])]
        _, firsts = np.unique(pairs[3], return_index=True)
        # A table remembers what is no longer among the worst.
        if self.best is not None:
            self.best[pairs[3, firsts]] = np.minimum(self.best[pairs[3, firsts]], pairs[0, firsts])
        self.kept = pairs[:, np.sort(firsts)[: self.wanted]]
        if self.kept.shape[1] == self.wanted:
            self.limit = int(self.kept[0, -1])

    def best_of(self, key: Integers) -> int:
        """Return the lowest rank of ``key`` so far, if that is known, else more than any rank."""
        return _NEVER if self.best is None else int(self.best[key])

    def merge(self, other: Worst) -> None:
        """Take the pairs of ``other`` into account."""
        self.offer(*other.kept)

    def pairs(self, unit: Floats) -> tuple[Pair, ...]:
        """Name what is kept, worst first; ``unit``: ``float64 [N, D]``, the embeddings by image index."""
        return tuple(
            Pair(first, second, float(unit[first] @ unit[second])) for _, first, second, _ in self.kept.T.tolist()
        )
