from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.recipes.loading import find_recipe, load_recipe, load_run_recipe, recipe_names, shipped
from zoo.recipes.schema import Recipe
from zoo.runs.layout import RunFolder
from zoo_core.components import KINDS
from zoo_core.config import dump
from zoo_core.discovery import discover
from zoo_core.errors import ComponentError, RecipeError, UsageError

FAMILY = [
    "efficientnet_b0_cosface_128",
    "lcnet050_arcface_128",
    "lcnet050_cosface_128",
    "lcnet050_cosface_128_bn",
    "lcnet050_cosface_128_gap",
    "lcnet050_cosface_128_squeeze",
    "lcnet050_cosface_128_squeeze_lbn",
    "lcnet050_cosface_96",
    "lcnet050_cosface_96_own",
    "lcnet050_softmax_128",
    "lcnet100_cosface_128",
]

# As it stands on the page that the project started from.
SEED_ONNX = """\
onnx:
  name: WarpFeatureLearning
  input_shape:
    img:
      shape: [1, 3, 128, 128]
      dtype: float32
  input_names: ["img"]
  output_names:
    - feats
  dynamic_axes:
    img:
      "0": batch_size
    output:
      "0": batch_size
  options:
    opset_version: 16
    verbose: False
    do_constant_folding: True
"""
# A recipe that has no base, so that the block above stands alone.
ALONE = """\
model:
  backbone: {name: lcnet_050}
  head: {name: gap_ln}
  loss: {name: softmax}
data:
  image_size: [128, 128]
  train: {name: folder, options: {root: train}}
  valid: {name: folder, options: {root: valid}}
  augmentation: {name: capture}
optimizer: {name: SGD, options: {lr: 0.1}}
lr_scheduler: {name: constant}
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name, text):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_family_is_found_from_any_folder():
    assert recipe_names() == FAMILY


@pytest.mark.parametrize("name", FAMILY)
def test_each_recipe_of_the_family_resolves_and_reads_back_the_same(name):
    loaded = load_recipe(name)
    path = write("again.yaml", dump(loaded.recipe))

    assert load_recipe(path).recipe == loaded.recipe
    assert loaded.name == name
    assert loaded.warnings == ()
    height, width = loaded.recipe.data.image_size
    assert loaded.recipe.onnx.input_shape["img"].shape == [1, 3, height, width]


def test_the_front_page_recipe():
    recipe = load_recipe("lcnet050_cosface_96").recipe

    assert recipe.data.image_size == (96, 96)
    assert recipe.model.backbone.name == "timm/lcnet_050"
    assert recipe.model.head.options == {"embed_dim": 128}
    assert recipe.model.loss.options == {"s": 64, "m": 0.4, "contrast": 3.0}
    assert recipe.optimizer.options == {"lr": 4e-3, "betas": [0.9, 0.999], "weight_decay": 1e-3}


def test_own_recipes_come_first_and_bases_are_not_listed():
    write("configs/mine.yaml", "extends: lcnet050_cosface_96\n")
    write("configs/lcnet050_cosface_96.yml", "extends: lcnet050_cosface_96\nseed: 4\n")
    write("configs/base/mine.yaml", "seed: 5\n")

    assert recipe_names() == [
        "lcnet050_cosface_96",
        "mine",
        *(name for name in FAMILY if name != "lcnet050_cosface_96"),
    ]
    assert load_recipe("lcnet050_cosface_96").recipe.seed == 4
    assert load_recipe("mine").recipe.seed == 4
    assert load_recipe(shipped() / "lcnet050_cosface_96.yaml").recipe.seed == 0


def test_a_shipped_base_is_found_from_an_own_recipe():
    path = write("deep/mine.yaml", "extends: base/embedding.yaml\nseed: 3\n")

    assert load_recipe(path).recipe.seed == 3
    assert load_recipe("./deep/mine.yaml").name == "mine"


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            "lcnet050_cosface_69",
            "there is no recipe 'lcnet050_cosface_69' (looked for configs/",
            "did you mean 'lcnet050_cosface_96'?",
        ),
        ("here", "there is no recipe 'here'", "did you mean './here.yaml'?"),
        ("none.yaml", "none.yaml: no such recipe file", "'zoo recipes' lists them"),
        (
            "lcnet050_cosface_96.yaml",
            "lcnet050_cosface_96.yaml: no such recipe file",
            "did you mean 'lcnet050_cosface_96'?",
        ),
        ("some/where", "some/where: no such recipe file", "'zoo recipes' lists them"),
        (".", ". is a folder, not a recipe", "give the name of a recipe, or the path of its file"),
    ],
)
def test_what_is_not_there_is_a_usage_error_with_a_hint(said, message, hint):
    write("here.yaml", "x: 1\n")

    with pytest.raises(UsageError) as caught:
        find_recipe(said)

    (problem,) = caught.value.problems
    assert problem.message.startswith(message)
    assert problem.hint == hint


def test_environment_over_file_and_command_line_over_environment(monkeypatch):
    monkeypatch.setenv("ZOO_RECIPE__data__loader__batch_size", "32")
    monkeypatch.setenv("ZOO_RECIPE__trainer__max_epochs", "7")

    recipe = load_recipe("lcnet050_cosface_96", ["data.loader.batch_size=16"]).recipe

    assert recipe.data.loader.batch_size == 16
    assert recipe.trainer["max_epochs"] == 7


def test_a_run_keeps_its_recipe_whatever_the_environment_says(monkeypatch):
    run = RunFolder.create("lcnet050_cosface_96")
    write(run.recipe, dump(load_recipe("lcnet050_cosface_96", ["seed=5"]).recipe))
    monkeypatch.setenv("ZOO_RECIPE__seed", "6")

    assert load_run_recipe(run).recipe.seed == 5
    assert load_run_recipe(run).name == "lcnet050_cosface_96"
    assert load_run_recipe(run, ["seed=7"]).recipe.seed == 7


@pytest.mark.parametrize("before", [ALONE, "extends: lcnet050_cosface_128\n"])
def test_the_blocks_of_the_page_are_taken_as_meant_with_a_warning(before):
    path = write("seed.yaml", before + SEED_ONNX)

    loaded = load_recipe(path, registry=discover())

    line = (before + SEED_ONNX).splitlines().index("    output:") + 1
    (warning,) = loaded.warnings
    assert str(warning) == (
        f"seed.yaml:{line}:5: onnx.dynamic_axes.output: 'output' is neither an input nor an output; "
        "taken to mean 'feats', the one output without axes; call it 'feats'"
    )
    assert loaded.recipe.onnx.dynamic_axes == {"img": {"0": "batch_size"}, "feats": {"0": "batch_size"}}
    assert loaded.recipe.onnx.options == {"opset_version": 16, "verbose": False, "do_constant_folding": True}
    again = load_recipe(write("again.yaml", dump(loaded.recipe)))
    assert again.recipe == loaded.recipe
    assert again.warnings == ()


def test_a_file_renames_inputs_and_overrides_change_single_values():
    path = write(
        "mine.yaml",
        "extends: lcnet050_cosface_128\n"
        "onnx:\n  input_names: [image]\n"
        "  input_shape: {image: {shape: [1, 3, 128, 128]}}\n"
        '  dynamic_axes: {image: {"0": rows}, feats: {"0": rows}}\n',
    )

    loaded = load_recipe(path, ["onnx.dynamic_axes.feats.0=all"], registry=discover())

    assert loaded.warnings == ()
    assert list(loaded.recipe.onnx.input_shape) == ["image"]
    assert loaded.recipe.onnx.dynamic_axes == {"image": {"0": "rows"}, "feats": {"0": "all"}}
    assert loaded.recipe.onnx.output_names == ["feats"]


def test_components_are_those_that_the_recipe_names():
    registry = discover()

    components = load_recipe("lcnet050_cosface_96").components(registry)

    not_named = {"teacher", "callback", "logger", "metric"}
    assert {component.kind for component in components} == set(KINDS) - not_named
    assert "timm/lcnet_050" in {component.qualified_name for component in components}
    # Train and valid are one component.
    assert len(components) == len(KINDS) - len(not_named)


def test_a_plugin_that_was_left_out_is_unavailable_rather_than_wrong():
    registry = discover({"ZOO_DISABLE_PLUGINS": "margin"})

    with pytest.raises(ComponentError) as caught:
        load_recipe("lcnet050_cosface_96", registry=registry)
    assert "model.loss.name: loss 'margin/cosface' is from plugin 'margin', which is left out" in str(caught.value)

    with pytest.raises(RecipeError) as caught:
        load_recipe("lcnet050_cosface_96", ["trainer.max_epoch=3"], registry=registry)
    assert len(caught.value.problems) == 2


def test_a_missing_extra_is_named_once_with_its_pip_line(monkeypatch):
    # As in the plain install; what is wrong with the text itself comes first all the same.
    for name in list(sys.modules):
        if name.partition(".")[0] in {
            "torch",
            "timm",
            "lightning",
            "zoo_timm",
            "zoo_embedding",
            "zoo_margin",
            "zoo_onnx",
        }:
            monkeypatch.delitem(sys.modules, name)
    for name in ("torch", "timm", "lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    registry = discover()

    with pytest.raises(ComponentError) as caught:
        load_recipe("lcnet050_cosface_96", registry=registry)
    (problem,) = caught.value.problems
    assert problem.location.key == "model.backbone.name"
    assert "needs timm, which is not installed; get it by pip install 'plugzoo[train]'" in str(problem)

    with pytest.raises(RecipeError) as caught:
        load_recipe("lcnet050_cosface_96", ["seed=x"], registry=registry)
    assert [problem.location.key for problem in caught.value.problems] == ["model.backbone.name", "seed"]


def test_listing_recipes_imports_nothing_heavy():
    code = (
        "import sys; from zoo.recipes.loading import recipe_names; assert recipe_names();"
        "print(sorted({'torch', 'pydantic', 'yaml', 'numpy', 'zoo.recipes.schema'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_a_wheel_ships_the_recipes_inside_the_package(tmp_path):
    # As installed: the package alone, its recipes within, no checkout of zoo around it but somebody's own project.
    (tmp_path / "pyproject.toml").touch()
    site = tmp_path / "site"
    _copy(Path(sys.modules["zoo"].__file__).parent, site / "zoo")
    _copy(shipped(), site / "zoo" / "configs")
    code = (
        "import zoo; from zoo.recipes.loading import load_recipe, recipe_names, shipped;"
        "print(zoo.__file__, shipped(), len(recipe_names()), load_recipe('lcnet050_cosface_96').name)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=tmp_path,
    )

    assert result.stdout.split() == [
        str(site / "zoo" / "__init__.py"),
        str(site / "zoo" / "configs"),
        str(len(FAMILY)),
        "lcnet050_cosface_96",
    ]


def _copy(source, target):
    for path in source.rglob("*"):
        if path.is_file() and path.suffix in {".py", ".yaml"}:
            copied = target / path.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(path.read_bytes())


def test_recipes_do_not_change_once_loaded():
    recipe = load_recipe("lcnet050_cosface_96").recipe

    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 3
    assert isinstance(recipe, Recipe)
