from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo_margin.sampling import initial_rows, sampled_classes


@given(st.integers(1, 10**9), st.integers(1, 3000), st.integers(0, 2**63), st.integers(0, 10**9))
def test_classes_are_distinct_and_in_range(classes, count, seed, step):
    # A sample of more than a twentieth of the classes takes memory for all classes.
    count = min(count, max(1, classes // 20)) if classes > 10**6 else min(count, classes)
    found = sampled_classes(classes, count, seed=seed, step=step)
    assert found.dtype is torch.int64
    assert len(set(found.tolist())) == count
    assert 0 <= int(found.min()) <= int(found.max()) < classes


def test_the_same_step_gives_the_same_classes_in_another_process():
    program = (
        "from zoo_margin.sampling import sampled_classes;print(sampled_classes(10**7, 50, seed=3, step=12).tolist())"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(sampled_classes(10**7, 50, seed=3, step=12).tolist())
    assert printed.strip() != str(sampled_classes(10**7, 50, seed=3, step=13).tolist())
    assert printed.strip() != str(sampled_classes(10**7, 50, seed=4, step=12).tolist())


@pytest.mark.parametrize(("classes", "count"), [(50, 10), (20_000, 500)], ids=["tail of a shuffle", "set of draws"])
def test_all_classes_are_equally_likely(classes, count):
    steps = 200_000 // count
    sampled = torch.cat([sampled_classes(classes, count, seed=0, step=step) for step in range(steps)]).numpy()
    cells = np.bincount(sampled * 50 // classes, minlength=50)
    expected = steps * count / 50
    # Chi-square with 49 degrees of freedom is above 85 with probability 0.001.
    assert ((cells - expected) ** 2 / expected).sum() < 85


@given(st.integers(0, 5000), st.integers(0, 3000), st.integers(0, 99))
def test_a_row_does_not_depend_on_the_range_that_is_asked_for(start, count, seed):
    whole = initial_rows(0, 8000, 3, seed=seed, std=0.5)
    assert torch.equal(initial_rows(start, start + count, 3, seed=seed, std=0.5), whole[start : start + count])


def test_rows_are_normally_distributed_and_differ():
    rows = initial_rows(0, 20_000, 8, seed=0, std=0.01)
    assert rows.mean().abs() < 1e-4
    assert rows.std().item() == pytest.approx(0.01, rel=0.02)
    assert len(torch.unique(rows[:, 0])) > 19_900
    assert not torch.equal(rows, initial_rows(0, 20_000, 8, seed=1, std=0.01))
