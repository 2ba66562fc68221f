"""Whether Transformers.js can run a graph, and what it reads about it; only of one that it can run is it told so.

Its pipeline ``image-feature-extraction`` feeds ``pixel_values``, and its image processor resizes otherwise than zoo, so
that the graph has to do that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo_core.errors import Problem, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.onnx_export.pixels import PixelInput
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.registry import Component

TAG = "transformers.js"
_INPUT = "pixel_values"
# The pipeline returns the first of these that the graph has.
_RETURNED = ("last_hidden_state", "logits", "image_embeds")
_HINT = "extend base/transformers_js after the recipe, or see docs/export.md for the overrides"


def is_readable(pixels: PixelInput, output_names: Sequence[str]) -> bool:
    """Return whether the pipeline gives the embeddings of a graph with this input and these outputs."""
    returned = [name for name in _RETURNED if name in output_names]
    takes = (pixels.name, pixels.layout, pixels.dtype) == (_INPUT, "NCHW", "float32")
    # An open batch, as the pipeline feeds one image or several.
    return takes and pixels.size == (None, None) and pixels.batch is None and returned[:1] == [output_names[0]]


def check(component: Component, loaded: LoadedRecipe, pixels: PixelInput) -> None:
    """Refuse names and axes with which a wrapper that is for Transformers.js would not be of use there.

    Raises:
        RecipeError: they differ from what the pipeline feeds and returns.
    """
    if TAG not in component.spec.tags or is_readable(pixels, loaded.recipe.onnx.output_names):
        return
    message = (
        f"Transformers.js, which {component} is for, wants one input {_INPUT!r}, float32 [N, 3, H, W] with the axes 0, "
        f"2 and 3 open, and the first output named {_RETURNED[-1]!r}"
    )
    raise RecipeError([Problem(message, loaded.document.locate(("onnx", "input_names")), _HINT)])


def config() -> dict[str, Any]:
    """Return what ``config.json`` says at its root: no architecture of its own, and float32, not int8, in browsers."""
    return {"model_type": "custom", "transformers.js_config": {"dtype": "fp32"}}


def processor() -> dict[str, Any]:
    """Return what ``preprocessor_config.json`` says: its plain processor, which any model may name."""
    return {"image_processor_type": "ImageFeatureExtractor"}
