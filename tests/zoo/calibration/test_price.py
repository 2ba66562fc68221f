from __future__ import annotations

import numpy as np
import pytest
from tests.zoo.calibration.simulations import GENUINE, least_lost, strangers

from zoo.calibration.price import LITTLE, price
from zoo.calibration.search import Strangers, estimated_threshold, lowest_threshold


def priced(found, tpir):
    return price(found, tpir, lowest_threshold(found, 0.01, 0.95), 0.01, 0.95)


def test_it_says_about_how_many_strangers_make_the_loss_little():
    generator = np.random.default_rng(0)
    needed = [priced(strangers(generator, 3000, 1, 0.0), GENUINE.sf).classes_for_little for _ in range(30)]
    assert least_lost(round(np.median(needed)), 0.01, 0.95) == pytest.approx(LITTLE, rel=0.15)
    # From any one set of strangers, the order of magnitude.
    assert np.quantile(needed, 0.9) < 5 * np.quantile(needed, 0.1)


def test_with_more_pictures_a_class_it_takes_fewer_classes():
    generator = np.random.default_rng(0)
    one, three = (priced(strangers(generator, 5000, pictures, 0.3), GENUINE.sf) for pictures in (1, 3))
    assert three.classes_for_little < one.classes_for_little / 1.5


def test_where_the_threshold_does_not_matter_the_promise_costs_nothing():
    found = strangers(np.random.default_rng(0), 1000, 1, 0.0)
    cost = priced(found, lambda _: 1.0)
    assert (cost.tpir_behind, cost.classes_for_little) == (0, 299)
    # Strangers to each other: two see one match.
    half = Strangers(found.scores, found.classes, 0.5)
    assert priced(half, lambda _: 1.0).classes_for_little == 598


@pytest.mark.parametrize("rate", [0.5, 0.9, 1 - 1e-12])
def test_a_rate_that_many_may_have_has_a_price_too(rate):
    # Twice as many are more than there are.
    found = strangers(np.random.default_rng(0), 100, 1, 0.0)
    threshold = lowest_threshold(found, rate, 0.95)
    assert found.rate(threshold) < rate
    assert price(found, GENUINE.sf, threshold, rate, 0.95).tpir_behind >= 0


def test_the_price_is_what_the_best_guess_finds_more():
    found = strangers(np.random.default_rng(0), 1000, 1, 0.0)
    guess, threshold = estimated_threshold(found, 0.01), lowest_threshold(found, 0.01, 0.95)
    assert priced(found, GENUINE.sf).tpir_behind == GENUINE.sf(guess) - GENUINE.sf(threshold) > 0
