"""Wrappers with one fault each around a trained model: each is refused with a line that says what differs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from zoo.cli.main import cli
from zoo.onnx_export import run
from zoo.recipes.loading import load_run_recipe
from zoo.runs.layout import RunFolder
from zoo.training.checkpoints import AtomicCheckpointIO
from zoo_core.discovery import discover
from zoo_core.errors import ZooError

RECIPE = """\
extends: lcnet050_cosface_96
model:
  backbone: {options: {pretrained: false}}
  head: {options: {embed_dim: 32}}
data:
  image_size: [48, 48]
  train: {options: {templates: 24, samples_per_template: 4}}
  valid: {options: {templates: 12, samples_per_template: 2}}
  valid_captures: 0
  samples_per_epoch: 960
  loader: {batch_size: 32, num_workers: 0}
trainer: {max_epochs: 1}
"""
ANY_SIZE = (
    "onnx.input_shape={img: {shape: [1, 60, 80, 3], dtype: uint8}}",
    'onnx.dynamic_axes={img: {"0": batch, "1": height, "2": width}, feats: {"0": batch}}',
)
SOURCE = Path(__file__).with_name("faulty_wrappers.py")
MANIFEST = """
from zoo_core.api import ComponentSpec, hookimpl
ZOO_API = 1

@hookimpl
def zoo_components():
    return [ComponentSpec("export_wrapper", name, f"faulty_wrappers:{name}", "a fault") for name in NAMES]
"""


def trained(folder):
    recipe = folder / "small.yaml"
    recipe.write_text(RECIPE)
    done = CliRunner().invoke(cli, ["train", "--cfg", str(recipe), "--output", str(folder / "run")])
    assert done.exit_code == 0, done.output
    return RunFolder.open(folder / "run")


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A run of sixty steps."""
    return trained(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="session")
def weak_model(model, tmp_path_factory):
    """The same with embeddings that lie close together, as after too few steps."""
    path = tmp_path_factory.mktemp("weak") / "run"
    shutil.copytree(model.path, path)
    weak = RunFolder.open(path)
    state = torch.load(weak.best, weights_only=True)["state_dict"]
    last = [name for name in state if name.startswith("model.head.")][-1].rpartition(".")[0]
    state[f"{last}.weight"] *= 0.06
    state[f"{last}.bias"].fill_(1.0)
    AtomicCheckpointIO().save_checkpoint({"state_dict": state}, weak.best)
    return weak


@pytest.fixture
def export(add_distribution):
    """Export a run by a wrapper: ``export(model, "Bgr")``."""
    names = [source.partition("(")[0] for source in SOURCE.read_text().split("\nclass ")[1:]]
    add_distribution(
        "zoo-faulty", modules={"faulty_wrappers": SOURCE.read_text()}, faulty=f"NAMES = {names}\n{MANIFEST}"
    )
    registry = discover()

    def run_export(folder, name, *overrides):
        # Drawn patterns are there at once.
        data = "data.valid={name: images/folders, options: {root: /nowhere}}"
        loaded = load_run_recipe(folder, (data, f"onnx.name=faulty/{name}", *overrides), registry=None)
        return run.export_run(folder, loaded, registry, simplify=False)

    return run_export


FAULTS = [
    ("Bgr", (), "the wrapper takes the colours as BGR"),
    ("Gbr", (), "the wrapper takes the colours as GBR"),
    ("Grey", (), "the wrapper takes colours as grey"),
    ("Mirror", (), "the wrapper mirrors images left to right"),
    ("UpsideDown", (), "the wrapper turns images upside down"),
    ("Transposed", (), "the wrapper swaps height and width"),
    ("Turned", (), "the wrapper turns images by 270 degrees"),
    ("Scale", (), "the wrapper multiplies pixels by 0.9"),
    ("Offset", (), "the wrapper adds 0.02 to pixels"),
    ("Gamma", (), r"the wrapper raises pixels to the power of 2.2 \(gamma\)"),
    ("Negative", (), "the wrapper takes negatives"),
    ("Bytes", (), r"the wrapper takes pixels in 0\.\.255 where they are in 0\.\.1"),
    ("Bfloat16", (), "the wrapper rounds pixels to bfloat16"),
    ("Normalized", (), "the wrapper normalises pixels by another mean and std, 0 and 1"),
    ("NormalizedTwice", (), "the wrapper normalises pixels twice"),
    (
        "Normalized",
        ("onnx.wrapper_options={mean: [0.47, 0.45, 0.42], std: [0.24, 0.22, 0.23]}",),
        "the wrapper scales and shifts red, green and blue .*: another normalisation",
    ),
    ("EmbeddingBias", (), "the wrapper does not compute what the evaluated model does"),
    ("Rolled", (), "the wrapper rolls the numbers of an embedding by 1"),
    ("FlippedSign", (), "the wrapper flips the sign of 1 of an embedding's 32 numbers"),
    ("FlippedRow", (), "the wrapper has other weights than the model: head.*weight"),
    ("RandomWeights", (), "the wrapper has other weights than the model: backbone"),
    (
        "TrainingMode",
        (),
        "the wrapper lets an image's embedding depend on the others of its batch: is a layer in training",
    ),
    ("BgrInBatchesAbove", (), "in batches of 65, the wrapper takes the colours as BGR"),
    (
        "BgrInBatchesAbove",
        ("onnx.wrapper_options.count=65",),
        r"in batches of \d+, the wrapper takes the colours as BGR",
    ),
    ("Shifted", (), "parity failed: the wrapper gives images of a batch the embeddings of others"),
    ("FirstRowOnly", (), "parity failed: the wrapper gives every image of a batch the embedding of image 0"),
    ("NotANumber", (), "its first output, 'feats', is not finite"),
    ("PixelsBgr", ANY_SIZE, "the wrapper takes the colours as BGR"),
    ("PixelsBgrAbove", ANY_SIZE, r"such as one of \d+ x \d+ pixels .*, the graph takes the colours as BGR"),
    ("PixelsBgrTall", ANY_SIZE, r"in images of 4000 x 3000 pixels .*, the graph takes the colours as BGR"),
    ("Pixels", ANY_SIZE, "the graph resizes without antialiasing, and not as Pillow does"),
    (
        "Pixels",
        (*ANY_SIZE, "onnx.wrapper_options.align_corners=true"),
        "the graph resizes with align_corners, and not as Pillow does",
    ),
    ("Pixels", (*ANY_SIZE, "onnx.wrapper_options.mode=nearest"), "parity failed"),
]


# One of each kind; the others take minutes together.
OFTEN = {"Bgr", "EmbeddingBias", "FlippedRow", "FirstRowOnly", "PixelsBgr"}


@pytest.mark.parametrize(
    ("name", "overrides", "reason"),
    [
        pytest.param(*one, id=f"{one[0]}{number}", marks=() if one[0] in OFTEN else pytest.mark.slow)
        for number, one in enumerate(FAULTS)
    ],
)
def test_a_faulty_wrapper_is_refused_in_one_line_that_says_what_differs(export, model, name, overrides, reason):
    with pytest.raises(ZooError, match=reason) as caught:
        export(model, name, *overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["Bgr", "Mirror", "Scale", "Offset", "Gamma", "Bfloat16", "FlippedRow", "TrainingMode"]
)
def test_around_a_weakly_trained_model_it_is_refused_too(export, weak_model, name):
    """Where the model itself may be exported: its embeddings lie close together, and a fault moves them less."""
    assert 0.01 < export(weak_model, "Wrapper").report["spread"] < 0.06
    with pytest.raises(ZooError, match="parity failed"):
        export(weak_model, name)


@pytest.mark.slow
def test_a_wrapper_may_leave_normalisation_to_the_consumer_and_says_so(export, model):
    assert export(model, "Wrapper").report["normalized"] is True
    assert export(model, "Unnormalized").report["normalized"] is False


def test_further_outputs_are_compared_as_what_they_are(export, model):
    names = ("feats", "best", "flag", "bright", "value", "half")
    axes = ", ".join(f"{name}: {{'0': batch}}" for name in ("img", *names))
    more = (f"onnx.output_names=[{', '.join(names)}]", f"onnx.dynamic_axes={{{axes}}}")
    outputs = {output["name"]: output for output in export(model, "More", *more).report["outputs"]}
    dtypes = {"feats": "float32", "best": "int64", "flag": "float32", "bright": "bool", "value": "float32"}
    dtypes["half"] = "float16"
    assert {name: output["dtype"] for name, output in outputs.items()} == dtypes
    assert {outputs[name]["max_abs_diff"] for name in ("best", "flag", "bright")} == {0}


def test_a_graph_of_any_size_is_proven_from_16_to_4000_pixels(export, model):
    report = export(model, "PillowPixels", *ANY_SIZE).report
    sides = [side for compared in report["sizes"] for side in compared["image"]]
    assert (min(sides), max(sides)) == (16, 4000)
    assert max(compared["max_abs_diff"] for compared in report["sizes"]) <= 1e-5


RAISED = [
    ("Failing", ["onnx.wrapper_options={early: true}"], "KeyError"),
    ("Failing", [], "its forward failed: KeyError"),
    ("FailsToSay", [], "its forward failed: Unspeakable"),
    ("FailsInEval", [], r"its eval\(\) failed: KeyError: 'no such key'"),
    (
        "Scalar",
        ["onnx.output_names=[feats, brightness]"],
        "its output 'brightness' is a single number; every output has a row for each image",
    ),
    ("FailingWhenTraced", [], "torch.onnx.export failed: KeyError"),
    ("ReturnsDict", [], "its forward returned a dict; return a tensor"),
    (
        "Swapped",
        ["onnx.output_names=[best, feats]"],
        r"its first output, 'best', is int64 \[1\], but the model's embeddings are float .*; return 'feats' first",
    ),
]
# The same of other exceptions, and what the check before the training knows too.
RAISED_TOO = [
    ("Failing", ["onnx.wrapper_options={early: true, what: SystemExit}"], "SystemExit: 3"),
    ("Failing", ["onnx.wrapper_options={what: SystemExit}"], "its forward failed: SystemExit: 3"),
    ("Failing", ["onnx.wrapper_options={what: MemoryError}"], "its forward failed: MemoryError"),
    ("FailingWhenTraced", ["onnx.wrapper_options={what: SystemExit}"], "torch.onnx.export failed: SystemExit: 3"),
    ("TooMany", [], "its forward returned 2 outputs, but onnx.output_names has 1"),
]


@pytest.mark.parametrize(
    ("name", "overrides", "reason"), [*RAISED, *(pytest.param(*one, marks=pytest.mark.slow) for one in RAISED_TOO)]
)
def test_whatever_a_wrapper_raises_is_one_line_that_names_it(export, model, name, overrides, reason):
    with pytest.raises(ZooError, match=rf"export_wrapper faulty/{name} \(zoo-faulty 1\.0\): .*{reason}") as caught:
        export(model, name, *overrides)
    assert "\n" not in str(caught.value)
