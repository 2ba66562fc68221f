"""What a graph has to compute: the recipe's wrapper around the evaluated model, in torch, on images that tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from zoo.onnx_export import transformers_js
from zoo.onnx_export.cost import cost
from zoo.onnx_export.evaluated import EvaluatedModel
from zoo.onnx_export.parity import check_alone, check_parity
from zoo.onnx_export.pixels import PixelInput
from zoo.onnx_export.proof import batch_sizes, check_spread, check_wrapper, prove
from zoo.onnx_export.witnesses import find_witnesses
from zoo.onnx_export.wrapping import check_outputs, wrap
from zoo_core.errors import Problem, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import onnx

    from zoo.assembly import EmbeddingModel, RecipeBuilder
    from zoo.onnx_export.cost import Cost
    from zoo.onnx_export.parity import Parity
    from zoo.onnx_export.witnesses import Witnesses
    from zoo.onnx_export.wrapping import Wrapper
    from zoo.recipes.loading import LoadedRecipe


@dataclass(frozen=True, eq=False)
class TorchReference:
    """The model and its wrapper, which was compared with it, and what they are run on.

    ``seed`` has chosen batch and image sizes; ``arrays`` are the graph's inputs, a batch each, and ``references`` what
    the wrapper makes of them.
    """

    loaded: LoadedRecipe
    model: EvaluatedModel
    pixels: PixelInput
    witnesses: Witnesses
    wrapper: Wrapper
    seed: int
    spread: float
    arrays: Sequence[npt.NDArray[Any]]
    references: Sequence[Sequence[torch.Tensor]]

    @classmethod
    def prepare(
        cls, builder: RecipeBuilder, pixels: PixelInput, model: EmbeddingModel, weights_sha256: str
    ) -> TorchReference:
        """Build the wrapper around ``model``, and compare the two.

        Raises:
            ComponentError: the wrapper is not available, or cannot be built.
            RunError: the wrapper fails, or differs from the model, or the model tells no images apart.
        """
        loaded, size = builder.loaded, builder.recipe.data.image_size
        section = loaded.recipe.onnx
        reference = EvaluatedModel(model.requires_grad_(requires_grad=False), size)
        witnesses = find_witnesses(builder)
        # Of the weights, so that they always give the same report.
        seed = int(weights_sha256[:8], 16)
        counts = batch_sizes(pixels, seed)
        arrays = pixels.arrays(witnesses, counts, size)
        wrapper = wrap(loaded, builder.registry, reference)
        transformers_js.check(wrapper.component, loaded, pixels)
        check_outputs(wrapper, arrays[0], section.output_names, model.embedding_dim)
        spread = check_spread(reference.embed(witnesses.batch(pixels.batch or len(witnesses.images), size)))
        # Of one image alone a fault tells least, and of sixteen enough.
        by_size = [witnesses.batch(count, size) for count in (counts if pixels.batch else (16, 3, *counts[3:]))]
        check_wrapper(wrapper, reference, pixels, by_size, spread)
        references = [wrapper.outputs(torch.from_numpy(array)) for array in arrays]
        return cls(loaded, reference, pixels, witnesses, wrapper, seed, spread, arrays, references)

    @property
    def axes(self) -> dict[str, dict[int, str]]:
        """The dimensions that the graph leaves open, by input or output name."""
        return open_axes(self.loaded)

    def parity(self, graph: onnx.ModelProto) -> Parity:
        """Compare a graph with the wrapper.

        Raises:
            RunError: it does not run, or differs.
        """
        names = self.loaded.recipe.onnx.output_names
        return check_parity(
            graph, self.wrapper.module, self.arrays, self.references, axes=self.axes, output_names=names
        )

    def compare(self, graph: onnx.ModelProto, data: bytes, parity: Parity) -> dict[str, Any]:
        """Compare a graph with the model, and its images with each other; return what a report says of it.

        Args:
            graph: the graph.
            data: the same as an ONNX file, with its metadata.
            parity: its comparison with the wrapper.

        Raises:
            RunError: an embedding differs, or depends on other images.
        """
        proof = prove(data, self.model, self.pixels, self.witnesses, spread=self.spread, seed=self.seed)
        largest = self.arrays[len(batch_sizes(self.pixels, self.seed)) - 1]
        alone = 0.0 if self.pixels.batch else check_alone(graph, largest, self.loaded.recipe.onnx.output_names)
        return {**asdict(parity), **asdict(proof), "alone": alone, "images": self.witnesses.source}

    def cost(self) -> Cost:
        """Count parameters and operations for one image.

        Raises:
            RunError: the wrapper fails.
        """
        with self.wrapper.blamed("its forward"):
            return cost(self.wrapper.module, self.pixels.shape, getattr(torch, self.pixels.dtype))


def open_axes(loaded: LoadedRecipe) -> dict[str, dict[int, str]]:
    """Return the dimensions that the ``onnx`` section leaves open, by input or output name."""
    axes = loaded.recipe.onnx.dynamic_axes
    return {name: {int(axis): label for axis, label in labels.items()} for name, labels in axes.items()}


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
