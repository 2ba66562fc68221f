from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
import yaml

from zoo import __version__, assembly
from zoo.artifacts.onnx_model import open_graph
from zoo.evaluation import run as evaluation
from zoo.metrics.verification import verify
from zoo.models.torch_model import load_weights, to_pixels
from zoo.onnx_export import torch_export
from zoo.onnx_export.artifact import write_artifact, write_graph
from zoo.onnx_export.run import export_run
from zoo.recipes.loading import load_run_recipe
from zoo.runs.layout import RunFolder
from zoo.training.checkpoints import AtomicCheckpointIO
from zoo_core.discovery import discover
from zoo_core.errors import RecipeError, RunError, UsageError
from zoo_core.images import resize

PIXELS = (
    "onnx.name=WarpFeatureLearningPixels",
    "onnx.input_shape={img: {shape: [1, 60, 80, 3], dtype: uint8}}",
    'onnx.dynamic_axes={img: {"0": batch, "1": height, "2": width}, feats: {"0": batch}}',
)
# Runs a graph as somebody without zoo would.
ALONE = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
numpy.save(sys.argv[3], session.run(["feats"], {"img": numpy.load(sys.argv[2])})[0])
assert not [name for name in sys.modules if name.split(".")[0] in ("zoo", "zoo_core", "torch")]
"""


@pytest.fixture
def exported(trained_run):
    def run(*overrides, simplify=True):
        return export_run(trained_run, load_run_recipe(trained_run, overrides), discover(), simplify=simplify)

    return run


@pytest.fixture
def torch_model(trained_run):
    """The checkpoint in torch, and its validation images `uint8 [N, H, W, 3]`."""
    builder = assembly.RecipeBuilder(load_run_recipe(trained_run), discover())
    model = builder.model(initial_weights=False)
    load_weights(model, trained_run.best)
    items = builder.validation_items()
    return model.eval(), torch.stack([torch.from_numpy(items[index][0]) for index in range(len(items))])


def embeddings(model, images):
    with torch.inference_mode():
        return torch.nn.functional.normalize(model(to_pixels(images))).numpy()


@pytest.mark.parametrize("simplify", [False, True])
def test_the_file_computes_what_the_checkpoint_does(exported, torch_model, trained_run, tmp_path, simplify):
    verified = exported(simplify=simplify)
    write_artifact(verified, trained_run, discover())
    model, images = torch_model
    for batch in (1, 3, 16):
        pixels = to_pixels(images[-batch:]).numpy()
        np.save(tmp_path / "in.npy", np.ascontiguousarray(pixels))
        files = [trained_run.artifact.onnx, tmp_path / "in.npy", tmp_path / "out.npy"]
        subprocess.run([sys.executable, "-c", ALONE, *map(str, files)], check=True)
        np.testing.assert_allclose(np.load(tmp_path / "out.npy"), embeddings(model, images[-batch:]), atol=1e-5)
    report = verified.report
    assert report["simplified"] is simplify
    assert report["opset"] == 16 == torch_export.opset(onnx.load(trained_run.artifact.onnx))
    assert report["images"] == "validation data"
    *fixed, random = [batch["size"] for batch in report["batches"]]
    assert fixed == [1, 3, 16, 65]
    assert 65 < random < 257
    # Of all 18 images, and odd ones.
    assert report["files"]["size"] == 18 + 11
    for compared in (report["files"], *report["batches"]):
        assert compared["max_abs_diff"] <= report["tolerance"] <= 1e-5


def test_any_size_of_bytes_gives_the_embeddings_of_prediction(exported, torch_model, tmp_path):
    verified = exported(*PIXELS)
    write_graph(verified.graph, tmp_path / "pixels.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "pixels.onnx")
    model, _ = torch_model
    generator = np.random.default_rng(0)
    for batch, height, width in ((1, 40, 64), (3, 100, 150), (2, 20, 16)):
        grids = generator.integers(0, 256, (batch, 5, 7, 3), dtype=np.uint8)
        images = np.stack([resize(grid, (height, width)) for grid in grids])
        fitted = torch.from_numpy(np.stack([resize(image, (32, 32)) for image in images]))
        np.testing.assert_allclose(session.run(None, {"img": images})[0], embeddings(model, fitted), atol=1e-5)
    assert verified.report["preprocess"]["size"] is None
    *_, largest, random = [compared["image"] for compared in verified.report["sizes"]]
    assert largest == (4000, 3000)
    assert min(random) >= 17
    assert open_graph(tmp_path / "pixels.onnx").pixels.maximum == 255


def evaluated(run):
    """Evaluate a run, and say that its few pairs are enough for a threshold; return what its metrics.json holds."""
    document, _ = evaluation.evaluate_run(run, load_run_recipe(run), discover())
    points = [{**point, "threshold": 0.9, "too_few_pairs": False} for point in document["thresholds"]]
    (run.evaluation / "metrics.json").write_text(json.dumps({**document, "thresholds": points}))
    return json.loads((run.evaluation / "metrics.json").read_text())


def test_the_artifact_is_whole_and_of_one_piece(exported, torch_model, trained_run):
    loaded = load_run_recipe(trained_run)
    document = evaluated(trained_run)
    verified = exported()
    written, warnings = write_artifact(verified, trained_run, discover())
    artifact = trained_run.artifact
    assert warnings == []
    assert sorted(written) == sorted(path for path in artifact.path.rglob("*") if path.is_file())
    assert {path.relative_to(artifact.path).as_posix() for path in written} == {
        *("config.json", "preprocessor_config.json", "recipe.yaml", "model.safetensors"),
        *("onnx/model.onnx", "onnx/export.json", "eval/metrics.json", "assets/roc.png", "assets/scores.png"),
        *("assets/embedding.png", "manifest.json", "sample/image.png", "sample/embedding.json"),
        *("backbone/config.json", "backbone/model.safetensors"),
    }
    report = json.loads(artifact.export_report.read_text())
    assert report["sha256"] == hashlib.sha256(artifact.onnx.read_bytes()).hexdigest()
    assert report["weights_sha256"] == hashlib.sha256(artifact.weights.read_bytes()).hexdigest()
    assert report["weights_sha256"] == document["weights_sha256"]
    state = safetensors.torch.load_file(artifact.weights)
    torch_model[0].load_state_dict(state)
    config = json.loads(artifact.config.read_text())
    assert config["zoo"]["threshold"]["value"] == 0.9
    # Nothing at the root that invites timm or Transformers.js, which would then fail.
    assert config.keys() == {"zoo"}
    assert (config["zoo"]["embedding_dim"], config["zoo"]["image_size"]) == (16, [32, 32])
    assert "image_processor_type" not in json.loads(artifact.preprocessor.read_text())
    assert set(config["zoo"]["plugins"]) == {"documents", "embedding", "images", "margin", "onnx", "timm", "torch"}
    assert config["zoo"]["plugins"]["timm"] == {"distribution": "plugzoo", "version": __version__}
    assert yaml.safe_load(artifact.recipe.read_text()) == loaded.recipe.model_dump(mode="json", exclude={"hub"})
    assert json.loads(artifact.metrics.read_text()) == document


def test_the_threshold_says_on_what_it_rests(exported, trained_run):
    document, _ = evaluation.evaluate_run(trained_run, load_run_recipe(trained_run), discover())
    (point,) = (point for point in document["thresholds"] if point["fpr_target"] == 1e-3)
    point["too_few_pairs"] = False
    (trained_run.evaluation / "metrics.json").write_text(json.dumps(document))
    _, warnings = write_artifact(exported(), trained_run, discover())
    assert warnings == []
    said = json.loads(trained_run.artifact.config.read_text())["zoo"]["threshold"]
    assert (said["fpr_target"], said["value"]) == (1e-3, point["threshold"])
    assert said["protocol"] == {"name": "documents/synthetic", "digest": document["protocol"]["digest"]}
    assert (said["impostor_pairs"], said["strangers_only"]) == (document["counts"]["impostor_pairs"], True)


def test_the_metric_is_the_same_through_the_file(exported, torch_model, trained_run):
    write_artifact(exported(), trained_run, discover())
    model, images = torch_model
    session = onnxruntime.InferenceSession(trained_run.artifact.onnx)
    found = session.run(None, {"img": to_pixels(images).contiguous().numpy()})[0]
    labels = np.tile(np.arange(6), len(images) // 6)
    assert verify(found, labels).auc == pytest.approx(verify(embeddings(model, images), labels).auc, abs=1e-4)


def test_metadata_says_how_to_use_the_graph(exported, trained_run):
    verified = exported()
    write_artifact(verified, trained_run, discover())
    graph = open_graph(trained_run.artifact.onnx)
    said = graph.metadata
    keys = "version recipe_sha256 weights_sha256 wrapper preprocess embedding_dim normalized opset"
    assert {f"zoo.{key}" for key in (*keys.split(), "flops", "macs", "params")} | {"metadata"} == set(said)
    assert (said["zoo.opset"], said["zoo.embedding_dim"], said["zoo.normalized"]) == ("16", "16", "true")
    assert said["zoo.wrapper"] == "onnx/WarpFeatureLearning"
    assert (graph.pixels.layout, graph.pixels.dtype, graph.pixels.size) == ("NCHW", "float32", (32, 32))
    assert json.loads(said["zoo.preprocess"])["mean"] == [0.5, 0.5, 0.5]
    seed = json.loads(said["metadata"])
    assert seed["InputInfo"] == {"img": {"shape": [1, 3, 32, 32], "dtype": "float32"}}
    assert (seed["Params"], seed["FLOPs"]) == (verified.report["params"], 2 * seed["MACs"])
    assert seed["Params"] == sum(parameter.numel() for parameter in verified.model.parameters())


def test_the_same_run_gives_the_same_bytes_which_name_no_local_path(exported, trained_run):
    first = exported()
    assert exported().graph == first.graph
    assert exported().weights == first.weights
    for trace in (b"/home/", b"site-packages", b"/root/", b"Traceback", str(trained_run.path).encode(), b"onnxsim."):
        assert trace not in first.graph


def test_wherever_and_whenever_the_checkpoint_was_copied_the_bytes_are_the_same(exported, trained_run, monkeypatch):
    assert "created" not in exported().report
    trained_run.record.write_text(json.dumps({"created": "2026-01-02T03:04:05+00:00"}))
    first = exported()
    assert first.report["created"] == "2026-01-02T03:04:05+00:00"
    os.utime(trained_run.best, (0, 0))
    copy = RunFolder(trained_run.path.with_name("a copy"))
    shutil.copytree(trained_run.path, copy.path)
    monkeypatch.chdir(copy.path)
    second = export_run(copy, load_run_recipe(copy), discover(), simplify=True)
    assert (second.graph, second.report) == (first.graph, first.report)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert exported().report["created"] == "1970-01-02T00:00:00+00:00"


def test_an_evaluation_of_other_weights_is_left_out(exported, trained_run):
    evaluation.evaluate_run(trained_run, load_run_recipe(trained_run), discover())
    write_artifact(exported(), trained_run, discover())
    path = trained_run.evaluation / "metrics.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "weights_sha256": "0" * 64}))
    _, warnings = write_artifact(exported(), trained_run, discover())
    assert "of other weights and left out; run: zoo eval" in warnings[0]
    assert not trained_run.artifact.metrics.exists()
    assert list(trained_run.artifact.assets.iterdir()) == []
    assert json.loads(trained_run.artifact.config.read_text())["zoo"]["threshold"] is None


def test_a_malformed_evaluation_is_refused_and_leaves_the_artifact(exported, trained_run):
    document = evaluated(trained_run)
    verified = exported()
    write_artifact(verified, trained_run, discover())
    files = {path: path.read_bytes() for path in trained_run.artifact.path.rglob("*") if path.is_file()}
    path = trained_run.evaluation / "metrics.json"
    point = document["thresholds"][0]
    for wrong, reason in (
        ([], "holds a JSON list instead of a mapping"),
        ({**document, "thresholds": None}, r"not what 'zoo eval' writes.*; run 'zoo eval' again"),
        ({**document, "thresholds": [{**point, "threshold": "NaN"}]}, r"threshold is 'NaN', not a finite number"),
        ({**document, "thresholds": [{**point, "threshold": float("nan")}]}, r"threshold is nan, not a finite number"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(UsageError, match=rf"metrics.json: {reason}"):
            write_artifact(verified, trained_run, discover())
    assert files == {path: path.read_bytes() for path in trained_run.artifact.path.rglob("*") if path.is_file()}


def test_without_the_data_patterns_are_compared(exported):
    verified = exported("data.valid={name: images/folders, options: {root: /nowhere}}")
    assert verified.report["images"] == "patterns"
    assert "compared on drawn patterns" in verified.warnings[0]


def test_the_images_compared_are_distinct(exported, picture, tmp_path):
    pictures = tmp_path / "pictures"
    for name, seed in (("a/1", 1), ("a/2", 1), ("b/1", 2), ("b/2", 1)):
        picture(pictures / f"{name}.png", seed)
    folder = f"data.valid={{name: images/folder, options: {{root: {pictures}}}}}"
    verified = exported(folder, simplify=False)
    assert verified.report["images"] == "validation data and patterns"
    assert "gave 2 distinct images, so the graph is compared on drawn patterns, too" in verified.warnings[0]


@pytest.mark.parametrize("overrides", [(), PIXELS])
def test_views_of_one_image_are_distinct(exported, picture, tmp_path, overrides):
    picture(tmp_path / "pictures" / "1.png", 1)
    views = f"data.valid={{name: images/instances, options: {{root: {tmp_path / 'pictures'}, views: true}}}}"
    verified = exported(views, *overrides, simplify=False)
    assert (verified.report["images"], verified.warnings) == ("validation data", ())


def test_the_block_of_the_seed_is_taken_as_meant(trained_run):
    """DocClassifier's page calls the output `feats` and gives axes to `output`."""
    block = """onnx={name: WarpFeatureLearning, input_shape: {img: {shape: [1, 3, 32, 32], dtype: float32}},
        input_names: [img], output_names: [feats], dynamic_axes: {img: {"0": batch_size}, output: {"0": batch_size}},
        options: {opset_version: 16, verbose: False, do_constant_folding: True}}"""
    text = yaml.safe_load(trained_run.recipe.read_text())
    text["onnx"] = yaml.safe_load(block.removeprefix("onnx="))
    trained_run.recipe.write_text(yaml.safe_dump(text))
    loaded = load_run_recipe(trained_run)
    assert "output" in str(loaded.warnings[0])
    verified = export_run(trained_run, loaded, discover(), simplify=True)
    output = onnx.load_from_string(verified.graph).graph.output[0]
    assert output.name == "feats"
    assert output.type.tensor_type.shape.dim[0].dim_param == "batch_size"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["onnx.input_shape={img: {shape: [1, 4, 32, 32]}}"], "[1, 4, 32, 32] is no batch of RGB images"),
        (["onnx.input_names=[img, other]"], "one image input is needed"),
    ],
)
def test_an_input_that_is_no_image_is_refused(exported, overrides, message):
    with pytest.raises(RecipeError) as caught:
        exported(*overrides)
    assert message in str(caught.value)


def test_a_collapsed_model_is_refused(trained_run, torch_model, exported):
    model, _ = torch_model
    norms = torch.nn.LayerNorm | torch.nn.BatchNorm1d
    last = [module for module in model.head.modules() if isinstance(module, norms)][-1]
    with torch.no_grad():
        last.weight.mul_(1e-4)
        last.bias.fill_(1.0)
    weights = {f"model.{key}": value for key, value in model.state_dict().items()}
    AtomicCheckpointIO().save_checkpoint({"state_dict": weights}, trained_run.best)
    with pytest.raises(RunError, match="tells no images apart"):
        exported()
