"""A recipe of one's own: another one's name, and all that it says, to be changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import yaml

from zoo.atomic import write_text
from zoo.recipes.loading import find_recipe, load_recipe
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo_core.registry import Registry

_SHOWN = ("model", "data", "optimizer", "lr_scheduler", "trainer", "card")


def write_recipe(target: Path, base: str, registry: Registry | None = None) -> Path:
    """Write a recipe that extends ``base``, with the base's own values beside it as comments; return its path.

    Args:
        target: the new file.
        base: a recipe by name or path.
        registry: checks the base, when given.

    Raises:
        UsageError: the file is there already, or there is no such base.
        RecipeError: the base is wrong.
    """
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target}: is there already", hint="choose another name")
    loaded = load_recipe(base, registry=registry)
    found = find_recipe(base)
    extended = os.path.relpath(found, target.parent.absolute()) if os.fspath(base).endswith((".yaml", ".yml")) else base
    values = {key: value for key, value in loaded.recipe.model_dump(mode="json").items() if key in _SHOWN}
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
    comments = "\n".join(f"# {line}" for line in text.splitlines())
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(
        target,
        f"# Takes all from {base}, whose values follow. Take the # away from a section and the keys to change; what\n"
        f"# is left out stays. Checked by: zoo config check {target.name}; on one batch: zoo check {target.name}\n"
        f"extends: {extended}\n\n{comments}\n",
    )
    return target
