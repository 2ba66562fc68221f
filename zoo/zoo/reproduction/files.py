"""What an artifact says of its files and of its graph, checked with what the plain install has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.artifacts import transformers_js
from zoo.artifacts.layout import PRECISIONS
from zoo.artifacts.manifest import MANIFEST
from zoo.artifacts.thresholds import recommended_threshold
from zoo.atomic import read_mapping
from zoo.models.latency import random_batch, time_runs
from zoo.models.model import Model
from zoo.models.sample import embed_sample
from zoo.recipes.public import published_sha256
from zoo.reproduction.check import Check
from zoo.reproduction.comparing import compare, is_same, same
from zoo_core.config import load
from zoo_core.errors import ComponentError, RunError, UsageError
from zoo_core.extras import naming_missing_extras

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zoo.artifacts.layout import ArtifactFolder
    from zoo.artifacts.manifest import Manifest
    from zoo.artifacts.onnx_model import Graph
    from zoo.reproduction.surroundings import Surroundings

CONFIG, EXPORT, SAMPLE = "config.json", "onnx/export.json", "sample/embedding.json"
PREPROCESSOR = "preprocessor_config.json"
# Another processor or another onnxruntime adds in another order.
_ROUNDING = 1e-6
_ROUNDS, _RUNS, _FACTOR = 20, 10, 3.0
# What an export writes into the graph and into its report.
_TEXTS = ("recipe_sha256", "weights_sha256", "wrapper")
_VALUES = ("preprocess", "embedding_dim", "normalized", "opset", "params", "flops", "macs")


def size_checks(artifact: ArtifactFolder, manifest: Manifest, export: Mapping[str, Any]) -> Iterator[Check]:
    """Compare the sizes of files with what manifest and export report say; their hashes were compared before."""
    for name, entry in manifest.files.items():
        size = (artifact.path / name).stat().st_size
        yield Check.of(MANIFEST, f"files.{name}.size", entry.size, size, holds=entry.size == size)
    size = artifact.onnx.stat().st_size
    yield Check.of(EXPORT, "bytes", export.get("bytes"), size, holds=export.get("bytes") == size)
    for name, said in _precisions(export).items():
        path, claimed = artifact.graph(name), said.get("bytes")
        size = path.stat().st_size if path.is_file() else 0
        yield Check.of(EXPORT, f"precisions.{name}.bytes", claimed, size, holds=claimed == size)


def graph_checks(graph: Graph, config: Mapping[str, Any], export: Mapping[str, Any]) -> Iterator[Check]:
    """Compare what config and export report say of the graph with what it is, gives and says of itself."""
    said: dict[str, Any] = {key: graph.metadata.get(f"zoo.{key}") for key in _TEXTS}
    said |= {key: _value(graph.metadata.get(f"zoo.{key}")) for key in _VALUES}
    # What a graph does not say it does not deny.
    yield from compare(
        EXPORT, {key: export[key] for key in said if key in export and said[key] is not None}, said, same
    )
    found = _described(graph, said)
    claimed = {key: config["zoo"][key] for key in found if key in config["zoo"]}
    yield from compare(CONFIG, {"zoo": claimed}, {"zoo": found}, same)
    if transformers_js.CONFIG_KEY in config:
        (taken,) = graph.session.get_inputs()
        outputs = [output.name for output in graph.session.get_outputs()]
        readable = transformers_js.is_readable(taken.name, graph.pixels.dtype, taken.shape, outputs)
        note = "whether the graph has its names and takes any size"
        yield Check.of(CONFIG, transformers_js.CONFIG_KEY, claimed=True, found=readable, holds=readable, note=note)


def preprocessor_checks(artifact: ArtifactFolder, graph: Graph) -> list[Check]:
    """Compare what the processor of other clients is told with what the graph says of its pixels."""
    said = _value(graph.metadata.get("zoo.preprocess"))
    if not artifact.preprocessor.is_file() or not isinstance(said, dict):
        return []
    found: dict[str, Any] = {
        "do_resize": said.get("size") is not None,
        "do_rescale": said.get("dtype") != "uint8",
        "rescale_factor": 1 / 255,
        "do_normalize": False,
        "image_mean": said.get("mean"),
        "image_std": said.get("std"),
    }
    if said.get("size") is not None:
        found["size"] = dict(zip(("height", "width"), said["size"], strict=True))
    claimed = read_mapping(artifact.preprocessor)
    return compare(PREPROCESSOR, {key: claimed[key] for key in found if key in claimed}, found, same)


def picture_checks(manifest: Manifest) -> Iterator[Check]:
    """Name the pictures of figures: other versions draw them with other pixels."""
    for name, entry in manifest.files.items():
        if entry.role == "picture":
            yield Check.skipped(name, "picture", "drawn of figures, and not drawn again")


def _described(graph: Graph, said: Mapping[str, Any]) -> dict[str, Any]:
    """Run a graph, and return what a config has to say of it."""
    batch = random_batch(graph, graph.fixed_batch or 1)
    rows = graph.session.run(None, {graph.input_name: batch})[0]
    lengths = np.linalg.norm(rows, axis=1)
    preprocess: Mapping[str, Any] = said["preprocess"] if isinstance(said["preprocess"], dict) else {}
    return {
        "embedding_dim": int(rows.shape[1]),
        "normalized": bool(np.abs(lengths - 1).max() <= 1e-3),  # noqa: PLR2004 - as float16 has it
        "input": graph.input_name,
        "output": graph.session.get_outputs()[0].name,
        **({"image_size": list(graph.pixels.size)} if graph.pixels.size else {}),
        **{key: preprocess[key] for key in ("mean", "std") if key in preprocess},
        **({"wrapper": said["wrapper"]} if said["wrapper"] else {}),
    }


def backbone_checks(artifact: ArtifactFolder, manifest: Manifest) -> Iterator[Check]:
    """Compare the backbone in its library's format with the weights: whatever the names, its tensors are among them."""
    config = "backbone/config.json"
    if config in manifest:
        yield Check.skipped(config, "settings", "what its library makes of them is not read here")
    name = "backbone/model.safetensors"
    if name not in manifest or not artifact.weights.is_file():
        return
    try:
        with naming_missing_extras("comparing its tensors"):
            from safetensors.numpy import load_file  # noqa: PLC0415 - an extra
    except ComponentError as error:
        yield Check.skipped(name, "tensors", str(error))
        return
    try:
        whole, backbone = load_file(artifact.weights), load_file(artifact.path / name)
    except Exception as error:  # noqa: BLE001 - the library's own errors share no base
        yield Check.of(name, "tensors", None, None, holds=False, note=str(error))
        return
    known = {(value.shape, value.tobytes()) for value in whole.values()}
    other = [key for key, value in backbone.items() if (value.shape, value.tobytes()) not in known]
    note = f"not in model.safetensors: {', '.join(other[:3])}" if other else ""
    yield Check.of(name, "tensors", len(backbone), len(backbone) - len(other), holds=not other, note=note)


def threshold_checks(artifact: ArtifactFolder, config: Mapping[str, Any]) -> list[Check]:
    """Compare the threshold of the config with that which the evaluation beside it recommends."""
    claimed = config["zoo"].get("threshold")
    if not claimed:
        return []
    try:
        found = recommended_threshold(artifact.metrics, hint="do not use this model") or {}
    except UsageError as error:
        return [Check.of(CONFIG, "zoo.threshold", claimed, None, holds=False, note=str(error))]
    found = json.loads(json.dumps(found))
    return compare(CONFIG, {"zoo": {"threshold": claimed}}, {"zoo": {"threshold": found}}, same)


def sample_check(artifact: ArtifactFolder, surroundings: Surroundings) -> Check:
    """Embed the sample picture again; on the same kind of processor its embedding is the same to the last bit."""
    try:
        both = embed_sample(artifact.path)
    except RunError as error:
        return Check.of(SAMPLE, "embedding", None, None, holds=False, note=str(error))
    if both is None:
        return Check.skipped(SAMPLE, "embedding", "there is no sample")
    expected, found = both
    apart = float(np.abs(expected - found).max())
    shown = [[round(float(one), 4) for one in rows[:3]] for rows in both]
    if apart == 0:
        return Check.of(SAMPLE, "embedding", *shown, holds=True, note="equal to the last bit")
    other = surroundings.differences(("onnxruntime",))
    note = f"{apart:.1e} apart; {other or 'the processor and onnxruntime are those that it was made with'}"
    # Written so that NaN is false.
    return Check.of(SAMPLE, "embedding", *shown, holds=other is not None and apart <= _ROUNDING, note=note)


def latency_checks(artifact: ArtifactFolder, export: Mapping[str, Any], surroundings: Surroundings) -> Iterator[Check]:
    """Time one image on one thread; on another processor that says nothing of the claim."""
    for name, entry in _precisions(export).items():
        claim, claimed = f"precisions.{name}.p50_ms", entry.get("p50_ms")
        if name not in PRECISIONS or not isinstance(claimed, int | float):
            continue
        graph = Model.open(artifact.path, precision=name).graph
        batch = random_batch(graph, graph.fixed_batch or 1)
        taken = [one * 1000 for _ in range(_ROUNDS) for one in time_runs(graph, batch, _RUNS, seconds=0.5)]
        low, high = (float(np.percentile(taken, share)) for share in (5, 95))
        found, near = round(float(np.median(taken)), 4), low / _FACTOR <= claimed <= high * _FACTOR
        other = surroundings.another_processor
        if other and not near:
            yield Check.skipped(EXPORT, claim, f"{found} ms here; {other}", claimed)
            continue
        span = f"{low / _FACTOR:.2g} to {high * _FACTOR:.2g} ms count as the same"
        yield Check.of(EXPORT, claim, claimed, found, holds=near, note=f"{span}; {other}" if other else span)


def calibration_checks(artifact: ArtifactFolder) -> Iterator[Check]:
    """Name what a calibration claims, which takes its author's pictures."""
    path = artifact.path / "calibration.json"
    if path.is_file():
        threshold = read_mapping(path).get("threshold")
        yield Check.skipped(path.name, "threshold", "needs the pictures that it was calibrated on", threshold)


def binding_checks(
    artifact: ArtifactFolder, manifest: Manifest, export: Mapping[str, Any], metrics: Mapping[str, Any] | None
) -> Iterator[Check]:
    """Compare the recipe that an export names, and the weights that an evaluation names, with those beside them."""
    digest = published_sha256(load(artifact.recipe).value)
    claimed = export.get("recipe_sha256")
    yield Check.of(EXPORT, "recipe_sha256", claimed, digest, holds=claimed == digest, note="of recipe.yaml")
    if metrics is None or "model.safetensors" not in manifest:
        return
    found = manifest.files["model.safetensors"].sha256
    model = metrics.get("model")
    claims = {"weights_sha256": metrics.get("weights_sha256")}
    claims |= {"model.weights_sha256": model.get("weights_sha256")} if isinstance(model, dict) else {}
    for claim, claimed in claims.items():
        if claimed is not None:
            yield Check.of("eval/metrics.json", claim, claimed, found, holds=is_same(claimed, found))


def _precisions(export: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return (export.get("precisions") or {}).get("files") or {}


def _value(text: str | None) -> Any:  # noqa: ANN401 - JSON
    """Read a value of the graph's metadata; one that is no JSON is another one than any that is claimed."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text
