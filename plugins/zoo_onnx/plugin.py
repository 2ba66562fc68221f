"""What zoo_onnx provides: the wrappers that zoo exports a trained model with."""

from __future__ import annotations

from zoo_core.api import ComponentSpec, hookimpl

ZOO_API = 1


@hookimpl
def zoo_components() -> list[ComponentSpec]:
    """Return a component for each export wrapper."""
    return [
        ComponentSpec(
            kind="export_wrapper",
            name="WarpFeatureLearning",
            factory="zoo_onnx.wrappers:WarpFeatureLearning",
            summary="float32 [N,3,H,W] pixels in 0..1 to normalised embeddings",
            license="Apache-2.0",
            tags=("float32", "NCHW"),
        ),
        ComponentSpec(
            kind="export_wrapper",
            name="WarpFeatureLearningPixels",
            factory="zoo_onnx.wrappers:WarpFeatureLearningPixels",
            summary="uint8 [N,H,W,3] pixels of any size to normalised embeddings; resizes in the graph",
            license="Apache-2.0",
            tags=("uint8", "NHWC", "any size"),
        ),
        ComponentSpec(
            kind="export_wrapper",
            name="TransformersJs",
            factory="zoo_onnx.wrappers:TransformersJs",
            summary="float32 [N,3,H,W] pixels of any size in 0..1 to normalised embeddings, for Transformers.js",
            license="Apache-2.0",
            tags=("float32", "NCHW", "any size", "transformers.js"),
        ),
    ]
