"""The options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.completion import complete_overrides, complete_recipes

if TYPE_CHECKING:
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo_core.registry import Registry

cfg_option = click.option(
    "--cfg", metavar="RECIPE", shell_complete=complete_recipes, help="Recipe by name, or path to one."
)
run_option = click.option(
    "--run", "run_path", type=click.Path(path_type=Path), metavar="DIR", help="A run; else the latest."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
strict_option = click.option(
    "--strict", is_flag=True, help="Make warnings errors: what is left out, leaked, dropped or replaced."
)
overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_overrides)


def required(cfg: str | None) -> str:
    """Return the recipe that was named.

    Raises:
        UsageError: none was.
    """
    from zoo_core.errors import UsageError

    if not cfg:
        raise UsageError("which recipe?", hint="give it by --cfg RECIPE; 'zoo config check --all' lists them")
    return cfg


def load(cfg: str | None, overrides: tuple[str, ...], *, registry: Registry | None = None) -> LoadedRecipe:
    """Load the recipe that was named, and print its warnings; with ``registry`` check it, too.

    Raises:
        UsageError: none was named, or there is none of that name.
        RecipeError: it is wrong.
    """
    from zoo.recipes.loading import load_recipe

    return _warned(load_recipe(required(cfg), overrides, registry=registry))


def load_of_run(run: RunFolder, overrides: tuple[str, ...], *, registry: Registry | None = None) -> LoadedRecipe:
    """Load the recipe of a run, and print its warnings; with ``registry`` check it, too.

    Raises:
        RecipeError: it is wrong.
    """
    from zoo.recipes.loading import load_run_recipe

    return _warned(load_run_recipe(run, overrides, registry=registry))


def open_run(path: Path | None) -> RunFolder:
    """Open the run that was named, else the latest.

    Raises:
        UsageError: there is none.
    """
    from zoo.runs.layout import RunFolder

    return RunFolder.open(path) if path else RunFolder.latest()


def _warned(loaded: LoadedRecipe) -> LoadedRecipe:
    from zoo.cli.output import say, warn

    for note in loaded.notes:
        say(f"note: {note}")
    for problem in loaded.warnings:
        warn(str(problem))
    return loaded
