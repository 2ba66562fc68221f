from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_documents.drawing.pages import LONG_SIDE
from zoo_documents.synthetic import SyntheticDocuments
from zoo_documents.templates.composing import FAMILY, compose, generator_for


@pytest.fixture(scope="module")
def layers(assets):
    return [compose(0, "train", number, assets) for number in range(120)]


def test_generators_of_splits_are_apart():
    draws = {
        generator_for(seed, split, *numbers).integers(2**62).item()
        for seed in (0, 1)
        for split in ("train", "unseen")
        for numbers in ((0, 0), (0, 1), (1, 0), (0, 2, 0), (0, 2, 1))
    }
    assert len(draws) == 20


def test_templates_differ(layers, small):
    bases = [small(template.layer) for number, template in enumerate(layers) if number % FAMILY != FAMILY - 1]
    nearest = min(np.abs(a - b).mean() for i, a in enumerate(bases) for b in bases[:i])
    assert nearest > 3


def test_hard_negatives_are_near_but_not_the_same(layers, small):
    differences = []
    for number in range(FAMILY - 1, len(layers), FAMILY):
        base, variant = layers[number - FAMILY + 1], layers[number]
        assert base.kind == variant.kind
        assert base.layer.shape == variant.layer.shape
        difference = np.abs(small(base.layer) - small(variant.layer)).max(axis=2)
        assert (difference > 25).sum() >= 10, number
        differences.append(difference.mean())
    unrelated = [np.abs(small(a.layer) - small(b.layer)).mean() for a, b in pairwise(layers)]
    assert np.median(differences) < 0.5 * np.median(unrelated)


@pytest.mark.parametrize(
    ("seed", "split", "numbers"),
    [
        # Dark cards covered by a picture, whose colours are not visible; a name that is barely visible.
        (0, "train", (535, 719, 1215)),
        (0, "unseen", (1499, 1963)),
        (7, "train", range(FAMILY - 1, 800, FAMILY)),
    ],
)
def test_the_change_of_a_hard_negative_is_visible(assets, seed, split, numbers, small):
    for number in numbers:
        pair = [
            compose(seed, split, each, assets).sample(generator_for(1, split, number)) for each in (number - 3, number)
        ]
        assert np.abs(small(pair[0]) - small(pair[1])).max() >= 40, number


def test_a_hard_negative_is_the_same_with_and_without_its_original(assets):
    dataset = SyntheticDocuments(templates=720, samples_per_template=1)
    for number in (3, 535, 719):
        alone = compose(0, "train", number, assets).sample(generator_for(0, "train", number, 2, 0))
        np.testing.assert_array_equal(dataset[number].image, alone)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**63), st.sampled_from(["train", "unseen"]), st.integers(0, 10**9))
def test_any_template_can_be_drawn(assets, seed, split, number):
    template = compose(seed, split, number, assets)
    image = template.sample(generator_for(seed, split, number, 2, 0))
    assert image.shape == template.layer.shape
    # No kind is narrower than 2.7 to 1.
    assert max(image.shape) == LONG_SIDE
    assert min(image.shape[:2]) >= LONG_SIDE / 2.75
