"""Callbacks and loggers that a recipe names, beside zoo's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lightning.fabric.utilities.exceptions import MisconfigurationException

from zoo.recipes.schema import LISTS, ComponentReference
from zoo_core.building import build
from zoo_core.errors import ComponentError, Problem, RecipeError

if TYPE_CHECKING:
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.registry import Registry


def named_parts(loaded: LoadedRecipe, registry: Registry, key: Literal["callbacks", "logger"]) -> list[Any]:
    """Build what ``trainer.callbacks`` or ``trainer.logger`` lists.

    Raises:
        RecipeError: one refuses its options.
        ComponentError: one is not available, or needs a package that is not installed.
    """
    written = loaded.recipe.trainer.get(key)
    return [_built(loaded, registry, key, index) for index in range(len(written) if isinstance(written, list) else 0)]


def _built(loaded: LoadedRecipe, registry: Registry, key: str, index: int) -> Any:  # noqa: ANN401 - of Lightning
    path = ("trainer", key)
    reference: ComponentReference = loaded.reference((*path, index))

    def locate(below: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - Location or None
        return loaded.document.locate((*path, index, *below))

    try:
        return build(registry, LISTS[path], reference.name, reference.options, wired={}, locate=locate)
    except ComponentError as error:
        if not isinstance(error.__cause__, MisconfigurationException):
            raise
        name = registry.find(LISTS[path], reference.name).qualified_name
        raise RecipeError([Problem(f"{name}: {' '.join(str(error.__cause__).split())}", locate(()))]) from error
