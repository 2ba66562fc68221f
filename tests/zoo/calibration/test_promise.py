"""Is the promise kept, and at what price? Known distributions, whose realised rate is computed."""

from __future__ import annotations

import numpy as np
import pytest
from tests.zoo.calibration.simulations import embedded, lattice, least_lost, lost, realised, strangers, unit

from zoo.calibration.comparison import compare
from zoo.calibration.price import LITTLE
from zoo.calibration.search import estimated_threshold, lowest_threshold

pytestmark = pytest.mark.slow

TRIALS = 500
# What chance leaves of 0.95 in 95 of 100 such tests.
LEAST_KEPT = 0.95 - 1.645 * np.sqrt(0.95 * 0.05 / TRIALS)


@pytest.mark.parametrize(
    ("classes", "pictures", "correlation"), [(1000, 1, 0.0), (7000, 1, 0.0), (1000, 3, 0.95), (3000, 3, 0.3)]
)
def test_the_promise_is_kept_at_the_price_of_the_most_powerful_test(classes, pictures, correlation):
    generator = np.random.default_rng(0)
    rates, guessed = [], []
    for _ in range(TRIALS):
        found = strangers(generator, classes, pictures, correlation)
        rates.append(realised(lowest_threshold(found, 0.01, 0.95)))
        guessed.append(realised(estimated_threshold(found, 0.01)))
    assert np.mean(np.array(rates) <= 0.01) >= LEAST_KEPT
    assert np.median(rates) >= 0.01 / 3
    behind = np.mean([lost(rate, 0.01) for rate in rates])
    # With one picture a class nothing does better, but by a rank; more pictures make it less if they are not as one.
    assert behind <= least_lost(classes, 0.01, 0.95) * (1.2 if correlation in (0, 0.95) else 0.8)
    if classes > 1000:
        assert behind <= LITTLE
    # The test tells a threshold that promises nothing.
    assert np.mean(np.array(guessed) <= 0.01) < 0.65


def test_classes_that_are_strangers_to_each_other_keep_it_too():
    everywhere = lattice(20_000)
    generator = np.random.default_rng(0)
    rates, whole = [], []
    for _ in range(TRIALS):
        gallery = unit(generator.standard_normal((300, 3)))
        found = compare(embedded(gallery, "known"), None).strangers
        closest = np.sort((everywhere @ gallery.T.astype(np.float32)).max(axis=1))
        for kept, each in ((rates, found.each), (whole, 1.0)):
            threshold = lowest_threshold(type(found)(found.scores, found.classes, each), 0.1, 0.95)
            kept.append(1 - np.searchsorted(closest, threshold) / len(closest))
    assert np.mean(np.array(rates) <= 0.1) >= LEAST_KEPT
    assert np.median(rates) >= 0.1 / 3
    # Counted whole, they would promise too much.
    assert np.mean(np.array(whole) <= 0.1) < LEAST_KEPT
