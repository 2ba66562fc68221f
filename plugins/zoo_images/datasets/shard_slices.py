"""Divide a pass over shards of unknown lengths into slices of equal size."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# Shards that are divided together, at least, if there are as many: among so many, one that is shorter matters little.
MIN_GROUP_SIZE = 32


class ShardSlice(NamedTuple):
    """The samples that a reader yields of some shards, which it reads one after the other.

    Sample ``index`` of the shards has phase ``index * stride % period``; the slice holds phases ``first`` to
    ``last - 1``. All phases are equally frequent, and the samples of a slice are evenly spaced.
    """

    shards: list[int]
    first: int
    last: int
    period: int
    stride: int

    def contains(self, index: int) -> bool:
        """Return whether sample ``index`` of the shards belongs to the slice."""
        return self.first <= index * self.stride % self.period < self.last


def divide_shards(shards: int, first: int, last: int, slices: int, *, key: Sequence[int]) -> list[ShardSlice]:
    """Return what slices ``first`` to ``last - 1`` of ``slices`` read, in the order of shards that ``key`` seeds.

    The length of a shard is unknown in advance. If readers were assigned whole shards, some would finish while others
    still have many samples; therefore all readers of a group of shards read the whole group and each yields its share
    of the samples.
    """
    order = np.random.default_rng(key).permutation(shards)
    result, start = [], 0
    for group in np.array_split(order, max(1, shards // MIN_GROUP_SIZE)):
        # On an axis of length `shards * slices` each shard covers `slices`, and each slice covers `shards`.
        begin, end = start * slices, (start + len(group)) * slices
        low, high = max(begin, first * shards), min(end, last * shards)
        unit = gcd(shards, begin, end)
        if low < high:
            period = (end - begin) // unit
            phases = (low - begin) // unit, (high - begin) // unit
            result.append(ShardSlice(group.tolist(), *phases, period, _stride(period)))
        start += len(group)
    return result


def _stride(period: int) -> int:
    """Return a stride that visits all phases, near the golden section, whose multiples are evenly spaced."""
    stride = max(1, round(period * 0.618034))
    while gcd(stride, period) > 1:
        stride += 1
    return stride
