from __future__ import annotations

import hashlib
import importlib
import json
import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIZE = (32, 48)
DIM = 8
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

RECIPE = """\
model:
  backbone: {name: timm/lcnet_050, options: {pretrained: auto}}
  head: {name: embedding/flatten_ln, options: {embed_dim: 8}}
  loss: {name: margin/cosface, options: {s: 64, m: 0.4}}
data:
  image_size: [32, 48]
  train: {name: images/folders, options: {root: /home/somebody/pictures}}
  valid: {name: documents/synthetic, options: {split: unseen}}
  augmentation: {name: images/capture}
optimizer: {name: AdamW, options: {lr: 0.001}}
lr_scheduler: {name: polynomial_warmup}
trainer: {max_epochs: 20}
onnx:
  name: WarpFeatureLearning
  input_shape: {img: {shape: [1, 3, 32, 48], dtype: float32}}
  input_names: [img]
  output_names: [feats]
card: {license: apache-2.0}
"""

METRICS = {
    "schema": 1,
    "metrics": {"tpr_at_fpr_1e-4": 0.8123456, "tpr_at_fpr_1e-3": 0.9012345, "auc": 0.9987654, "rank1": 0.9543219},
    "thresholds": [
        {"fpr_target": 1e-4, "fpr": 9.8e-5, "tpr": 0.8123456, "threshold": 0.9123457},
        {"fpr_target": 1e-3, "fpr": 9.7e-4, "tpr": 0.9012345, "threshold": 0.8234568},
    ],
    "counts": {"images": 1234, "classes": 137, "genuine_pairs": 5012, "impostor_pairs": 755799},
    "untrained": {"tpr_at_fpr_1e-3": 0.0123457, "auc": 0.6123457},
    "data": {"name": "documents/synthetic", "options": {"split": "unseen"}},
}
# A safetensors file without tensors.
WEIGHTS = b"\x02\0\0\0\0\0\0\0{}"


def tiny_graph(*, layout="NCHW", dtype="float32", size=SIZE, normalized=True, metadata=True, seed=0, batch="batch"):
    """A random projection of the whole picture as a convolution, pooled and L2-normalised."""
    chance = np.random.default_rng(seed)
    weights = chance.standard_normal((DIM, 3, *SIZE)).astype(np.float32) / 100
    initializers = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array(MEAN, np.float32).reshape(1, 3, 1, 1), "mean"),
        numpy_helper.from_array(np.array(STD, np.float32).reshape(1, 3, 1, 1), "std"),
    ]
    nodes, pixels = [], "img"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [pixels], ["chw"], perm=[0, 3, 1, 2]))
        pixels = "chw"
    if dtype == "uint8":
        initializers.append(numpy_helper.from_array(np.array(255, np.float32), "white"))
        nodes += [helper.make_node("Cast", [pixels], ["float"], to=TensorProto.FLOAT)]
        nodes += [helper.make_node("Div", ["float", "white"], ["unit"])]
        pixels = "unit"
    if size is None:
        initializers.append(numpy_helper.from_array(np.array(SIZE, np.int64), "size"))
        nodes.append(helper.make_node("Resize", [pixels, "", "", "size"], ["fit"], mode="linear", axes=[2, 3]))
        pixels = "fit"
    nodes += [
        helper.make_node("Sub", [pixels, "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "weights"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["raw"]),
        helper.make_node(
            "LpNormalization" if normalized else "Identity", ["raw"], ["feats"], **({"axis": 1} if normalized else {})
        ),
    ]
    height, width = size or ("height", "width")
    shape = [batch, 3, height, width] if layout == "NCHW" else [batch, height, width, 3]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("img", getattr(TensorProto, dtype.upper().replace("FLOAT32", "FLOAT")), shape)],
        [helper.make_tensor_value_info("feats", TensorProto.FLOAT, [batch, DIM])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    if metadata:
        said = {
            "layout": layout,
            "dtype": dtype,
            "size": None if size is None else list(size),
            "color": "RGB",
            "range": [0, 1] if dtype == "float32" else [0, 255],
            "resample": "bilinear",
            "antialias": True,
            "mean": MEAN,
            "std": STD,
            "normalization": "in graph",
        }
        helper.set_model_props(model, {"zoo.preprocess": json.dumps(said), "zoo.embedding_dim": str(DIM)})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def write_run(path, **graph_options):
    """A trained, evaluated and exported run, as the other stages leave it."""
    from zoo.artifacts.manifest import write_manifest
    from zoo.models.model import Model
    from zoo.models.sample import sample_document
    from zoo.recipes.public import published_sha256
    from zoo.recipes.schema import Recipe
    from zoo_core.config import dump, load
    from zoo_core.provenance import BuildRecord

    artifact = path / "artifact"
    for folder in (artifact / "onnx", artifact / "eval", artifact / "assets"):
        folder.mkdir(parents=True)
    published = artifact / "recipe.yaml"
    recipe = Recipe.model_validate(yaml.safe_load(RECIPE.replace("/home/somebody/pictures", "<own data>")))
    published.write_text(dump(recipe.model_dump(mode="json", exclude={"hub"})), encoding="utf-8")
    graph = tiny_graph(**graph_options)
    normalized = graph_options.get("normalized", True)
    weights = {"weights": "timm/lcnet_050.ra2_in1k", "revision": "abc123", "license": "apache-2.0", "reason": "cache"}
    record = BuildRecord.capture(recipe={}, seed=0, components=[], devices=["cpu"], weights=weights).to_json()
    backbone = {"kind": "backbone", "name": "timm/lcnet_050", "plugin": "timm", "distribution": "plugzoo"}
    record["components"] = [
        {**backbone, "version": "0", "entry_point": "zoo_timm.plugin", "api_version": 1, "direct_url": None}
    ]
    export = {
        "schema": 1,
        "verified": True,
        "opset": 18,
        "simplified": True,
        "tolerance": 1e-5,
        "batches": [{"size": n, "max_abs_diff": 1.7e-7 * n, "min_cosine": 0.9999998} for n in (1, 3, 16)],
        "spread": 0.7,
        "sha256": hashlib.sha256(graph).hexdigest(),
        "weights_sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "bytes": len(graph),
        "flops": 17203200,
        "macs": 8601600,
        "params": 927792,
        "wrapper": "WarpFeatureLearning",
        "recipe_sha256": published_sha256(load(published).value),
    }
    config = {
        "zoo": {
            "schema": 1,
            "version": "0",
            "recipe": "tiny",
            "wrapper": "WarpFeatureLearning",
            "embedding_dim": DIM,
            "normalized": normalized,
            "input": "img",
            "output": "feats",
            "image_size": list(SIZE),
            "mean": MEAN,
            "std": STD,
            "threshold": {"fpr_target": 1e-3, "value": 0.8234568},
        },
    }
    (artifact / "onnx/model.onnx").write_bytes(graph)
    for name, document in {
        "record.json": record,
        "artifact/onnx/export.json": export,
        "artifact/config.json": config,
        "artifact/eval/metrics.json": {
            **METRICS,
            "data": recipe.validation_protocol(),
            "weights_sha256": export["weights_sha256"],
        },
        "artifact/preprocessor_config.json": {"do_normalize": False},
    }.items():
        (path / name).write_text(json.dumps(document), encoding="utf-8")
    (path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (artifact / "sample").mkdir()
    motif = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(motif).resize((90, 60), Image.Resampling.BICUBIC).save(artifact / "sample/image.png")
    sample = sample_document(Model.open(artifact / "onnx/model.onnx"), artifact / "sample/image.png")
    (artifact / "sample/embedding.json").write_text(json.dumps(sample), encoding="utf-8")
    (artifact / "model.safetensors").write_bytes(WEIGHTS)
    for side, name in ((8, "roc.png"), (9, "scores.png")):
        Image.new("RGB", (side, side), "white").save(artifact / "assets" / name)
    write_manifest(artifact)
    return path


@pytest.fixture
def make_run(tmp_path):
    """Write an exported run below ``runs/tiny``; options are those of its graph."""
    return lambda name="1", **graph_options: write_run(tmp_path / "runs" / "tiny" / name, **graph_options)


@pytest.fixture
def exported(make_run):
    """An exported run, opened."""
    from zoo.runs.layout import RunFolder

    return RunFolder.open(make_run())


@pytest.fixture
def graph_file(tmp_path):
    """Write a tiny graph to a file of its own; options are those of the graph."""

    def write(name="tiny.onnx", **options):
        path = tmp_path / name
        path.write_bytes(tiny_graph(**options))
        return path

    return write


@pytest.fixture
def picture():
    """Write a picture of coloured blocks; the same seed is the same motif at any size."""

    def write(path: Path, seed: int, size=(60, 90), noise=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        motif = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
        image = Image.fromarray(motif).resize((size[1], size[0]), Image.Resampling.NEAREST)
        if noise:
            chance = np.random.default_rng(seed + 1000).normal(0, noise, (*size, 3))
            image = Image.fromarray(np.clip(np.asarray(image) + chance, 0, 255).astype(np.uint8))
        image.save(path)
        return path

    return write


# A residual network: without training, rounding grows from layer to layer of most others.
TRAINED_RECIPE = """\
extends: lcnet050_cosface_96
model:
  backbone: {name: timm/test_resnet, options: {pretrained: false}}
  head: {options: {embed_dim: 16}}
data:
  image_size: [32, 32]
  train: {options: {templates: 4, samples_per_template: 2}}
  valid: {options: {templates: 6, samples_per_template: 3}}
  valid_captures: 0
  loader: {batch_size: 16, num_workers: 0}
card: {license: apache-2.0}
"""


@pytest.fixture(scope="session")
def trained_run_template(tmp_path_factory):
    """A run whose checkpoint tells images apart, without the minutes that training takes.

    Its weights are random, its BatchNorm statistics those of the images, so that its embeddings spread as a trained
    model's do.
    """
    import torch

    from zoo.assembly import RecipeBuilder
    from zoo.models.torch_model import to_pixels
    from zoo.recipes.loading import load_recipe
    from zoo.training.checkpoints import AtomicCheckpointIO
    from zoo_core.config import dump
    from zoo_core.discovery import discover

    path = tmp_path_factory.mktemp("trained") / "runs" / "small" / "1"
    recipe = path.parent / "small.yaml"
    (path / "checkpoints").mkdir(parents=True)
    recipe.write_text(TRAINED_RECIPE, encoding="utf-8")
    loaded = load_recipe(recipe)
    torch.manual_seed(0)
    builder = RecipeBuilder(loaded, discover())
    model, items = builder.model(initial_weights=False), builder.validation_items()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            module.momentum = None
    images = torch.stack([torch.from_numpy(items[index][0]) for index in range(len(items))])
    with torch.no_grad():
        model.train()(to_pixels(images))
    state = {f"model.{key}": value for key, value in model.state_dict().items()}
    AtomicCheckpointIO().save_checkpoint({"state_dict": state}, path / "checkpoints" / "best.ckpt")
    (path / "recipe.yaml").write_text(dump(loaded.recipe.model_dump(mode="json")), encoding="utf-8")
    return path


@pytest.fixture
def trained_run(trained_run_template, tmp_path):
    """A copy of that run below ``runs/small``, opened."""
    from zoo.runs.layout import RunFolder

    path = tmp_path / "runs" / "small" / "1"
    shutil.copytree(trained_run_template, path)
    return RunFolder.open(path)


@pytest.fixture
def own_data(trained_run, zoo, tmp_path):
    """The artifact of a run that was evaluated on pictures of its author, and two folders of such pictures."""
    from zoo_documents.synthetic import SyntheticDocuments

    for seed, name in enumerate(("cards", "others")):
        documents = SyntheticDocuments(templates=6, samples_per_template=3, split="unseen", seed=seed)
        for index in range(len(documents)):
            sample = documents[index]
            path = tmp_path / name / documents.classes[sample.label].replace("/", "-") / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(sample.image).save(path)
    recipe = yaml.safe_load(trained_run.recipe.read_text(encoding="utf-8"))
    recipe["data"]["valid"] = {"name": "images/folder", "options": {"root": str(tmp_path / "cards")}}
    trained_run.recipe.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    zoo("eval", "--run", trained_run.path, check=0)
    zoo("export", "--run", trained_run.path, "--precision", "fp32", check=0)
    return Path(shutil.copytree(trained_run.artifact.path, tmp_path / "elsewhere" / "model"))


@pytest.fixture(scope="session")
def hub_double():
    """The module of the Hub double."""
    folder = str(Path(__file__).with_name("publish"))
    # As where it is a program: its modules import each other by their names.
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("hub_double")
    finally:
        sys.path.remove(folder)


@pytest.fixture
def hub(hub_double):
    """A new Hub on localhost; a call that it does not know fails the test."""
    with hub_double.serving() as hub:
        yield hub
        assert hub.unknown == []


@pytest.fixture
def hub_environment(hub, hub_double, tmp_path):
    """What a process needs to use the Hub double, with an empty cache."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": hub_double.TOKEN,
        "HF_HOME": str(tmp_path / "hf_home"),
        "HF_HUB_OFFLINE": "0",
    }


@pytest.fixture
def full_disk():
    """Let no file grow beyond some thousand bytes: a real failure of a real write."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
