from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from zoo.calibration.bounds import RateBounds, interval, kept, least_strangers, lowest_rate


def test_so_many_strangers_are_needed():
    assert least_strangers(0.01, 0.95) == 299
    assert least_strangers(0.05, 0.95) == 59
    assert least_strangers(0.5, 0.5) == 1
    for rate in (0.001, 0.01, 0.1):
        least = least_strangers(rate, 0.95)
        assert lowest_rate(least, 0.95) <= rate < lowest_rate(least - 1, 0.95)


@pytest.mark.parametrize(("accepted", "strangers"), [(0, 299), (0, 298), (1, 473), (1, 472), (4, 1000), (5, 1000)])
def test_a_rate_is_kept_where_clopper_and_pearsons_bound_is_below_it(accepted, strangers):
    bound = stats.beta.ppf(0.95, accepted + 1, strangers - accepted)
    assert kept(accepted, strangers, 0.01, 0.95) == (bound <= 0.01)


@pytest.mark.parametrize("accepted", [0, 1, 4, 30])
def test_classes_accepted_whole_or_not_have_clopper_and_pearsons_bounds(accepted):
    bounds = RateBounds(accepted, 1000)
    shares = np.ones(accepted)
    assert bounds.upper(shares, 0.95) == pytest.approx(stats.beta.ppf(0.95, accepted + 1, 1000 - accepted), rel=0.02)
    lower = stats.beta.ppf(0.05, accepted, 1001 - accepted) if accepted else 0
    assert bounds.lower(shares, 0.95) == pytest.approx(lower, rel=0.1)


def test_classes_that_count_half_are_half_as_many():
    whole, half = RateBounds(3, 300), RateBounds(6, 600, each=0.5)
    assert half.upper(np.ones(6), 0.95) == pytest.approx(whole.upper(np.ones(3), 0.95), rel=0.02)


def test_the_interval_of_a_high_rate_is_the_mirror_of_that_of_a_low_one():
    shares = np.r_[np.zeros(80), np.full(20, 0.5)]
    low, high = interval(shares, 0.95)
    assert low < 0.1 < high
    assert interval(1 - shares, 0.95) == pytest.approx((1 - high, 1 - low))
    assert interval(np.ones(100), 0.95) == pytest.approx((1 - stats.beta.ppf(0.975, 1, 100), 1), rel=0.01)
