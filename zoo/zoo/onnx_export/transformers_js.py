"""What an export says to Transformers.js, of graphs alone that it can run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.artifacts import transformers_js
from zoo_core.errors import Problem, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.onnx_export.pixels import PixelInput
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.registry import Component

TAG = "transformers.js"
_HINT = "extend base/transformers_js after the recipe, or see docs/export.md for the overrides"


def is_readable(pixels: PixelInput, output_names: Sequence[str]) -> bool:
    """Return whether its pipeline gives the embeddings of a graph with this input and these outputs."""
    shape = [pixels.axes.get(axis, size) for axis, size in enumerate(pixels.shape)]
    return transformers_js.is_readable(pixels.name, pixels.dtype, shape, output_names)


def check(component: Component, loaded: LoadedRecipe, pixels: PixelInput) -> None:
    """Refuse names and axes with which a wrapper that is for Transformers.js would not be of use there.

    Raises:
        RecipeError: they differ from what the pipeline feeds and returns.
    """
    if TAG not in component.spec.tags or is_readable(pixels, loaded.recipe.onnx.output_names):
        return
    message = (
        f"Transformers.js, which {component} is for, wants one input {transformers_js.INPUT!r}, float32 [N, 3, H, W] "
        f"with the axes 0, 2 and 3 open, and the first output named {transformers_js.RETURNED[-1]!r}"
    )
    raise RecipeError([Problem(message, loaded.document.locate(("onnx", "input_names")), _HINT)])


def config() -> dict[str, Any]:
    """Return what ``config.json`` says at its root: no architecture of its own, and float32, not int8, in browsers."""
    return {"model_type": "custom", transformers_js.CONFIG_KEY: {"dtype": "fp32"}}


def processor() -> dict[str, Any]:
    """Return what ``preprocessor_config.json`` says: its plain processor, which any model may name."""
    return {"image_processor_type": "ImageFeatureExtractor"}
