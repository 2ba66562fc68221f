"""A verified export to the files that are published."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from zoo import __version__
from zoo.artifacts.layout import PICTURES, PRECISIONS, ArtifactFolder
from zoo.artifacts.manifest import keep_only, write_manifest
from zoo.artifacts.swap import replacing_folder
from zoo.artifacts.thresholds import recommended_threshold
from zoo.atomic import read_mapping, replacing, write_bytes, write_json, write_text
from zoo.models.model import Model
from zoo.models.sample import sample_document
from zoo.onnx_export import transformers_js
from zoo.onnx_export.precision import NO_OTHERS, Precisions, make_precisions
from zoo.onnx_export.run import export_run
from zoo.onnx_export.witnesses import patterns
from zoo.recipes.loading import load_run_recipe
from zoo.recipes.public import public_recipe
from zoo_core.config import dump
from zoo_core.errors import ComponentError, RunError
from zoo_core.events import notify
from zoo_core.provenance import cpu_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zoo.onnx_export.run import VerifiedExport
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo_core.registry import Registry

_BILINEAR = 2
# Apart from the drawn pictures of the proof.
_SAMPLE_SEED = 3


@dataclass(frozen=True)
class Exported:
    """What an export wrote: the verified graph, its other precisions, all files, and what deserves a warning."""

    verified: VerifiedExport
    precisions: Precisions
    written: tuple[Path, ...]
    warnings: tuple[str, ...]

    @property
    def report(self) -> dict[str, Any]:
        """What ``onnx/export.json`` holds."""
        return _report(self.verified, self.precisions)


def export_artifact(
    run: RunFolder,
    loaded: LoadedRecipe,
    registry: Registry,
    *,
    simplify: bool,
    precisions: Sequence[str] | None = None,
) -> Exported:
    """Export the best checkpoint of ``run`` into its artifact folder; where it fails, an older artifact stays whole.

    Beside the float32 graph those of ``precisions`` are written, by default the recipe's, that lose little enough.

    Raises:
        RecipeError: the ``onnx`` section does not describe one image input.
        ComponentError: the wrapper is not available, or cannot be built.
        UsageError: ``SOURCE_DATE_EPOCH`` is no time, or the evaluation is malformed.
        RunError: the checkpoint does not load, the exporter fails, or the graph differs from the checkpoint.
    """
    try:
        verified = export_run(run, loaded, registry, simplify=simplify)
    except RunError as error:
        if run.artifact.onnx.is_file():
            *others, last = error.problems
            stays = f"{run.artifact.path} still holds the export from before"
            error.with_problems([*others, replace(last, hint=f"{last.hint}; {stays}" if last.hint else stays)])
        raise
    smaller = make_precisions(verified, registry, precisions)
    written, warnings = write_artifact(verified, run, registry, smaller)
    return Exported(verified, smaller, tuple(written), (*verified.warnings, *smaller.warnings, *warnings))


def write_graph(graph: bytes, path: Path) -> list[Path]:
    """Write a graph alone, whole or not at all; what a killed write has left is written over by the next."""
    beside = path.with_name(f".{path.name}.new")
    beside.mkdir(parents=True, exist_ok=True)
    try:
        written = beside / path.name
        written.write_bytes(graph)
        written.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return [path]


def write_artifact(
    export: VerifiedExport, run: RunFolder, registry: Registry, precisions: Precisions = NO_OTHERS
) -> tuple[list[Path], list[str]]:
    """Write all files of the run's artifact but its card, and tell plugins; return them, and what deserves a warning.

    The folder is replaced whole, so that a process that is killed leaves the older artifact or the new one.
    """
    # Read before anything is written: what is wrong with it leaves the older artifact as it is.
    metrics, warnings = _evaluation(run, export)
    threshold = None
    recipe = public_recipe(export.loaded.recipe, registry)
    if metrics is not None:
        threshold = recommended_threshold(run.evaluation / "metrics.json", hint="run 'zoo eval' again")
        if threshold is None:
            warnings.append("the evaluation has too few pairs of strangers for a threshold, so none is recommended")
    with replacing_folder(run.artifact.path) as staged:
        artifact = ArtifactFolder(staged)
        write_bytes(artifact.weights, export.weights)
        graphs = _write_graphs({PRECISIONS[0]: export.graph, **precisions.graphs}, artifact)
        backbone = [artifact.backbone / name for name in export.backbone]
        for path in backbone:
            write_bytes(path, export.backbone[path.name])
        write_text(artifact.recipe, dump(recipe.model_dump(mode="json", exclude={"hub"})))
        write_json(artifact.preprocessor, _preprocessor_config(export))
        copied = _copy_evaluation(run, artifact, metrics and {**metrics, "data": recipe.validation_protocol()})
        copied += _write_sample(artifact)
        write_json(artifact.config, _config(export, threshold, registry))
        write_json(artifact.export_report, _report(export, precisions))
        written = [*graphs, artifact.export_report, artifact.weights, artifact.config]
        written += [artifact.preprocessor, artifact.recipe, *backbone, *copied]
        keep_only(staged, written)
        written.append(write_manifest(staged))
    notify(registry, "zoo_exported", artifact=run.artifact.path)
    return [run.artifact.path / path.relative_to(staged) for path in written], warnings


def _write_sample(artifact: ArtifactFolder) -> list[Path]:
    artifact.sample_image.parent.mkdir(exist_ok=True)
    (drawn,) = patterns(1, seed=_SAMPLE_SEED)
    with replacing(artifact.sample_image) as beside:
        Image.fromarray(drawn).save(beside, format="png")
    model = Model.open(artifact.onnx)
    write_json(artifact.sample_embedding, sample_document(model, artifact.sample_image))
    return [artifact.sample_image, artifact.sample_embedding]


def _write_graphs(graphs: Mapping[str, bytes], artifact: ArtifactFolder) -> list[Path]:
    for name, graph in graphs.items():
        write_bytes(artifact.graph(name), graph)
    return [artifact.graph(name) for name in graphs]


def _report(export: VerifiedExport, precisions: Precisions) -> dict[str, Any]:
    report = dict(precisions.report or {})
    if left_out := report.get("left_out"):
        # What follows is an error's own text, which may name files.
        report["left_out"] = {name: reason.partition(": ")[0] for name, reason in left_out.items()}
    if report.get("files"):
        report["cpu"] = cpu_model()
    return {**export.report, "precisions": precisions.report and report}


def _evaluation(run: RunFolder, export: VerifiedExport) -> tuple[dict[str, Any] | None, list[str]]:
    """Read the run's evaluation, if it is of these weights on the recipe's own validation data."""
    path = run.evaluation / "metrics.json"
    if not path.is_file():
        return None, [f"there is no evaluation, so no threshold is recommended; run: zoo eval --run {run.typed}"]
    metrics = read_mapping(path)
    if metrics.get("weights_sha256") != export.report["weights_sha256"]:
        return None, [f"{path} is of other weights and left out; run: zoo eval --run {run.typed}"]
    protocols = [loaded.recipe.validation_protocol() for loaded in (load_run_recipe(run), export.loaded)]
    if any(metrics.get("data") != protocol for protocol in protocols):
        return None, [f"{path} is of other data than the recipe's and left out; run: zoo eval --run {run.typed}"]
    return metrics, []


def _copy_evaluation(run: RunFolder, artifact: ArtifactFolder, metrics: dict[str, Any] | None) -> list[Path]:
    if metrics is None:
        return []
    write_json(artifact.metrics, metrics)
    copied = [artifact.metrics]
    # By name: whatever else lies there is not zoo's.
    for name in PICTURES:
        source, target = run.evaluation / name, artifact.assets / name
        if source.is_file():
            with replacing(target) as beside:
                shutil.copyfile(source, beside)
            copied.append(target)
    return copied


def _config(export: VerifiedExport, threshold: dict[str, Any] | None, registry: Registry) -> dict[str, Any]:
    """Say what ``zoo predict`` needs under ``zoo``, and at the root only what invites a client that reads the model."""
    recipe, report = export.loaded.recipe, export.report
    preprocess = report["preprocess"]
    return {
        **(transformers_js.config() if _for_transformers_js(export) else {}),
        "zoo": {
            "schema": 1,
            "version": __version__,
            "recipe": export.loaded.name,
            "wrapper": report["wrapper"],
            "embedding_dim": report["embedding_dim"],
            "normalized": report["normalized"],
            "input": export.pixels.name,
            "output": recipe.onnx.output_names[0],
            "image_size": list(recipe.data.image_size),
            "mean": preprocess["mean"],
            "std": preprocess["std"],
            "threshold": threshold,
            "plugins": _plugins(export.loaded, registry),
        },
    }


def _for_transformers_js(export: VerifiedExport) -> bool:
    return transformers_js.is_readable(export.pixels, export.loaded.recipe.onnx.output_names)


def _plugins(loaded: LoadedRecipe, registry: Registry) -> dict[str, dict[str, str]]:
    """Return distribution and version of each plugin whose components the recipe names, by the plugin's id."""
    found = {}
    for path, kind in loaded.recipe.component_paths().items():
        try:
            component = registry.find(kind, loaded.reference(path).name)
        except ComponentError:
            # Of data that are not at hand here: the export did without.
            continue
        source = component.provenance
        found[component.plugin] = {"distribution": source.distribution, "version": source.version}
    return dict(sorted(found.items()))


def _preprocessor_config(export: VerifiedExport) -> dict[str, Any]:
    """Say in the words of transformers what is left to do outside the graph: mean and std are applied inside."""
    preprocess = export.report["preprocess"]
    height, width = export.loaded.recipe.data.image_size
    return {
        **(transformers_js.processor() if _for_transformers_js(export) else {}),
        "do_resize": preprocess["size"] is not None,
        "size": {"height": height, "width": width},
        "resample": _BILINEAR,
        "do_rescale": preprocess["dtype"] != "uint8",
        "rescale_factor": 1 / 255,
        "do_normalize": False,
        "image_mean": preprocess["mean"],
        "image_std": preprocess["std"],
    }
