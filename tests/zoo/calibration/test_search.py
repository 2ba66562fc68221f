from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from zoo.calibration.search import Strangers, estimated_threshold, just_above, lowest_threshold


def alone(scores):
    """Strangers with a picture each."""
    return Strangers(np.asarray(scores, np.float32), np.arange(len(scores)), 1.0)


def ranked(count):
    return alone(np.linspace(0, 0.9, count))


def test_too_few_strangers_promise_nothing():
    assert lowest_threshold(ranked(298), 0.01, 0.95) is None
    assert lowest_threshold(ranked(299), 0.01, 0.95) is not None


@pytest.mark.parametrize(("count", "accepted"), [(299, 0), (472, 0), (473, 1), (1000, 4), (3000, 20)])
def test_the_threshold_lies_just_above_an_order_statistic(count, accepted):
    strangers = ranked(count)
    threshold = lowest_threshold(strangers, 0.01, 0.95)
    assert threshold == just_above(float(np.sort(strangers.scores)[-1 - accepted]))
    assert (strangers.scores >= threshold).sum() == accepted


def test_ties_are_accepted_together_or_not_at_all():
    scores = np.linspace(0, 0.5, 1000)
    scores[-20:] = 0.75
    assert lowest_threshold(alone(scores), 0.01, 0.95) == just_above(0.75)


def test_a_threshold_is_typed_in_six_decimals_and_the_score_does_not_reach_it():
    for score in np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32):
        threshold = just_above(float(score))
        assert float(f"{threshold:.6f}") == threshold
        assert 4e-7 < threshold - score < 2e-6


def test_the_best_guess_accepts_what_is_asked_for():
    assert ranked(95).rate(estimated_threshold(ranked(95), 0.1)) == 9 / 95
    assert ranked(95).rate(estimated_threshold(ranked(95), 0.01)) == 0


def clustered(generator, classes, pictures, correlation):
    """Scores whose distribution over all is the standard normal, and which are alike within a class."""
    own = generator.standard_normal((classes, 1)) * np.sqrt(correlation)
    scores = own + generator.standard_normal((classes, pictures)) * np.sqrt(1 - correlation)
    return Strangers(scores.ravel().astype(np.float32), np.repeat(np.arange(classes), pictures), 1.0)


@pytest.mark.parametrize(("pictures", "correlation"), [(1, 0.0), (4, 0.5), (4, 0.95)])
def test_the_promise_is_kept_and_the_threshold_not_far_too_strict(pictures, correlation):
    generator = np.random.default_rng(0)
    drawn = (clustered(generator, 1000, pictures, correlation) for _ in range(500))
    realised = np.array([stats.norm.sf(lowest_threshold(one, 0.01, 0.95)) for one in drawn])
    assert (realised <= 0.01).mean() >= 0.95
    assert 0.01 / 3 <= np.median(realised) < 0.01


def test_pictures_of_a_class_are_not_strangers_of_their_own():
    # Taken for independent, alike pictures would promise too much.
    generator = np.random.default_rng(0)
    realised = []
    for _ in range(300):
        one = clustered(generator, 250, 4, 0.95)
        realised.append(stats.norm.sf(lowest_threshold(alone(one.scores), 0.01, 0.95)))
    assert (np.array(realised) <= 0.01).mean() < 0.9
    assert lowest_threshold(one, 0.01, 0.95) is None
