from __future__ import annotations

import json

import pytest

from zoo.recipes.loading import load_recipe


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Write a recipe over the shipped base and load it with overrides."""
    monkeypatch.chdir(tmp_path)

    def load(*overrides, text=""):
        (tmp_path / "mine.yaml").write_text(f"extends: base/embedding.yaml\n{text}")
        return load_recipe("mine.yaml", overrides)

    return load


def test_an_override_of_the_name_keeps_the_options_that_the_new_component_has(recipe):
    loaded = recipe("model.loss.name=arcface")

    assert loaded.recipe.model.loss.options == {"contrast": 3.0}
    assert loaded.warnings == ()
    assert loaded.notes == ("model.loss: arcface keeps the options of margin/cosface: contrast=3.0",)


def test_an_override_beside_the_name_counts_and_the_rest_stays(recipe):
    loaded = recipe(
        "model.loss.name=arcface", "model.loss.options.m=0.5", text="model: {loss: {options: {s: 64, m: 0.4}}}"
    )

    assert loaded.recipe.model.loss.options == {"contrast": 3.0, "s": 64, "m": 0.5}


def test_the_environment_keeps_options_too(recipe, monkeypatch):
    monkeypatch.setenv("ZOO_RECIPE__model__loss__name", "margin/softmax")

    assert recipe().recipe.model.loss.options == {"contrast": 3.0}


def test_an_option_that_the_new_component_lacks_is_dropped_with_a_warning_at_its_line(recipe):
    loaded = recipe("optimizer.name=SGD")

    assert loaded.recipe.optimizer.options == {"lr": 4.0e-3, "weight_decay": 1.0e-3}
    (warning,) = loaded.warnings
    assert warning.location.file.endswith("embedding.yaml")
    assert warning.location.line
    assert warning.location.key == "optimizer.options.betas"
    assert warning.message == "[0.9, 0.999] of AdamW is dropped: SGD has no such option"


def test_a_file_that_renames_says_which_options_of_its_base_it_leaves_out(recipe):
    loaded = recipe(text="model: {loss: {name: margin/arcface, options: {m: 0.5}}}")

    assert loaded.recipe.model.loss.options == {"m": 0.5}
    (warning,) = loaded.warnings
    assert str(warning).endswith(
        "model.loss.options.contrast: 3.0 of margin/cosface is dropped, and margin/arcface has this option too; "
        "write model.loss.options.contrast beside the name"
    )


@pytest.mark.parametrize(
    "text",
    [
        "model: {loss: {name: margin/arcface, options: {contrast: 0}}}",  # written
        "lr_scheduler: {name: cosine_warmup}",  # 0.1 is the default
        "data: {augmentation: {name: images/capture}}",  # the same name
        "data: {train: {name: images/folder, options: {root: x, split: train}}}",  # has no templates
    ],
)
def test_what_is_no_loss_is_no_warning(recipe, text):
    assert recipe(text=text).warnings == ()


@pytest.mark.parametrize("by_override", [False, True])
def test_a_data_set_keeps_nothing_for_its_options_describe_other_data(recipe, by_override):
    text = "data: {valid: {name: images/folder, options: {root: x}}}"
    overrides = ["data.valid.name=images/folder", "data.valid.options.root=x"]
    loaded = recipe(*overrides) if by_override else recipe(text=text)

    assert loaded.recipe.data.valid.options == {"root": "x"}
    # The file's author knows that cards in a folder have no templates; the override's wrote a name alone.
    lacking = {
        "templates": "250 of documents/synthetic is dropped: images/folder has no such option",
        "samples_per_template": "2 of documents/synthetic is dropped: images/folder has no such option",
    }
    assert {warning.location.key.rpartition(".")[2]: warning.message for warning in loaded.warnings} == {
        "split": '"unseen" of documents/synthetic is dropped, and images/folder has this option too',
        **(lacking if by_override else {}),
    }
    assert all(warning.location.line for warning in loaded.warnings)


def test_a_data_sets_option_that_the_new_one_has_by_default_is_no_loss(recipe):
    synthetic = "{name: documents/synthetic, options: {split: train, cache_mb: 1024}}"

    loaded = recipe("data.train.name=images/folder", text=f"data: {{train: {synthetic}}}")

    assert "data.train.options.cache_mb" not in {warning.location.key for warning in loaded.warnings}


@pytest.mark.parametrize(
    ("path", "kind", "old", "options"),
    [
        ("model.backbone", "backbone", "timm/lcnet_050", {"pretrained": False}),
        ("model.head", "head", "embedding/flatten_ln", {"embed_dim": 8}),
        ("model.loss", "loss", "margin/cosface", {"m": 0.2}),
        ("model.distillation.teacher", "teacher", "timm/lcnet_050", {"tag": "x"}),
        ("data.train", "dataset", "images/folder", {"root": "x"}),
        ("data.valid", "dataset", "images/folder", {"root": "x"}),
        ("data.augmentation", "augmentation", "images/capture", {"strength": 0.5}),
    ],
)
def test_whatever_is_renamed_what_the_new_one_lacks_is_a_warning(
    recipe, add_distribution, manifest, path, kind, old, options
):
    spec = f"ComponentSpec(kind={kind!r}, name='plain', factory='outside_plain:make', summary='-')"
    add_distribution("zoo-outside", modules={"outside_plain": "def make():\n    ..."}, outside=manifest(spec))
    written = {"name": old, "options": options}
    for key in reversed(path.split(".")):
        written = {key: written}

    loaded = recipe(f"{path}.name=outside/plain", text=json.dumps(written)[1:-1] + "\n")

    ((key, value),) = options.items()
    (warning,) = [one for one in loaded.warnings if one.location.key == f"{path}.options.{key}"]
    assert warning.message == f"{json.dumps(value)} of {old} is dropped: outside/plain has no such option"
    assert warning.location.file == "mine.yaml"


def test_options_of_one_command_line_are_never_dropped(recipe):
    loaded = recipe("optimizer={name: SGD, options: {momentum: 0.9}}", "optimizer.name=Adam")

    assert loaded.recipe.optimizer.options == {
        "momentum": 0.9,
        "lr": 4.0e-3,
        "betas": [0.9, 0.999],
        "weight_decay": 1.0e-3,
    }


def test_an_unknown_name_keeps_everything_for_the_error_that_follows(recipe):
    loaded = recipe("model.loss.name=nosuchloss")

    assert loaded.recipe.model.loss.options == {"contrast": 3.0}


@pytest.mark.parametrize("by_override", [False, True])
def test_options_that_two_data_sets_share_are_dropped_with_a_warning(tmp_path, monkeypatch, by_override):
    monkeypatch.chdir(tmp_path)
    options = "{root: x, split: train, unseen_share: 0.3, max_side: 32, cache: auto}"
    (tmp_path / "base.yaml").write_text(
        f"extends: base/embedding.yaml\ndata: {{train: {{name: images/folder, options: {options}}}}}\n"
    )
    renamed = "{name: images/list, options: {file: l.csv, cache: none}}"
    (tmp_path / "child.yaml").write_text(
        "extends: base.yaml\n" + ("" if by_override else f"data: {{train: {renamed}}}\n")
    )
    loaded = load_recipe("child.yaml", (f"data.train={renamed}",) if by_override else ())

    assert loaded.recipe.data.train.options == {"file": "l.csv", "cache": "none"}
    # Not `cache`, which is given.
    assert {warning.location.key.rpartition(".")[2] for warning in loaded.warnings} == {
        "root", "split", "unseen_share", "max_side"
    }  # fmt: skip
    assert all("images/list has this option too" in warning.message for warning in loaded.warnings)
