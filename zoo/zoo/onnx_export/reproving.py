"""A graph that was published, compared again with the weights beside it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import onnx

from zoo.artifacts.digests import sha256
from zoo.assembly import RecipeBuilder
from zoo.models.torch_model import load_published
from zoo.onnx_export.reference import TorchReference, image_input
from zoo.onnx_export.torch_export import opset
from zoo_core.errors import RunError

if TYPE_CHECKING:
    from zoo.artifacts.layout import ArtifactFolder
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.registry import Registry


def prove_again(artifact: ArtifactFolder, loaded: LoadedRecipe, registry: Registry) -> dict[str, Any]:
    """Compare the float32 graph of an artifact with its weights, as the export has; return what a report says of it.

    Args:
        artifact: the folder.
        loaded: its recipe; where its validation data cannot be read, the images are drawn patterns.
        registry: knows the recipe's components.

    Raises:
        RecipeError: the recipe does not describe one image input.
        ComponentError: a component is not available.
        RunError: the weights do not fit the recipe's model, or the graph differs from them.
    """
    pixels = image_input(loaded)
    builder = RecipeBuilder(loaded, registry)
    model = load_published(builder, artifact.weights)
    reference = TorchReference.prepare(builder, pixels, model, sha256(artifact.weights))
    data = artifact.onnx.read_bytes()
    try:
        graph = onnx.load_from_string(data)
    except Exception as error:  # protobuf's own
        raise RunError(f"{artifact.onnx}: is no ONNX file") from error
    return {
        **reference.compare(graph, data, reference.parity(graph)),
        "preprocess": pixels.describe(reference.model.preprocessing),
        "wrapper": reference.wrapper.component.qualified_name,
        "opset": opset(graph),
        "nodes": len(graph.graph.node),
        **asdict(reference.cost()),
    }
