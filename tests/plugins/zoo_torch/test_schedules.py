from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_core.building import build
from zoo_core.discovery import discover
from zoo_core.errors import RecipeError

FRACTION = st.floats(0, 1)
REGISTRY = discover()


def schedule(name, options):
    return build(REGISTRY, "lr_scheduler", name, options, wired={"optimizer": None})


@pytest.mark.parametrize("name", ["polynomial_warmup", "cosine_warmup", "constant"])
@given(warmup=FRACTION, progress=FRACTION)
def test_the_factor_stays_between_nothing_and_the_full_learning_rate(name, warmup, progress):
    assert 0 <= schedule(name, {"warmup": warmup})(progress) <= 1


@pytest.mark.parametrize(("name", "final"), [("polynomial_warmup", 0.0), ("cosine_warmup", 0.0), ("constant", 1.0)])
def test_it_starts_from_nothing_is_full_after_the_warmup_and_ends_as_its_name_says(name, final):
    factor = schedule(name, {"warmup": 0.2})

    assert factor(0) == 0
    assert factor(0.1) == pytest.approx(0.5)
    assert factor(0.2) == pytest.approx(1)
    assert factor(1) == pytest.approx(final)
    assert factor(1.5) == factor(1)


def test_the_polynomial_follows_its_formula():
    factor = schedule("polynomial_warmup", {"warmup": 0.1, "power": 2.0, "final": 0.01})

    assert factor(0.55) == pytest.approx(0.01 + 0.99 * 0.5**2)


def test_the_cosine_follows_its_formula():
    factor = schedule("cosine_warmup", {"warmup": 0.0})

    assert factor(0.3) == pytest.approx((1 + math.cos(math.pi * 0.3)) / 2)


@pytest.mark.parametrize("options", [{"warmup": 1.1}, {"warmup": "x"}, {"warm_up": 0.1}, {"power": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(RecipeError):
        schedule("polynomial_warmup", options)
