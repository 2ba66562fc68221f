from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_core.api import near_duplicates


def alike(first, second, aspects):
    """What the page of data sets promises, pair by pair."""
    difference = np.abs(first.astype(np.float64) - second).mean(2)
    ratio = max(aspects) / min(aspects)
    return difference.mean() < 3 and difference.max() < 24 and ratio < 1.03


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 14), st.sampled_from([np.uint8, np.float32]))
def test_all_pairs_are_found_and_no_other(seed, count, dtype):
    generator = np.random.default_rng(seed)
    originals = generator.integers(0, 256, (3, 32, 32, 3))
    images, aspects = [], []
    for _ in range(count):
        image = originals[generator.integers(3)] + generator.integers(0, 3) * generator.integers(-3, 4, (32, 32, 3))
        if generator.random() < 0.3:
            image = image + np.pad(np.full((3, 3, 3), 40), ((4, 25), (9, 20), (0, 0)))
        images.append(image.clip(0, 255))
        aspects.append(generator.choice([1.0, 1.02, 1.05]))
    reductions = np.array(images, dtype).reshape(-1, 32, 32, 3)
    found = {tuple(sorted(pair)) for pair in near_duplicates(reductions, np.array(aspects))}
    assert found == {
        (one, other)
        for one, other in combinations(range(count), 2)
        if alike(reductions[one], reductions[other], (aspects[one], aspects[other]))
    }


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_pair_comes_once(dtype):
    images = np.full((3, 32, 32, 3), 100, dtype)
    assert sorted(tuple(sorted(pair)) for pair in near_duplicates(images, np.ones(3))) == [(0, 1), (0, 2), (1, 2)]


def test_what_is_not_a_number_is_near_nothing():
    images = np.full((3, 32, 32, 3), 100, np.float32)
    images[1] = np.nan
    assert [tuple(sorted(pair)) for pair in near_duplicates(images, np.ones(3))] == [(0, 2)]
