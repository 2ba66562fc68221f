from __future__ import annotations

import pickle
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.api import LazyNames


def name(prefix, number):
    return f"{prefix}{number}"


@given(st.integers(0, 30), st.integers(-40, 40), st.slices(30))
def test_it_is_the_list_of_its_names(count, index, cut):
    names, expected = LazyNames(count, partial(name, "a")), [f"a{number}" for number in range(count)]
    assert list(names) == expected
    assert len(names) == count
    assert names[cut] == expected[cut]
    if -count <= index < count:
        assert names[index] == expected[index]
    else:
        with pytest.raises(IndexError):
            names[index]


def test_nothing_is_made_before_it_is_asked_for():
    made = []
    names = LazyNames(10**12, lambda number: made.append(number) or str(number))
    assert names[10**12 - 1] == "999999999999"
    assert made == [10**12 - 1]


def test_it_travels_to_another_process():
    names = pickle.loads(pickle.dumps(LazyNames(5, partial(name, "b"))))  # noqa: S301 - as a loader process gets it
    assert list(names) == ["b0", "b1", "b2", "b3", "b4"]
