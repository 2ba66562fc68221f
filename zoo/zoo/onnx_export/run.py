"""One export: a run's best checkpoint to a verified graph, held in memory until all of it is proven."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
import torch

from zoo import __version__
from zoo.artifacts.weights import to_safetensors
from zoo.assembly import RecipeBuilder
from zoo.models.torch_model import open_checkpoint
from zoo.onnx_export.cost import Cost, cost
from zoo.onnx_export.parity import Parity, check_parity
from zoo.onnx_export.pixels import BATCHES, PixelInput, patterns
from zoo.onnx_export.torch_export import opset, simplified, to_onnx
from zoo.validation.dataset import plain_sample, plain_view
from zoo_core.building import build
from zoo_core.errors import Problem, RecipeError, RunError, ZooError
from zoo_core.provenance import installed_versions, recipe_sha256, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.assembly import EmbeddingModel
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo_core.contracts import Dataset, Preprocessing, UInt8Image
    from zoo_core.registry import Registry

_IMAGES = BATCHES[-1]
_TOOLS = ("plugzoo", "torch", "timm", "onnx", "onnxruntime", "onnxsim", "numpy")


@dataclass(frozen=True)
class VerifiedExport:
    """A graph that was proven to compute what the checkpoint does, and the report on it.

    ``graph`` is the ONNX file; ``report`` becomes ``onnx/export.json``; ``weights`` is the safetensors file of
    the model; ``warnings`` are worth showing.
    """

    loaded: LoadedRecipe
    model: EmbeddingModel
    pixels: PixelInput
    graph: bytes
    weights: bytes
    report: dict[str, Any]
    warnings: tuple[str, ...]


def export_run(run: RunFolder, loaded: LoadedRecipe, registry: Registry, *, simplify: bool) -> VerifiedExport:
    """Export the best checkpoint of ``run`` and compare the graph with it; write nothing.

    With ``simplify`` both graphs are compared with torch, the plain one first.

    Raises:
        RecipeError: the ``onnx`` section does not describe one image input.
        UsageError: ``SOURCE_DATE_EPOCH`` is no time.
        RunError: the checkpoint does not load, the exporter fails, or the graph differs from the checkpoint.
    """
    section = loaded.recipe.onnx
    pixels = image_input(loaded)
    # When the weights were made, so that the same checkpoint gives the same bytes. Without weights, loading them fails.
    created = timestamp(run.best.stat().st_mtime if run.best.exists() else None)
    builder = RecipeBuilder(loaded, registry)
    model = open_checkpoint(builder, run.best)
    module = _wrap(loaded, registry, model)
    images, source, warnings = _witnesses(builder, pixels)
    axes = {name: {int(axis): label for axis, label in labels.items()} for name, labels in section.dynamic_axes.items()}
    batches = pixels.batches(images)

    def proven(candidate: onnx.ModelProto) -> Parity:
        return check_parity(candidate, module, batches, axes=axes, output_names=section.output_names)

    graph = to_onnx(module, pixels, output_names=section.output_names, axes=axes, options=section.options)
    parity = proven(graph)
    nodes = {"exported": len(graph.graph.node), "simplified": None}
    if simplify:
        graph = simplified(graph)
        nodes["simplified"] = len(graph.graph.node)
        parity = proven(graph)
    counted = cost(module, pixels.shape, getattr(torch, pixels.dtype))
    tensors = to_safetensors(model)
    facts = {
        "recipe_sha256": recipe_sha256(loaded.recipe.model_dump(mode="json")),
        "weights_sha256": hashlib.sha256(tensors).hexdigest(),
        "wrapper": registry.find("export_wrapper", section.name).qualified_name,
        "preprocess": pixels.describe(cast("Preprocessing", model.backbone.preprocessing)),
        "embedding_dim": parity.embedding_dim,
        "normalized": parity.normalized,
        "opset": opset(graph),
        **asdict(counted),
        "created": created,
    }
    _write_metadata(graph, loaded, pixels, facts, counted)
    data = graph.SerializeToString(deterministic=True)
    report = {
        "schema": 1,
        "verified": True,
        "simplified": simplify,
        **asdict(parity),
        "images": source,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "nodes": nodes,
        **facts,
        "versions": installed_versions(_TOOLS),
    }
    return VerifiedExport(loaded, model, pixels, data, tensors, report, warnings)


def image_input(loaded: LoadedRecipe) -> PixelInput:
    """Read the one image input out of the ``onnx`` section.

    Raises:
        RecipeError: there is another number of inputs, or its shape is not that of RGB images.
    """
    section, locate = loaded.recipe.onnx, loaded.document.locate
    names = section.input_names
    if len(names) != 1 or set(section.input_shape) != set(names):
        message = f"one image input is needed, with its shape; got input_names {names}"
        raise RecipeError([Problem(message, locate(("onnx", "input_names")), "see 'zoo config schema'")])
    tensor = section.input_shape[names[0]]
    axes = {int(axis): label for axis, label in section.dynamic_axes.get(names[0], {}).items()}
    pixels = PixelInput(names[0], tuple(tensor.shape), tensor.dtype, axes)
    if pixels.layout is None:
        message = f"{tensor.shape} is no batch of RGB images"
        location = locate(("onnx", "input_shape", names[0], "shape"))
        raise RecipeError([Problem(message, location, "write [N, 3, H, W] or [N, H, W, 3]")])
    return pixels


def _wrap(loaded: LoadedRecipe, registry: Registry, model: EmbeddingModel) -> torch.nn.Module:
    module = build(
        registry,
        "export_wrapper",
        loaded.recipe.onnx.name,
        {},
        wired={"model": model, "image_size": loaded.recipe.data.image_size},
        locate=lambda below: loaded.document.locate(("onnx", *below)),
    )
    if not isinstance(module, torch.nn.Module):
        raise RunError(f"the export wrapper {loaded.recipe.onnx.name} made a {type(module).__name__}, no torch module")
    return module.eval()


def _witnesses(builder: RecipeBuilder, pixels: PixelInput) -> tuple[list[UInt8Image], str, tuple[str, ...]]:
    """Return distinct images to compare with, what they are, and a warning if they are not all the recipe's own."""
    wanted = max(_IMAGES, pixels.batch or 0)
    try:
        dataset = builder.dataset("valid")
        indices = np.unique(np.linspace(0, len(dataset) - 1, wanted).round().astype(int))
        views = [_view(dataset, int(index), pixels) for index in indices]
    except ZooError as error:
        reason = f"the validation data cannot be read, so the graph is compared on drawn patterns: {error}"
        return patterns(wanted), "patterns", (reason.replace("\n", "; "),)
    images = list({(view.shape, view.tobytes()): view for view in views}.values())
    if len(images) == wanted:
        return images, "validation data", ()
    # Equal images would hide a mix-up between the rows of a batch.
    reason = f"the validation data gave {len(images)} distinct images, so the graph is compared on drawn patterns, too"
    return images + patterns(wanted - len(images)), "validation data and patterns", (reason,)


def _view(dataset: Dataset, index: int, pixels: PixelInput) -> UInt8Image:
    """Show what the sample shows of its image, which it may share with others; where any size will do, in its own."""
    height, width = pixels.size
    if height and width:
        return plain_sample(dataset, index, (height, width)).image
    sample = dataset[index]
    return plain_view(sample, (height or sample.image.shape[0], width or sample.image.shape[1]))


def _write_metadata(
    graph: onnx.ModelProto, loaded: LoadedRecipe, pixels: PixelInput, facts: Mapping[str, Any], counted: Cost
) -> None:
    entries = {"version": __version__, **facts}
    if loaded.recipe.card.license:
        entries["license"] = loaded.recipe.card.license
    properties = {
        f"zoo.{key}": value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for key, value in entries.items()
    }
    # The key and the names inside are DocClassifier's own.
    properties["metadata"] = json.dumps(
        {
            "InputInfo": {pixels.name: {"shape": list(pixels.shape), "dtype": pixels.dtype}},
            "FLOPs": counted.flops,
            "MACs": counted.macs,
            "Params": counted.params,
            "Date": facts["created"],
        }
    )
    onnx.helper.set_model_props(graph, properties)
