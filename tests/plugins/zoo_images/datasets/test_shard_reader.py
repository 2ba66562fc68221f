from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core.api import ComponentError
from zoo_images.datasets.shard_reader import GROUP, deal, listed_classes, shuffled


def samples_of(sizes, first, last, parts, key=0):
    """`(shard, position)` of all samples that a reader of these parts reads."""
    read = []
    for piece in deal(len(sizes), first, last, parts, key=(key,)):
        samples = [(shard, position) for shard in piece.shards for position in range(sizes[shard])]
        read += [sample for number, sample in enumerate(samples) if piece.holds(number)]
    return read


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=2 * GROUP + 9),
    cuts=st.lists(st.integers(0, 12), max_size=4).map(sorted),
    key=st.integers(0, 1000),
)
def test_all_readers_together_read_each_sample_once(sizes, cuts, key):
    borders = [0, *cuts, 12]
    read = [sample for first, last in pairwise(borders) for sample in samples_of(sizes, first, last, 12, key)]
    assert sorted(read) == [(shard, position) for shard, size in enumerate(sizes) for position in range(size)]


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=2 * GROUP - 1),
    first=st.integers(0, 19),
    count=st.integers(1, 20),
)
def test_however_long_shards_are_a_reader_has_its_share_of_their_samples(sizes, first, count):
    last = min(20, first + count)
    whole, rest = divmod(sum(sizes), 20)
    assert (last - first) * whole <= len(samples_of(sizes, first, last, 20)) <= (last - first) * whole + rest


def test_a_readers_samples_lie_evenly():
    numbers = [number for _, number in samples_of([10_000], 300, 400, 1000)]
    assert max(np.diff(numbers)) < 40


def test_many_shards_are_read_by_few_readers_each():
    read = [{shard for piece in deal(320, n, n + 1, 10, key=(0,)) for shard in piece.shards} for n in range(10)]
    assert [len(shards) for shards in read] == [32] * 10
    assert len(set.union(*read)) == 320


@settings(max_examples=50)
@given(count=st.integers(0, 300), size=st.integers(1, 50), seed=st.integers(0, 100))
def test_shuffling_keeps_everything_and_is_repeatable(count, size, seed):
    once = list(shuffled(range(count), size, np.random.default_rng(seed)))
    assert sorted(once) == list(range(count))
    assert once == list(shuffled(range(count), size, np.random.default_rng(seed)))


def test_shuffling_mixes():
    order = list(shuffled(range(1000), 100, np.random.default_rng(0)))
    assert order != list(range(1000))
    assert np.mean(np.abs(np.array(order) - np.arange(1000))) > 30


def test_some_need_not_wait():
    order = list(shuffled(range(100), 200, np.random.default_rng(0), at_once=lambda item: item % 10 == 3))
    assert order[:10] == list(range(3, 100, 10))
    assert sorted(order) == list(range(100))


def test_classes_come_from_lines_or_json(tmp_path):
    (tmp_path / "c.txt").write_text("\ufeffcat\n big dog \n\n", encoding="utf-8")
    (tmp_path / "c.json").write_text('["cat", 7]')
    assert listed_classes(str(tmp_path / "c.txt")) == ["cat", "big dog"]
    assert listed_classes(str(tmp_path / "c.json")) == ["cat", "7"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("c.txt", "a\n\nb\n", r"c\.txt:2: no name"),
        ("c.txt", "a\nb\na\n", r"c\.txt:3: 'a' stands in line 1"),
        ("c.txt", "", "no classes"),
        ("c.json", "{", "cannot be read"),
        ("c.json", '{"a": 1}', "no classes"),
        ("d.txt", None, "cannot be read"),
    ],
)
def test_wrong_lists_of_classes(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ComponentError, match=words) as caught:
        listed_classes(str(tmp_path / name))
    assert caught.value.problems[0].hint
