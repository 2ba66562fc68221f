"""One export: a run's best checkpoint to a verified graph, held in memory until all of it is proven."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import onnx

from zoo import __version__
from zoo.artifacts.weights import to_safetensors
from zoo.assembly import RecipeBuilder
from zoo.models.torch_model import open_checkpoint
from zoo.onnx_export.backbone_files import backbone_files
from zoo.onnx_export.reference import TorchReference, image_input
from zoo.onnx_export.torch_export import local_folders, opset, simplified, to_onnx
from zoo.recipes.public import public_recipe, published_sha256
from zoo_core.errors import RunError, UsageError
from zoo_core.provenance import cpu_kind, installed_versions, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.assembly import EmbeddingModel
    from zoo.onnx_export.cost import Cost
    from zoo.onnx_export.pixels import PixelInput
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo_core.registry import Registry

_TOOLS = ("plugzoo", "torch", "timm", "onnx", "onnxruntime", "onnxsim", "numpy", "pillow", "opencv-python-headless")


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
    published = public_recipe(loaded.recipe, registry)
    pixels, created = image_input(loaded), _created(run)
    builder = RecipeBuilder(loaded, registry)
    model = open_checkpoint(builder, run.best)
    tensors = to_safetensors(model)
    digest = hashlib.sha256(tensors).hexdigest()
    reference = TorchReference.prepare(builder, pixels, model, digest)
    section, wrapper = loaded.recipe.onnx, reference.wrapper
    with wrapper.blamed("its export"):
        graph = to_onnx(
            wrapper.module, pixels, output_names=section.output_names, axes=reference.axes, options=section.options
        )
    parity = reference.parity(graph)
    nodes = {"exported": len(graph.graph.node), "simplified": None}
    if simplify:
        graph = simplified(graph)
        nodes["simplified"] = len(graph.graph.node)
        parity = reference.parity(graph)
    counted = reference.cost()
    facts = {
        "recipe_sha256": published_sha256(published.model_dump(mode="json")),
        "weights_sha256": digest,
        "wrapper": wrapper.component.qualified_name,
        "preprocess": pixels.describe(reference.model.preprocessing),
        "embedding_dim": parity.embedding_dim,
        "normalized": parity.normalized,
        "opset": opset(graph),
        **asdict(counted),
        **({"created": created} if created else {}),
    }
    _write_metadata(graph, pixels, facts, counted)
    data = graph.SerializeToString(deterministic=True)
    _check_local(graph, run)
    backbone, left_out = backbone_files(model.backbone, loaded.recipe.data.image_size)
    report = {
        "schema": 1,
        "verified": True,
        "simplified": simplify,
        **reference.compare(graph, data, parity),
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "nodes": nodes,
        "backbone": {name: hashlib.sha256(content).hexdigest() for name, content in backbone.items()},
        **facts,
        "versions": installed_versions(_TOOLS),
        "machine": cpu_kind(),
    }
    warnings = (*reference.witnesses.warnings, *left_out)
    return VerifiedExport(loaded, model, pixels, data, tensors, backbone, report, warnings)


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
