"""Callbacks and loggers of Lightning that a recipe names, beside zoo's own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from zoo.recipes.torch_checking import LIGHTNING_PARTS
from zoo_core.errors import Problem, RecipeError

if TYPE_CHECKING:
    from zoo.recipes.loading import LoadedRecipe


def named_parts(loaded: LoadedRecipe, key: str) -> list[Any]:
    """Build what ``trainer.callbacks`` or ``trainer.logger`` lists, whose names and options have been checked.

    Raises:
        RecipeError: Lightning refuses the options.
    """
    written = loaded.recipe.trainer.get(key)
    module = import_module(LIGHTNING_PARTS[key])
    parts = []
    for index, entry in enumerate(written if isinstance(written, list) else []):
        try:
            parts.append(getattr(module, entry["name"])(**entry.get("options", {})))
        except (TypeError, ValueError, MisconfigurationException, ImportError) as error:
            message = f"{module.__name__}.{entry['name']}: {' '.join(str(error).split())}"
            raise RecipeError([Problem(message, loaded.document.locate(("trainer", key, index)))]) from error
    return parts
