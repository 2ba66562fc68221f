"""Whose licence a recipe's is: it holds for the data and the initial weights beside which it was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.config import load

if TYPE_CHECKING:
    from zoo.recipes.schema import Recipe
    from zoo_core.config import Document
    from zoo_core.config.layers import Find

_LICENSE = ("card", "license")


def without_inherited_license(recipe: Recipe, document: Document, find: Find) -> tuple[Recipe, tuple[str, ...]]:
    """Drop the licence that a base names, where this recipe has other data or initial weights than that base.

    Numbers, such as how many documents are drawn, make no other data. A licence that the environment or the command
    line gives is always the user's own.

    Returns:
        The recipe, and a sentence where the licence was dropped.
    """
    location = document.marks.get(_LICENSE)
    if not recipe.card.license or location is None or not Path(location.file).is_file():
        return recipe, ()
    base = load(Path(location.file), find=find)
    if _sources(base.value) == _sources(document.value):
        return recipe, ()
    card = recipe.card.model_copy(update={"license": None, "license_name": None, "license_link": None})
    note = (
        f"{location}: {recipe.card.license} is not taken over, for data or initial weights are others; "
        f"'zoo push' will ask for card.license"
    )
    return recipe.model_copy(update={"card": card}), (note,)


def _sources(value: Any) -> Any:  # noqa: ANN401 - JSON
    data, model = (_mapping(value.get(key)) for key in ("data", "model"))
    chosen = [value.get("init_from"), data.get("train"), data.get("train_also") or [], data.get("valid")]
    return _without_numbers([*chosen, model.get("backbone"), model.get("distillation")])


def _without_numbers(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: below for key, one in value.items() if (below := _without_numbers(one)) is not None}
    if isinstance(value, list):
        return [_without_numbers(one) for one in value]
    return None if isinstance(value, int | float) and not isinstance(value, bool) else value


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
