"""One export: a run's best checkpoint to a verified graph, held in memory until all of it is proven."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import onnx
import torch

from zoo import __version__
from zoo.artifacts.weights import to_safetensors
from zoo.assembly import RecipeBuilder
from zoo.models.torch_model import open_checkpoint
from zoo.onnx_export import transformers_js
from zoo.onnx_export.backbone_files import backbone_files
from zoo.onnx_export.cost import Cost, cost
from zoo.onnx_export.evaluated import EvaluatedModel
from zoo.onnx_export.parity import Parity, check_alone, check_parity
from zoo.onnx_export.pixels import PixelInput
from zoo.onnx_export.proof import batch_sizes, check_spread, check_wrapper, prove
from zoo.onnx_export.torch_export import local_folders, opset, simplified, to_onnx
from zoo.onnx_export.witnesses import find_witnesses
from zoo.onnx_export.wrapping import check_outputs, wrap
from zoo.recipes.public import public_recipe, published_sha256
from zoo_core.errors import Problem, RecipeError, RunError, UsageError
from zoo_core.provenance import installed_versions, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.assembly import EmbeddingModel
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo_core.registry import Registry

_TOOLS = ("plugzoo", "torch", "timm", "onnx", "onnxruntime", "onnxsim", "numpy")


@dataclass(frozen=True)
class VerifiedExport:
    """A graph that was proven to compute what the checkpoint does, and the report on it.

    ``graph`` is the ONNX file; ``report`` becomes ``onnx/export.json``; ``weights`` is the safetensors file of
    the model; ``backbone`` the files of ``backbone/``; ``warnings`` are worth showing.
    """

    loaded: LoadedRecipe
    model: EmbeddingModel
    pixels: PixelInput
    graph: bytes
    weights: bytes
    backbone: Mapping[str, bytes]
    report: dict[str, Any]
    warnings: tuple[str, ...]


def export_run(run: RunFolder, loaded: LoadedRecipe, registry: Registry, *, simplify: bool) -> VerifiedExport:
    """Export the best checkpoint of ``run`` and compare the graph with it; write nothing.

    With ``simplify`` both graphs are compared with the wrapper, the plain one first; the one that is kept is proven.

    Raises:
        RecipeError: the ``onnx`` section does not describe one image input, or not as the wrapper needs it.
        ComponentError: the wrapper is not available, or cannot be built.
        UsageError: ``SOURCE_DATE_EPOCH`` is no time.
        RunError: the checkpoint does not load, the wrapper or the exporter fails, or the graph differs from the
            checkpoint.
    """
    section = loaded.recipe.onnx
    published = public_recipe(loaded.recipe, registry)
    pixels = image_input(loaded)
    created = _created(run)
    builder = RecipeBuilder(loaded, registry)
    size = loaded.recipe.data.image_size
    reference = EvaluatedModel(open_checkpoint(builder, run.best).requires_grad_(requires_grad=False), size)
    tensors = to_safetensors(reference.model)
    digest = hashlib.sha256(tensors).hexdigest()
    witnesses = find_witnesses(builder)
    # Of the weights, so that they always give the same report.
    seed = int(digest[:8], 16)
    counts = batch_sizes(pixels, seed)
    arrays = pixels.arrays(witnesses, counts, size)
    wrapper = wrap(loaded, registry, reference)
    transformers_js.check(wrapper.component, loaded, pixels)
    check_outputs(wrapper, arrays[0], section.output_names, reference.model.embedding_dim)
    spread = check_spread(reference.embed(witnesses.batch(pixels.batch or len(witnesses.images), size)))
    # Of one image alone a fault tells least, and of sixteen enough.
    by_size = [witnesses.batch(count, size) for count in (counts if pixels.batch else (16, 3, *counts[3:]))]
    check_wrapper(wrapper, reference, pixels, by_size, spread)
    references = [wrapper.outputs(torch.from_numpy(array)) for array in arrays]
    axes = {name: {int(axis): label for axis, label in labels.items()} for name, labels in section.dynamic_axes.items()}

    def compared(candidate: onnx.ModelProto) -> Parity:
        return check_parity(candidate, wrapper.module, arrays, references, axes=axes, output_names=section.output_names)

    with wrapper.blamed("its export"):
        graph = to_onnx(wrapper.module, pixels, output_names=section.output_names, axes=axes, options=section.options)
    parity = compared(graph)
    nodes = {"exported": len(graph.graph.node), "simplified": None}
    if simplify:
        graph = simplified(graph)
        nodes["simplified"] = len(graph.graph.node)
        parity = compared(graph)
    with wrapper.blamed("its forward"):
        counted = cost(wrapper.module, pixels.shape, getattr(torch, pixels.dtype))
    facts = {
        "recipe_sha256": published_sha256(published.model_dump(mode="json")),
        "weights_sha256": digest,
        "wrapper": wrapper.component.qualified_name,
        "preprocess": pixels.describe(reference.preprocessing),
        "embedding_dim": parity.embedding_dim,
        "normalized": parity.normalized,
        "opset": opset(graph),
        **asdict(counted),
        **({"created": created} if created else {}),
    }
    _write_metadata(graph, pixels, facts, counted)
    data = graph.SerializeToString(deterministic=True)
    _check_local(graph, run)
    proof = prove(data, reference, pixels, witnesses, spread=spread, seed=seed)
    alone = 0.0 if pixels.batch else check_alone(graph, arrays[len(counts) - 1], section.output_names)
    backbone, left_out = backbone_files(reference.model.backbone, size)
    report = {
        "schema": 1,
        "verified": True,
        "simplified": simplify,
        **asdict(parity),
        **asdict(proof),
        "alone": alone,
        "images": witnesses.source,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "nodes": nodes,
        "backbone": {name: hashlib.sha256(content).hexdigest() for name, content in backbone.items()},
        **facts,
        "versions": installed_versions(_TOOLS),
    }
    return VerifiedExport(
        loaded, reference.model, pixels, data, tensors, backbone, report, (*witnesses.warnings, *left_out)
    )


def _created(run: RunFolder) -> str | None:
    """Return when the training started, as its record says, so that the same weights always give the same bytes.

    Without a record nothing says so: the file's own time is that of the last copy.

    Raises:
        UsageError: ``SOURCE_DATE_EPOCH``, which is stronger, is no time.
    """
    fixed = timestamp(0.0)
    if fixed != timestamp(1.0):
        try:
            found = run.read_record().get("created")
        except (OSError, UsageError):
            return None
        return found if isinstance(found, str) else None
    return fixed


def _check_local(graph: onnx.ModelProto, run: RunFolder) -> None:
    """Refuse a graph that still names a folder of this machine: in a constant, or where the recipe says so."""
    bare = onnx.ModelProto()
    bare.CopyFrom(graph)
    for tensor in bare.graph.initializer:
        # Numbers may look like anything.
        tensor.ClearField("raw_data")
    data = bare.SerializeToString()
    for folder in {str(run.path.absolute()), *local_folders()}:
        if folder.encode() in data:
            raise RunError(
                f"the exported graph names a folder of this machine, {folder}",
                hint="take it out of the wrapper, or out of the recipe's onnx section",
            )


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


def _write_metadata(graph: onnx.ModelProto, pixels: PixelInput, facts: Mapping[str, Any], counted: Cost) -> None:
    """Write what a reader of the graph needs; no licence, which may be chosen after the export."""
    entries = {"version": __version__, **facts}
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
            **({"Date": facts["created"]} if "created" in facts else {}),
        }
    )
    onnx.helper.set_model_props(graph, properties)
