from __future__ import annotations

import numpy as np
import pytest

from zoo_core.api import Sample
from zoo_images.capture.augmentation import Capture

SAMPLE = Sample(np.zeros((60, 96, 3), np.uint8), 0)
# Which effects each option switches, and how often each is applied at the default probabilities.
OPTIONS = {
    "colour": {"colour": 0.8},
    "light": {"light": 0.5, "shadow": 0.175, "glare": 0.15},
    "blur": {"blur": 0.5},
    "noise": {"noise": 0.5},
    "reduction": {"reduction": 0.25},
    "jpeg": {"quality": 0.4},
    "occlusion": {"finger": 0.15},
}


def draw(count=2000, **options):
    capture = Capture((96, 96), **options)
    return [capture.draw(SAMPLE, np.random.default_rng([3, number])) for number in range(count)]


def share(drawn, effect):
    return np.mean([getattr(parameters, effect) is not None for parameters in drawn])


def test_each_effect_is_as_frequent_as_its_option_says():
    drawn = draw()
    for effects in OPTIONS.values():
        for effect, probability in effects.items():
            assert share(drawn, effect) == pytest.approx(probability, abs=0.04), effect
    for effect, probability in {"colour": 0.4, "blur": 0.25, "quality": 0.2}.items():
        assert share(draw(strength=0.5), effect) == pytest.approx(probability, abs=0.04), effect


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_switches_its_effects_and_changes_no_other(option):
    for full, without in zip(draw(200), draw(200, **{option: 0.0}), strict=True):
        for effect, value in full._asdict().items():
            if effect in OPTIONS[option]:
                assert getattr(without, effect) is None
            else:
                np.testing.assert_equal(getattr(without, effect), value)


def test_every_effect_stays_within_its_range():
    drawn = draw()
    corners = np.array([parameters.corners for parameters in drawn]).reshape(-1, 4, 2)
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    assert sides.min() > 0.5
    assert sides.max() < 1.6
    assert np.abs(corners.mean(axis=1) - 0.5).max() < 0.1
    assert {parameters.blur.kind for parameters in drawn if parameters.blur} == {1, 2, 3}
    assert all(1 <= parameters.noise.sigma <= 14 for parameters in drawn if parameters.noise)
    assert all(1.1 <= parameters.reduction <= 2.2 for parameters in drawn if parameters.reduction)
    assert all(25 <= parameters.quality <= 90 for parameters in drawn if parameters.quality)


def test_a_colour_map_keeps_grey_grey_but_for_balance_and_effects():
    """White balance and shift are small: the median of middle grey over many draws is middle grey."""
    grey = np.array([128, 128, 128, 1.0])
    seen = np.array([parameters.colour @ grey for parameters in draw() if parameters.colour is not None])
    assert np.median(seen, axis=0) == pytest.approx([128, 128, 128], abs=6)
    assert seen.std(axis=0).min() > 15
    tints = seen.max(axis=1) - seen.min(axis=1)
    assert np.median(tints) < 30
