"""The export wrapper around a copy of the model, and every failure of it as one line that names it."""

from __future__ import annotations

import copy
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from zoo_core.building import build
from zoo_core.errors import RunError, ZooError
from zoo_core.registry import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo.onnx_export.evaluated import EvaluatedModel
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.config import KeyPath
    from zoo_core.errors import Location
    from zoo_core.registry import Component, Registry

_RANK = 2


@dataclass(frozen=True)
class Wrapper:
    """The module to export, the component that made it, and the copy of the model that it was given."""

    component: Component
    module: torch.nn.Module
    model: torch.nn.Module

    @contextmanager
    def blamed(self, doing: str) -> Iterator[None]:
        """Turn whatever the wrapper raises, an attempt to exit too, into an error that names it."""
        try:
            with redirect_stdout(sys.stderr):
                yield
        except RunError as error:
            if error.__cause__ is None:
                raise
            # The exporter's, which ran the wrapper: either may have failed.
            problem = error.problems[0]
            raise RunError(f"{self.component}: {problem.message}", hint=problem.hint) from error
        except (ZooError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise RunError(f"{self.component}: {doing} failed: {describe(error)}") from error

    def outputs(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Run the module in evaluation mode; return its outputs.

        Raises:
            RunError: it fails, or returns something else than tensors.
        """
        with self.blamed("its forward"), torch.inference_mode():
            # A copy: what a wrapper changes in place are not the arrays that others are given.
            returned = self.module.eval()(pixels.clone())
        outputs = [returned] if isinstance(returned, torch.Tensor) else returned
        if not isinstance(outputs, (tuple, list)) or not all(isinstance(one, torch.Tensor) for one in outputs):
            raise RunError(
                f"{self.component}: its forward returned a {type(returned).__name__}",
                hint="return a tensor, or a tuple of tensors whose first is the embedding",
            )
        return list(outputs)

    def changed_weights(self, reference: EvaluatedModel) -> list[str]:
        """Return the names of the model's parameters and buffers that the wrapper has changed."""
        wanted, found = reference.model.state_dict(), self.model.state_dict()
        return [
            name
            for name, value in wanted.items()
            if name not in found or found[name].shape != value.shape or not torch.equal(found[name], value)
        ]


def wrap(loaded: LoadedRecipe, registry: Registry, reference: EvaluatedModel) -> Wrapper:
    """Build the recipe's export wrapper around a copy of the model: what it changes there is not what was evaluated.

    Raises:
        RecipeError: its options do not fit.
        ComponentError: it is not available, or fails.
        RunError: what it built is no torch module, or cannot be put into evaluation mode.
    """
    section = loaded.recipe.onnx

    def locate(below: KeyPath) -> Location | None:
        key = ("wrapper_options", *below[1:]) if below[:1] == ("options",) else below
        return loaded.document.locate(("onnx", *key))

    model = copy.deepcopy(reference.model)
    module = build(
        registry,
        "export_wrapper",
        section.name,
        section.wrapper_options,
        wired={"model": model, "image_size": reference.size},
        locate=locate,
    )
    component = registry.find("export_wrapper", section.name)
    if not isinstance(module, torch.nn.Module):
        raise RunError(f"{component}: made a {type(module).__name__}, no torch module")
    wrapper = Wrapper(component, module, model)
    with wrapper.blamed("its eval()"):
        module.eval()
    return wrapper


def check_outputs(wrapper: Wrapper, example: Any, names: Sequence[str], dimension: int) -> None:  # noqa: ANN401 - an array
    """Refuse outputs that cannot be what the recipe says, in the words of the wrapper.

    Raises:
        RunError: there are more or fewer outputs than names, or the first is no batch of embeddings.
    """
    outputs = wrapper.outputs(torch.from_numpy(example))
    if len(outputs) != len(names):
        raise RunError(
            f"{wrapper.component}: its forward returned {len(outputs)} outputs, but onnx.output_names has {len(names)}",
            hint="name each output",
        )
    for name, output in zip(names, outputs, strict=True):
        if not output.ndim:
            raise RunError(
                f"{wrapper.component}: its output {name!r} is a single number",
                hint="every output has a row for each image",
            )
    first = outputs[0]
    fits = [_is_embedding(output, len(example), dimension) for output in outputs]
    if not fits[0]:
        said = f"its first output, {names[0]!r}, is {str(first.dtype).removeprefix('torch.')} {list(first.shape)}"
        others = [name for name, fit in zip(names, fits, strict=True) if fit]
        raise RunError(
            f"{wrapper.component}: {said}, but the model's embeddings are float [{len(example)}, {dimension}]",
            hint=f"return {others[0]!r} first" if others else "return the embeddings first",
        )
    if not first.isfinite().all():
        raise RunError(f"{wrapper.component}: its first output, {names[0]!r}, is not finite")


def _is_embedding(output: torch.Tensor, count: int, dimension: int) -> bool:
    return output.is_floating_point() and list(output.shape) == [count, dimension] and output.ndim == _RANK
