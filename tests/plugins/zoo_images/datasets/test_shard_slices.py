from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_images.datasets.shard_slices import MIN_GROUP_SIZE, divide_shards


def samples_of(sizes, first, last, slices, key=0):
    """`(shard, position)` of all samples that a reader of these slices yields."""
    read = []
    for shard_slice in divide_shards(len(sizes), first, last, slices, key=(key,)):
        samples = [(shard, position) for shard in shard_slice.shards for position in range(sizes[shard])]
        read += [sample for number, sample in enumerate(samples) if shard_slice.contains(number)]
    return read


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=2 * MIN_GROUP_SIZE + 9),
    cuts=st.lists(st.integers(0, 12), max_size=4).map(sorted),
    key=st.integers(0, 1000),
)
def test_all_readers_together_read_each_sample_once(sizes, cuts, key):
    borders = [0, *cuts, 12]
    read = [sample for first, last in pairwise(borders) for sample in samples_of(sizes, first, last, 12, key)]
    assert sorted(read) == [(shard, position) for shard, size in enumerate(sizes) for position in range(size)]


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=2 * MIN_GROUP_SIZE - 1),
    first=st.integers(0, 19),
    count=st.integers(1, 20),
)
def test_slices_of_shards_of_any_lengths_have_equal_sizes(sizes, first, count):
    last = min(20, first + count)
    whole, rest = divmod(sum(sizes), 20)
    assert (last - first) * whole <= len(samples_of(sizes, first, last, 20)) <= (last - first) * whole + rest


def test_the_samples_of_a_slice_are_evenly_spaced():
    numbers = [number for _, number in samples_of([10_000], 300, 400, 1000)]
    assert max(np.diff(numbers)) < 40


def test_many_shards_are_read_by_few_readers_each():
    read = [
        {shard for shard_slice in divide_shards(320, n, n + 1, 10, key=(0,)) for shard in shard_slice.shards}
        for n in range(10)
    ]
    assert [len(shards) for shards in read] == [32] * 10
    assert len(set.union(*read)) == 320
