from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core.api import ComponentError
from zoo_images.streams import deal, listed_classes, shuffled


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=9), readers=st.integers(1, 12), key=st.integers(0, 1000))
def test_all_readers_together_read_each_sample_once(sizes, readers, key):
    read = [
        (turn.shard, position)
        for reader in range(readers)
        for turn in deal(len(sizes), reader=reader, readers=readers, key=(key,))
        for position in range(turn.first, sizes[turn.shard], turn.step)
    ]
    assert sorted(read) == [(shard, position) for shard, size in enumerate(sizes) for position in range(size)]


@given(shards=st.integers(1, 40), readers=st.integers(1, 12))
def test_readers_of_equal_shards_read_alike_much(shards, readers):
    counts = [
        sum(len(range(turn.first, 100, turn.step)) for turn in deal(shards, reader=n, readers=readers, key=(0,)))
        for n in range(readers)
    ]
    # A rest of shards cannot always be dealt evenly: three readers, two shards.
    assert max(counts) - min(counts) <= 100 * (1 - 1 / 2)


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
