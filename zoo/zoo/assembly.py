"""Recipe and registry to model, loss and data: what training, evaluation and export have in common."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from zoo.validation.dataset import ValidationItems
from zoo_core.building import build
from zoo_core.capabilities import DeviceAugmentation
from zoo_core.contracts import StreamingDataset
from zoo_core.errors import Problem, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from zoo.recipes.loading import LoadedRecipe
    from zoo.recipes.schema import ComponentReference
    from zoo_core.components import Kind
    from zoo_core.contracts import Augmentation
    from zoo_core.contracts import Dataset as ZooDataset
    from zoo_core.registry import Component, Registry


class EmbeddingModel(nn.Module):
    """Backbone and head: ``images float32 [N, 3, H, W]`` in 0..1 to embeddings ``[N, D]``, not yet normalised."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    @property
    def embedding_dim(self) -> int:
        """Length D of an embedding."""
        return cast("int", self.head.embedding_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Embed ``images``."""
        return cast("Tensor", self.head(self.backbone(images)))


class RecipeBuilder:
    """Builds what a recipe names, and blames the recipe's own lines for what does not fit."""

    def __init__(self, loaded: LoadedRecipe, registry: Registry) -> None:
        self.loaded = loaded
        self.recipe = loaded.recipe
        self.registry = registry

    def component(self, kind: Kind, path: tuple[str | int, ...], **wired: object) -> Any:  # noqa: ANN401 - kind decides
        """Build the component that stands at ``path`` of the recipe.

        Raises:
            RecipeError: its options do not fit.
            ComponentError: it is not available.
        """
        return self._build(kind, self.loaded.reference(path), path, wired)

    def _build(
        self,
        kind: Kind,
        reference: ComponentReference,
        path: tuple[str | int, ...],
        wired: dict[str, object],
    ) -> Any:  # noqa: ANN401 - kind decides
        def locate(below: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - Location or None
            return self.loaded.document.locate((*path, *below))

        return build(self.registry, kind, reference.name, reference.options, wired=wired, locate=locate)

    def components(self) -> list[Component]:
        """Return all components that the recipe names.

        Raises:
            ComponentError: one is not available.
        """
        return self.loaded.components(self.registry)

    def part(self, kind: Kind) -> Component:
        """Return the component of the model's ``backbone``, ``head`` or ``loss``.

        Raises:
            ComponentError: it is not available.
        """
        return self.registry.find(kind, self.loaded.reference(("model", kind)).name)

    def model(self, *, initial_weights: bool) -> EmbeddingModel:
        """Build backbone and head; without ``initial_weights`` nothing is looked up or downloaded for them."""
        section = self.recipe.model.backbone
        if not initial_weights:
            section = section.model_copy(update={"options": {**section.options, **self._restoring(section.name)}})
        size = self.recipe.data.image_size
        backbone = self._build("backbone", section, ("model", "backbone"), {"image_size": size})
        head = self.component("head", ("model", "head"), feature_levels=backbone.feature_levels, image_size=size)
        return EmbeddingModel(backbone, head)

    def _restoring(self, backbone: str) -> dict[str, object]:
        """Return the options with which a backbone is built whose weights are then restored."""
        component = self.registry.find("backbone", backbone)
        if component.spec.restoring:
            return dict(component.spec.restoring)
        # As the contract said before manifests could.
        called = "pretrained" in inspect.signature(self.registry.load(component)).parameters
        return {"pretrained": False} if called else {}

    def loss(self, *, embedding_dim: int, classes: Sequence[str]) -> nn.Module:
        """Build the loss for a model and a data set."""
        wired = {"num_classes": len(classes), "classes": classes, "seed": self.recipe.seed}
        return cast("nn.Module", self.component("loss", ("model", "loss"), embedding_dim=embedding_dim, **wired))

    def dataset(self, *below: str | int) -> ZooDataset:
        """Build the data set that stands ``below`` the section ``data``."""
        dataset = self.component("dataset", ("data", *below), seed=self.recipe.seed)
        if isinstance(dataset, StreamingDataset):
            if below[0] == "valid":
                hint = "validate on a data set with samples by number, such as images/folder"
                where = self.loaded.document.locate(("data", *below))
                raise RecipeError([Problem("a stream can only be trained on", where, hint)])
        elif len(dataset) == 0:
            raise RecipeError([Problem("the data set is empty", self.loaded.document.locate(("data", *below)))])
        return cast("ZooDataset", dataset)

    def training_sources(self) -> list[Source]:
        """Build the data sets to train on, each with its share."""
        also = self.recipe.data.train_also
        first = Source(self.dataset("train"), 1 - sum(one.share for one in also))
        return [first, *(Source(self.dataset("train_also", index), one.share) for index, one in enumerate(also))]

    def augmentation(self, image_size: tuple[int, int] | None = None) -> Augmentation:
        """Build the augmentation, for images of ``image_size`` (height, width), by default the recipe's."""
        size = image_size or self.recipe.data.image_size
        return cast("Augmentation", self.component("augmentation", ("data", "augmentation"), image_size=size))

    def device_augmentation(self) -> DeviceAugmentation:
        """Build the augmentation that runs on the device.

        Raises:
            RecipeError: it only runs in the loader.
        """
        augmentation = self.augmentation()
        if not isinstance(augmentation, DeviceAugmentation):
            message = f"{self.recipe.data.augmentation.name} has no executor for the device"
            location = self.loaded.document.locate(("data", "augment_on"))
            raise RecipeError([Problem(message, location, "augment_on: loader works with every augmentation")])
        return augmentation

    def validation_items(self, image_size: tuple[int, int] | None = None) -> ValidationItems:
        """Build the validation set, at ``image_size`` or the recipe's: every sample plain, then its captures."""
        data = self.recipe.data
        return ValidationItems(
            dataset=self.dataset("valid"),
            augmentation=self.augmentation(image_size) if data.valid_captures else None,
            captures=data.valid_captures,
            image_size=image_size or data.image_size,
            seed=self.recipe.seed,
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A data set to train on, and its share 0..1 of the samples shown."""

    dataset: ZooDataset
    share: float
