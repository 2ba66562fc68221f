from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_images.datasets.shard_reader import shuffled


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


def test_some_bypass_the_buffer():
    order = list(shuffled(range(100), 200, np.random.default_rng(0), bypass=lambda item: item % 10 == 3))
    assert order[:10] == list(range(3, 100, 10))
    assert sorted(order) == list(range(100))
