"""Augmented samples: what an augmentation is given, and what becomes of what it returns."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.runs.unreadable import UnreadableSamples
from zoo.training.data.items import TrainingItems, generator_of
from zoo.training.data.mixed_dataset import MixedDataset
from zoo_core.api import RunError, Sample, UnreadableSample


class Shades:
    """Ten samples, shade = number, two of a class; the broken ones cannot be read."""

    classes = tuple("abcde")

    def __init__(self, broken=()):
        self.broken = broken

    def __len__(self):
        return 10

    def __getitem__(self, index):
        if index in self.broken:
            raise UnreadableSample(f"{index}.png", "broken")
        return Sample(np.full((1, 1, 3), index, np.uint8), index // 2)


def shade_and_chance(sample, generator):
    return int(sample.image[0, 0, 0]), int(generator.integers(2**40))


def test_a_view_is_what_the_augmentation_makes_of_the_sample_by_its_own_chance():
    items = TrainingItems(MixedDataset([Shades()]), shade_and_chance, 7, 2)
    first, second = items[3, 9]
    # A training that is resumed shows the same views: no version may change them.
    assert first == ((9, 919013439742), 4, 9)
    assert second == ((9, 41365490388), 4, 9)
    assert len(items) == 10


def test_one_view_is_shown_where_no_more_are_asked_for():
    assert len(TrainingItems(MixedDataset([Shades()]), shade_and_chance, 7)[0, 0]) == 1


def test_what_replaces_a_broken_sample_has_its_own_chance_and_the_position_that_was_asked_for():
    items = TrainingItems(MixedDataset([Shades({4})], 7), shade_and_chance, 7, unreadable=UnreadableSamples(share=1))
    [item] = items[2, 4]
    shade, chance = item.image
    assert shade != 4
    assert item.label == shade // 2
    assert item.position == 4
    assert chance == int(generator_of(7, 2, shade).integers(2**40))


def test_items_count_for_themselves_what_cannot_be_read():
    with pytest.raises(RunError) as caught:
        TrainingItems(MixedDataset([Shades({4})]), shade_and_chance, 7)[0, 4]
    assert str(caught.value) == (
        "data.train: 1 of 10 samples cannot be read: 4.png (broken); more than data.unreadable_share 0.01"
    )


def test_the_same_items_may_be_counted_elsewhere(tmp_path):
    items = TrainingItems(MixedDataset([Shades({4})], 7), shade_and_chance, 7, 3)
    recorded = UnreadableSamples(tmp_path / "skipped.csv", share=1)
    others = items.recording(recorded)
    assert others.unreadable is recorded
    assert others[1, 5] == items[1, 5]
    assert len(others[1, 4]) == 3
    assert (tmp_path / "skipped.csv").read_text() == "part,path,reason,samples\ntrain,4.png,broken,1\n"
    with pytest.raises(RunError):
        items[1, 4]
