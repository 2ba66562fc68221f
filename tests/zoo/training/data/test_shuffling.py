"""A pass in random order: which order, as it has been since the first training."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.training.data.shuffling import shuffled, shuffled_in_windows


# A training that is resumed goes on in the order in which it began: no version may change it.
@pytest.mark.parametrize(
    ("length", "key", "order"),
    [
        (1, [0], [0]),
        (2, [0], [0, 1]),
        (3, [5], [2, 1, 0]),
        (3, [6], [2, 0, 1]),
        (3, [7], [1, 0, 2]),
        (3, [8], [0, 2, 1]),
        (4, [5], [2, 1, 0, 3]),
        (5, [5, 2, 0, 1], [2, 4, 3, 0, 1]),
        (16, [3], [15, 3, 6, 7, 0, 12, 5, 9, 13, 1, 4, 8, 14, 2, 10, 11]),
        (17, [3], [16, 3, 14, 1, 13, 6, 4, 12, 15, 5, 8, 10, 9, 7, 11, 0, 2]),
    ],
)
def test_the_order_of_a_key_stays(length, key, order):
    found = shuffled(np.arange(length), length, key)
    assert found.dtype == np.int64
    assert found.tolist() == order


def test_the_order_of_a_long_pass_stays():
    places = np.array([0, 1, 2**20, 999_999_999])
    assert shuffled(places, 10**9, [7, 2, 0, 3]).tolist() == [655815926, 132130951, 725539303, 917286075]
    # Asked for, it is left as it was.
    assert places.tolist() == [0, 1, 2**20, 999_999_999]


# A last window that is not full, one that is, and one that holds all.
@pytest.mark.parametrize(
    ("block", "window", "order"),
    [
        (2, 4, [0, 1, 8, 4, 3, 5, 2, 9, 7, 11, 10, 6]),
        (3, 2, [0, 1, 2, 4, 3, 5, 6, 9, 10, 8, 11, 7]),
        (4, 9, [8, 9, 6, 4, 3, 10, 2, 11, 0, 1, 5, 7]),
    ],
)
def test_the_order_in_windows_stays(block, window, order):
    found = shuffled_in_windows(np.arange(12), 12, (7, 2), block=block, window=window)
    assert found.dtype == np.int64
    assert found.tolist() == order
