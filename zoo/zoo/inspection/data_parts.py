"""The data sets of a recipe, under the names that reports and sheets use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zoo.assembly import RecipeBuilder
from zoo_core.contracts import StreamingDataset

if TYPE_CHECKING:
    from zoo.recipes.loading import LoadedRecipe
    from zoo.recipes.schema import ComponentReference
    from zoo_core.contracts import Dataset
    from zoo_core.registry import Registry

Side = Literal["train", "valid"]


@dataclass(frozen=True, slots=True)
class Part:
    """One data set of a recipe: ``train``, ``train_also.0``, ``valid``; ``length`` is ``None`` if it is unknown."""

    name: str
    side: Side
    reference: ComponentReference
    dataset: Dataset | StreamingDataset

    @property
    def length(self) -> int | None:
        """Number of samples, where it is known before reading."""
        return self.dataset.length if isinstance(self.dataset, StreamingDataset) else len(self.dataset)


def parts(loaded: LoadedRecipe, registry: Registry, sides: tuple[Side, ...]) -> list[Part]:
    """Build the data sets of the given sides."""
    builder = RecipeBuilder(loaded, registry)
    data = loaded.recipe.data
    found = []
    if "train" in sides:
        references = [data.train, *data.train_also]
        names = ["train", *(f"train_also.{number}" for number in range(len(data.train_also)))]
        sources = builder.training_sources()
        found += [
            Part(name, "train", reference, source.dataset)
            for name, reference, source in zip(names, references, sources, strict=True)
        ]
    if "valid" in sides:
        found.append(Part("valid", "valid", data.valid, builder.dataset("valid")))
    return found
