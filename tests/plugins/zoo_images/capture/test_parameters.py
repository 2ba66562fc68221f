from __future__ import annotations

import numpy as np
import pytest

from zoo_core.api import Sample
from zoo_images.capture.augmentation import Capture

SAMPLE = Sample(np.zeros((60, 96, 3), np.uint8), 0)
# What each option switches, and how often each part is seen at the default chances.
OPTIONS = {
    "colour": {"colour": 0.8},
    "light": {"light": 0.5, "shadow": 0.175, "glare": 0.15},
    "blur": {"blur": 0.5},
    "noise": {"noise": 0.5},
    "reduction": {"reduction": 0.25},
    "jpeg": {"quality": 0.4},
    "occlusion": {"finger": 0.15},
}


def shots(count=2000, **options):
    capture = Capture((96, 96), **options)
    return [capture.draw(SAMPLE, np.random.default_rng([3, number])) for number in range(count)]


def share(drawn, part):
    return np.mean([getattr(shot, part) is not None for shot in drawn])


def test_each_part_comes_as_often_as_its_option_says():
    drawn = shots()
    for parts in OPTIONS.values():
        for part, chance in parts.items():
            assert share(drawn, part) == pytest.approx(chance, abs=0.04), part
    for part, chance in {"colour": 0.4, "blur": 0.25, "quality": 0.2}.items():
        assert share(shots(strength=0.5), part) == pytest.approx(chance, abs=0.04), part


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_switches_its_own_parts_and_changes_no_other(option):
    for full, without in zip(shots(200), shots(200, **{option: 0.0}), strict=True):
        for part, value in full._asdict().items():
            if part in OPTIONS[option]:
                assert getattr(without, part) is None
            else:
                np.testing.assert_equal(getattr(without, part), value)


def test_every_effect_stays_within_its_range():
    drawn = shots()
    corners = np.array([shot.corners for shot in drawn]).reshape(-1, 4, 2)
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    assert sides.min() > 0.5
    assert sides.max() < 1.6
    assert np.abs(corners.mean(axis=1) - 0.5).max() < 0.1
    assert {shot.blur.kind for shot in drawn if shot.blur} == {1, 2, 3}
    assert all(1 <= shot.noise.sigma <= 14 for shot in drawn if shot.noise)
    assert all(1.1 <= shot.reduction <= 2.2 for shot in drawn if shot.reduction)
    assert all(25 <= shot.quality <= 90 for shot in drawn if shot.quality)


def test_a_colour_map_keeps_grey_grey_but_for_balance_and_effects():
    """White balance and shift are small: the median capture of middle grey is middle grey."""
    grey = np.array([128, 128, 128, 1.0])
    seen = np.array([shot.colour @ grey for shot in shots() if shot.colour is not None])
    assert np.median(seen, axis=0) == pytest.approx([128, 128, 128], abs=6)
    assert seen.std(axis=0).min() > 15
    tints = seen.max(axis=1) - seen.min(axis=1)
    assert np.median(tints) < 30
