"""A run's best checkpoint under evaluation, and the validation data of a recipe; both need torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zoo.artifacts.layout import ArtifactFolder
from zoo.artifacts.weights import weights_sha256
from zoo.assembly import RecipeBuilder
from zoo.evaluation.files import LabelledFiles
from zoo.models.torch_model import best_device, embed, open_checkpoint
from zoo.recipes.loading import load_run_recipe
from zoo.recipes.public import unset_data
from zoo.runs.layout import RunFolder
from zoo.validation.protocol import Protocol
from zoo.workers import loader_processes
from zoo_core.errors import RecipeError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.assembly import EmbeddingModel
    from zoo.evaluation.subjects import Advance, EvaluationData
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.unreadable import UnreadableSamples
    from zoo.validation.dataset import ValidationItems
    from zoo.validation.embedded_images import EmbeddedImages
    from zoo_core.config import Overrides
    from zoo_core.registry import Registry


@dataclass(frozen=True, eq=False)
class RecipeData:
    """The validation data of a recipe."""

    loaded: LoadedRecipe
    registry: Registry

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.loaded.recipe.data.valid.name

    def items(self, size: tuple[int, int], unreadable: UnreadableSamples) -> ValidationItems:
        """Return them at ``size`` (height, width)."""
        return RecipeBuilder(self.loaded, self.registry).validation_items(size).recording(unreadable)

    def protocol(self, embedded: EmbeddedImages) -> Protocol:
        """Describe what was embedded of them."""
        return Protocol.of_recipe(self.loaded.recipe, embedded)


def recipe_data(model: Path, overrides: Overrides, registry: Registry, *, strict: bool = False) -> RecipeData:
    """Return the validation data of the recipe that lies in an artifact folder.

    Raises:
        UsageError: there is no recipe.
        RecipeError: it is wrong.
        ComponentError: a plugin is not installed, or, with ``strict``, of another version.
    """
    recipe = ArtifactFolder(model).recipe if model.is_dir() else None
    if recipe is None or not recipe.is_file():
        raise UsageError(f"{model}: comes without a recipe", hint="name a folder of class folders with --data DIR")
    # Laid out like a run's folder, as far as the recipe goes.
    loaded = load_run_recipe(
        RunFolder(model), overrides, registry=registry if overrides else None, installed=registry, strict=strict
    )
    if unset := unset_data(loaded.document, ("data", "valid")):
        raise RecipeError(unset)
    return RecipeData(loaded, registry)


@dataclass(frozen=True, eq=False)
class CheckpointSubject:
    """The best checkpoint of a run, in torch on the best device there is."""

    name: str
    run: RunFolder
    loaded: LoadedRecipe
    registry: Registry

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of what it sees."""
        return self.loaded.recipe.data.image_size

    @cached_property
    def _opened(self) -> tuple[EmbeddingModel, str]:
        model = open_checkpoint(RecipeBuilder(self.loaded, self.registry), self.run.best)
        # Hashed before the model moves to a device.
        return model, weights_sha256(model)

    @property
    def identity(self) -> dict[str, Any]:
        """The SHA-256 of the weights, and on what they ran: another kind of device rounds by much more."""
        return {"name": self.name, "weights_sha256": self._opened[1], "device": best_device().type}

    def embed(self, data: EvaluationData, *, advance: Advance, unreadable: UnreadableSamples) -> EmbeddedImages:
        """Embed all images of ``data``.

        Raises:
            RunError: the checkpoint does not load, or too many images are unreadable.
        """
        loader = self.loaded.recipe.data.loader
        model, _ = self._opened
        found = embed(
            model,
            data.items(self.image_size, unreadable),
            batch_size=loader.batch_size,
            num_workers=loader_processes(loader.num_workers),
            advance=advance,
        )
        return data.marked(found) if isinstance(data, LabelledFiles) else found
