from __future__ import annotations

import pytest

from zoo.assembly import RecipeBuilder
from zoo.recipes.loading import load_recipe
from zoo_core.discovery import discover
from zoo_core.errors import ZooError

NETWORK = """
from torch import nn
from zoo_core.api import FeatureLevel, Preprocessing

class Small(nn.Module):
    def __init__(self, weights: str | None = "none_such.pth"):
        if weights:
            raise ValueError(f"there is no file {weights}")
        super().__init__()
        self.feature_levels = (FeatureLevel(8, 4),)
        self.preprocessing = Preprocessing((0.5,) * 3, (0.5,) * 3)
        self.convolution = nn.Conv2d(3, 8, 4, stride=4)

    def forward(self, images):
        return [self.convolution(images)]
"""


def builder(add_distribution, manifest, tiny_recipe, restoring):
    spec = f"ComponentSpec('backbone', 'small', 'fake_small:Small', 'small', restoring={restoring})"
    add_distribution("zoo-fake", fake=manifest(spec), modules={"fake_small": NETWORK})
    registry = discover()
    return RecipeBuilder(load_recipe(tiny_recipe, ["model.backbone={name: fake/small}"], registry=registry), registry)


def test_what_only_matters_for_initial_weights_is_named_by_the_manifest(add_distribution, manifest, tiny_recipe):
    found = builder(add_distribution, manifest, tiny_recipe, "(('weights', None),)")
    with pytest.raises(ZooError, match=r"there is no file none_such\.pth"):
        found.model(initial_weights=True)
    assert found.model(initial_weights=False).backbone.feature_levels[0].channels == 8


def test_without_it_the_option_stays(add_distribution, manifest, tiny_recipe):
    with pytest.raises(ZooError, match=r"there is no file none_such\.pth"):
        builder(add_distribution, manifest, tiny_recipe, "()").model(initial_weights=False)


def test_a_restoring_that_is_no_tuple_of_pairs_leaves_the_plugin_out(add_distribution, manifest):
    spec = "ComponentSpec('backbone', 'small', 'fake_small:Small', 'small', restoring={'weights': None})"
    add_distribution("zoo-fake", fake=manifest(spec))
    [failure] = discover().failures
    assert failure.reason == ("the restoring of backbone 'small' is {'weights': None}, not a tuple of (option, value)")
