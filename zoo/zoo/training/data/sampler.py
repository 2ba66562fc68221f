"""Which sample comes when, on every rank and after every resume the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data.distributed import DistributedSampler

from zoo.training.data.shuffling import shuffled, shuffled_in_windows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo.training.data.shuffling import Integers

# See TRAINING_STREAM.
PERMUTATION_STREAM = 2
_CYCLE = 256  # samples within which every data set has its share
_CHUNK = 1024  # samples whose order is made at once
# 2^64 by the golden ratio: the upper half of its multiples looks random (Knuth, The Art of Computer Programming, 6.4).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class EpochSampler(DistributedSampler[tuple[int, int]]):
    """Cuts one endless stream of shuffled passes over the data into epochs of a chosen length.

    Every pass over a data set shows each of its samples once, in an order that depends on the seed and the pass alone.
    Of several, with ``lengths`` samples each, every 256 samples hold the share of each. In each round every rank takes
    one sample; with several data sets the rank that comes first changes at random, or one data set could always be the
    turn of the same rank. Yields ``(pass, index)``, with indices into all data sets one after the other. Lightning
    keeps a ``DistributedSampler`` and tells it the epoch. Of a source that is ``streamed``, the pass is the epoch. Of
    one with ``blocks``, ``(samples per block, blocks at a time)``, the order is that of ``shuffled_in_windows``.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        shares: Sequence[float] = (1.0,),
        streamed: Sequence[bool] = (),
        blocks: Sequence[tuple[int, int] | None] = (),
        samples_per_epoch: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(range(1), num_replicas=world_size, rank=rank, seed=seed)  # type: ignore[arg-type] # unused
        self._lengths = np.array(lengths)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._streamed = streamed or [False] * len(lengths)
        self._blocks = blocks or [None] * len(lengths)
        self._turns = _turns(shares)
        self._each = np.bincount(self._turns, minlength=len(lengths))
        # How many turns the source of each turn had before, within a cycle.
        self._earlier = np.array([np.sum(self._turns[:turn] == source) for turn, source in enumerate(self._turns)])
        # Every rank must see the same number of samples, or collectives would wait forever.
        self.num_samples = max(1, samples_per_epoch // world_size)
        self.skip = 0

    def __len__(self) -> int:
        return self.num_samples

    def shorten(self, num_samples: int, *, skip: int = 0) -> None:
        """Show a rank ``num_samples`` of each epoch, and begin the next one after its first ``skip``."""
        self.num_samples, self.skip = num_samples, skip

    def __iter__(self) -> Iterator[tuple[int, int]]:
        start = self.epoch * self.num_samples + self.skip
        end = (self.epoch + 1) * self.num_samples
        self.skip = 0
        for first in range(start, end, _CHUNK):
            rounds = np.arange(first, min(end, first + _CHUNK))
            passes, indices = self._at(rounds * self.num_replicas + self._places(rounds))
            yield from zip(passes.tolist(), indices.tolist(), strict=True)

    def _places(self, rounds: Integers) -> Integers:
        """Return which place in each round is this rank's."""
        if len(self._lengths) == 1:
            return np.full_like(rounds, self.rank)
        first = (rounds.astype(np.uint64) * _GOLDEN >> np.uint64(32)).astype(np.int64)
        places: Integers = (first + self.rank) % self.num_replicas
        return places

    def _at(self, positions: Integers) -> tuple[Integers, Integers]:
        """Return the pass over its source, and the sample, at each position of the stream."""
        cycle, turn = np.divmod(positions, len(self._turns))
        source = self._turns[turn]
        passes, offsets = np.divmod(cycle * self._each[source] + self._earlier[turn], self._lengths[source])
        indices = np.empty_like(positions)
        for one, passed in np.unique(np.stack([source, passes]), axis=1).T.tolist():
            here = (source == one) & (passes == passed)
            if self._streamed[one]:
                passes[here], indices[here] = self.epoch, self._starts[one]
                continue
            key = (self.seed, PERMUTATION_STREAM, one, passed)
            length, blocks = int(self._lengths[one]), self._blocks[one]
            if blocks:
                order = shuffled_in_windows(offsets[here], length, key, block=blocks[0], window=blocks[1])
            else:
                order = shuffled(offsets[here], length, key)
            indices[here] = self._starts[one] + order
        return passes, indices


def _turns(shares: Sequence[float]) -> Integers:
    """Return the source of each position of a cycle, each spread as evenly as possible."""
    if len(shares) == 1:
        return np.zeros(1, dtype=np.int64)
    whole = np.array(shares) / sum(shares) * _CYCLE
    counts = np.maximum(1, np.floor(whole)).astype(np.int64)
    counts[np.argsort(counts - whole)[: max(0, _CYCLE - int(counts.sum()))]] += 1
    due = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    turns: Integers = np.repeat(np.arange(len(shares)), counts)[np.argsort(due, kind="stable")]
    return turns
