from __future__ import annotations

import pytest

from zoo.recipes.loading import load_recipe
from zoo.recipes.public import OWN_DATA, OWN_FILE, public_recipe
from zoo_core.discovery import discover


@pytest.fixture(scope="module")
def registry():
    return discover()


def published(registry, *overrides, cfg="lcnet050_cosface_96"):
    return public_recipe(load_recipe(cfg, overrides).recipe, registry)


@pytest.mark.parametrize("options", ["root: cards", "root: /a/b", "root: ~/x", "root: $HOME/x"])
def test_folders_are_replaced_and_choices_stay(registry, options):
    text = f"data.train={{name: images/instances, options: {{{options}, split: train, views: true}}}}"
    recipe = published(registry, text)
    assert recipe.data.train.options == {"root": OWN_DATA, "split": "train", "views": True}


def test_columns_and_lists_are_somebodys_own(registry):
    options = "{file: cards.csv, label_column: client, split_column: part, split: secret, path_column: path}"
    found = published(registry, f"data.train={{name: images/list, options: {options}}}").data.train.options
    # The default says nothing of the data.
    assert found == {
        **dict.fromkeys(("file", "label_column", "split_column", "split"), OWN_DATA),
        "path_column": "path",
    }
    shards = published(registry, "data.train={name: images/webdataset, options: {shards: [a.tar, b.tar]}}")
    assert shards.data.train.options == {"shards": OWN_DATA}


def test_data_that_the_card_names_are_public(registry):
    also = "data.train={name: images/hub, options: {path: org/cards, label: kind, data_files: /home/me/x}}"
    hidden = published(registry, also).data.train.options
    assert hidden == {"path": OWN_DATA, "label": OWN_DATA, "data_files": OWN_DATA}
    told = published(registry, also, "card.datasets=[org/cards]").data.train.options
    assert told == {"path": "org/cards", "label": "kind", "data_files": OWN_DATA}


def test_paths_anywhere_are_replaced(registry):
    found = published(
        registry,
        "model.backbone.options.pretrained=weights.pth",
        "trainer.default_root_dir=/home/me",
        "card.summary=See /docs.",
        "hub.repo_id=me/secret",
    )
    assert found.model.backbone.options["pretrained"] == OWN_FILE
    assert found.trainer["default_root_dir"] == OWN_FILE
    assert found.card.summary == "See /docs."
    assert found.hub.repo_id is None


@pytest.mark.parametrize("file", ["client/table.jpg", "client.h5", "client.LMDB", "masks.tiff", "x/../client", "a.pkl"])
def test_files_that_hold_data_are_replaced_wherever_they_are_named(registry, file):
    found = published(registry, f"trainer.default_root_dir={file}")
    assert found.trainer["default_root_dir"] == OWN_FILE


def test_a_model_to_start_from_is_named_only_where_others_have_it(registry):
    assert published(registry, "init_from=/home/me/runs/first/1").init_from == OWN_FILE
    assert published(registry, "init_from=org/model@v1").init_from == "org/model@v1"


def test_what_nobody_can_load_is_replaced_whole(registry):
    text = "data.train={name: acme/scans, options: {place: here, rows: 3, weights: {client: 2}}}"
    found = published(registry, text).data.train.options
    assert found == {"place": OWN_DATA, "rows": 3, "weights": OWN_DATA}


def test_shipped_recipes_are_published_as_they_are(registry):
    recipe = load_recipe("lcnet050_cosface_96").recipe
    assert public_recipe(recipe, registry) == recipe
