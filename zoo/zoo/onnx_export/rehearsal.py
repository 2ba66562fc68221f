"""The export of a model that is not trained yet: what cannot be exported is better known before the training."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from zoo.onnx_export import transformers_js
from zoo.onnx_export.evaluated import EvaluatedModel
from zoo.onnx_export.proof import check_spread, check_wrapper
from zoo.onnx_export.reference import image_input, open_axes
from zoo.onnx_export.torch_export import to_onnx
from zoo.onnx_export.witnesses import Witnesses, patterns
from zoo.onnx_export.wrapping import check_outputs, wrap
from zoo_core.errors import RunError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from zoo.assembly import EmbeddingModel
    from zoo.onnx_export.pixels import PixelInput
    from zoo.onnx_export.wrapping import Wrapper
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.registry import Registry

_IMAGES = 4


def rehearse_export(model: EmbeddingModel, loaded: LoadedRecipe, registry: Registry) -> str:
    """Wrap a copy of ``model`` and export it to a graph that is thrown away; return the wrapper and its outputs.

    The wrapper's first output is compared with the model on drawn patterns. That the graph computes the same is left
    to the export of the trained model, which proves it.

    Raises:
        RecipeError: the ``onnx`` section does not describe one image input, or the wrapper's options do not fit.
        ComponentError: the wrapper is not available.
        RunError: the wrapper or the exporter fails, or the wrapper returns something else than the recipe says or
            than the model does; with the line of ``onnx``.
    """
    pixels = image_input(loaded)
    copied = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    reference = EvaluatedModel(copied, loaded.recipe.data.image_size)
    try:
        return _rehearsed(reference, pixels, wrap(loaded, registry, reference), loaded)
    except RunError as error:
        where = loaded.document.locate(("onnx",))
        problems = [replace(one, location=one.location or where) for one in error.problems]
        raise error.with_problems(problems) from error.__cause__


def _rehearsed(reference: EvaluatedModel, pixels: PixelInput, wrapper: Wrapper, loaded: LoadedRecipe) -> str:
    transformers_js.check(wrapper.component, loaded, pixels)
    section, count = loaded.recipe.onnx, pixels.batch or _IMAGES
    witnesses = Witnesses(tuple(patterns(count, seed=1)), "patterns")
    [array, *_] = pixels.arrays(witnesses, (count,), reference.size)
    check_outputs(wrapper, array, section.output_names, reference.model.embedding_dim)
    images = witnesses.batch(count, reference.size)
    spread = _spread(reference, images)
    if spread is not None:
        check_wrapper(wrapper, reference, pixels, [images], spread)
    axes = open_axes(loaded)
    with wrapper.blamed("its export"):
        to_onnx(wrapper.module, pixels, output_names=section.output_names, axes=axes, options=section.options)
    return f"{wrapper.component}: {', '.join(section.output_names)}"


def _spread(reference: EvaluatedModel, images: npt.NDArray[np.uint8]) -> float | None:
    """Return how far apart the embeddings lie; None where a model without training cannot tell the images apart."""
    try:
        return check_spread(reference.embed(images))
    except RunError:
        return None
