"""Each fault of a component is found before training, with the component, its version, the line, promise and find."""

from __future__ import annotations

import json
import random
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from zoo.assembly import RecipeBuilder
from zoo.cli.main import cli
from zoo.contract_checks.batch import FirstBatchCheck
from zoo.recipes.loading import load_recipe
from zoo_core.discovery import discover

SOURCE = Path(__file__).with_name("faulty_components.py")
COMPONENTS = runpy.run_path(str(SOURCE))
KINDS = {"backbone": "Backbone", "head": "Head", "loss": "Loss", "dataset": "Dataset", "augmentation": "Augmentation"}
PLACES = {
    "backbone": "model.backbone",
    "head": "model.head",
    "loss": "model.loss",
    "dataset": "data.train",
    "augmentation": "data.augmentation",
}
MODEL = ("model.backbone", "model.head", "model.loss")
FAULTS = {
    "WrongChannels": "declares 16 channels at stride 4, so [4, 16, 8, 8] for [4, 3, 32, 32], but forward returned "
    "[4, 8, 8, 8]",
    "WrongStride": "declares 8 channels at stride 8, so [4, 8, 4, 4] for [4, 3, 32, 32], but forward returned",
    "MissingLevel": "feature_levels declares 2 levels, but forward returned 1",
    "OneTensor": "its forward returned a Tensor; return a list of tensors, one a level",
    "NotFinite": "feature level 0 holds 2048 of 2048 values that are not finite before the first step; the component's",
    "WrongInput": "its forward on features [4, 8, 8, 8] failed at ",
    "WrongDimension": "embedding_dim declares 32, so [4, 32], but forward returned [4, 16]",
    "OfTheBatch": "in evaluation mode the embeddings of an image change by ",
    "NotANumber": "its embeddings holds 64 of 64 values that are not finite",
    "GlobalDropout": "took random numbers from the global state of numpy.random; take random numbers from the",
    "PerSample": "its forward returned [4], no scalar; reduce it over the batch",
    "Infinite": "the loss of the first batch holds 1 of 1 values that are not finite before the first step",
    "Detached": "its value has no gradient",
    "NoTensor": "its forward returned a float; return a scalar tensor",
    "InfiniteGradient": "the gradient of its input is not finite in the first batch; the component's own arithmetic",
    "UnequalParts": "add up to 1e+06, but the loss is ",
    "Grey": "the image of sample 0 is uint8 [40, 60], not uint8 [H, W, 3]; convert it to RGB, 0..255",
    "Float": "the image of sample 0 is float32 [40, 60, 3], not uint8 [H, W, 3]",
    "Pair": "sample 0 is a tuple; return a zoo_core.api.Sample(image, label)",
    "PairsInStream": "(zoo-acme 0.3.0): sample 0 is a tuple; return a zoo_core.api.Sample(image, label)",
    "LabelTooHigh": "the label of sample 0 is 6, but there are 6 classes",
    "LabelText": "the label of sample 0 is a str; give an int, the index of its class",
    "OtherEachTime": "sample 0 has another image when it is read again; the same index must give the same sample",
    "GlobalRandom": "reading sample 0 took random numbers from the global state of random",
    "Raises": "reading sample 0 failed at ",
    "WrongSize": "the augmented image is 8x16, but the recipe's image_size is 32x32; take image_size as wired",
    "NumpyGlobal": "augmenting a sample took random numbers from the global state of numpy.random",
    "Unseeded": "the same sample and generator gave two different images; take all randomness from the generator",
    "WritesIntoSample": "augmenting a sample changes its image; write into a copy",
    "FloatImage": "the augmented image is float64 [32, 32, 3], not uint8 [H, W, 3]",
}


WRAPPERS = {
    "TwoOutputs": "its forward returned 2 outputs, but onnx.output_names has 1; name each output",
    "ShortOutput": "its first output, 'feats', is float32 [4, 8], but the model's embeddings are float [4, 16]",
    "OtherColours": "the wrapper",
    "Unexportable": "torch.onnx.export failed",
}


def kind_of(name):
    if name in WRAPPERS or name == "GoodWrapper":
        return "export_wrapper"
    bases = [base.__name__ for base in COMPONENTS[name].__mro__]
    return next(kind for kind, base in KINDS.items() if f"Good{base}" in bases)


@pytest.fixture
def plugin(add_distribution, manifest):
    """Install all components as the plugin `acme` of zoo-acme 0.3.0."""
    names = [*FAULTS, *WRAPPERS, "GoodWrapper", "Unused", *(f"Good{base}" for base in KINDS.values())]
    specs = [f"ComponentSpec('{kind_of(name)}', '{name}', 'acme_parts:{name}', 'a component')" for name in names]
    source = SOURCE.read_text(encoding="utf-8")
    add_distribution("zoo-acme", "0.3.0", modules={"acme_parts": source}, acme=manifest(*specs))


def dry_run(recipe, *overrides):
    return CliRunner().invoke(cli, ["train", "--cfg", str(recipe), "--dry-run", *overrides])


def override(kind, name):
    return f"{PLACES[kind]}={{name: acme/{name}}}"


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_component_version_line_promise_and_find(name, tiny_recipe):
    kind = kind_of(name)
    others = [override(other, f"Good{KINDS[other]}") for other in ("backbone", "head") if other != kind]
    done = dry_run(tiny_recipe, *others, override(kind, name), "data.samples_per_epoch=96")
    assert done.exit_code == 4, done.output
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f"{PLACES[kind]}: {kind} acme/{name} (zoo-acme 0.3.0): " in line
    assert FAULTS[name] in line
    if " failed at " in line:
        assert re.search(r"acme_parts\.py:\d+: ", line)


@pytest.mark.usefixtures("plugin")
def test_good_components_of_all_kinds_pass(tiny_recipe):
    done = dry_run(tiny_recipe, *(override(kind, f"Good{base}") for kind, base in KINDS.items()))
    assert done.exit_code == 0, done.output


@pytest.mark.usefixtures("plugin")
def test_parameters_without_gradient_are_told_and_strict_refuses(tiny_recipe):
    chosen = [override("backbone", "Unused"), override("head", "GoodHead")]
    line = (
        "backbone acme/Unused (zoo-acme 0.3.0): no gradient reaches 2 of 4 parameters: forgotten.weight, forgotten.bias"
    )
    done = dry_run(tiny_recipe, *chosen)
    assert done.exit_code == 0
    assert f"warning: {line}" in done.stderr
    refused = dry_run(tiny_recipe, *chosen, "--strict")
    assert refused.exit_code == 1
    assert line in refused.stderr


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_that_will_not_export_is_found_before_training(name, tiny_recipe, tmp_path):
    run = tmp_path / "run"
    done = CliRunner().invoke(cli, ["train", "--cfg", str(tiny_recipe), "-o", str(run), f"onnx.name=acme/{name}"])
    assert done.exit_code == 1, done.output
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert ": onnx" in line
    assert WRAPPERS[name] in line
    assert not run.exists()


@pytest.mark.usefixtures("plugin")
def test_the_command_shows_what_went_through(tiny_recipe):
    arguments = ["check", "--cfg", str(tiny_recipe), "onnx.name=acme/GoodWrapper"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert rows["onnx"] == "export_wrapper acme/GoodWrapper (zoo-acme 0.3.0): feats"
    assert rows.keys() == {"data.train", "data.valid", "data.augmentation", *MODEL, "onnx"}
    assert "next: zoo train --cfg" in done.stderr
    document = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert document["components"] == rows
    assert (document["schema"], document["images"], document["warnings"]) == (1, 4, [])


def test_the_check_changes_nothing_that_training_uses(tiny_recipe):
    loaded, registry = load_recipe(str(tiny_recipe)), discover()
    builder = RecipeBuilder(loaded, registry)
    dataset, valid = builder.dataset("train"), builder.dataset("valid")
    model, check = builder.model(initial_weights=True), FirstBatchCheck(builder)

    def state():
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        return weights, torch.get_rng_state(), random.getstate(), list(np.random.get_state()[1]), model.training  # noqa: NPY002 - the state that must stay

    before = state()
    check.run(check.data([dataset], valid), dataset.classes, builder.augmentation(), model, None)
    after = state()
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])
    assert torch.equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert all(parameter.grad is None for parameter in model.parameters())
