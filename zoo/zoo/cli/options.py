"""The options and arguments that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.completion import complete_overrides, complete_recipe_words, complete_recipes, complete_runs

if TYPE_CHECKING:
    from zoo.recipes.loading import LoadedRecipe
    from zoo.runs.layout import RunFolder
    from zoo_core.registry import Registry

cfg_option = click.option(
    "--cfg", metavar="RECIPE", shell_complete=complete_recipes, help="Recipe by name, or path to one."
)
run_option = click.option(
    "--run", "run_name", metavar="RUN", shell_complete=complete_runs, help="A run by folder or tag; else the latest."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
strict_option = click.option(
    "--strict", is_flag=True, help="Make warnings errors: what is left out, leaked, dropped or replaced."
)
versions_option = click.option(
    "--strict", is_flag=True, help="Refuse plugins of other versions than the run was trained with."
)
overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=complete_overrides)
# A word without `=` is the recipe, as with --cfg.
recipe_argument = click.argument(
    "overrides", nargs=-1, metavar="[RECIPE] [KEY=VALUE]...", shell_complete=complete_recipe_words
)


def split_recipe(cfg: str | None, words: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Return the recipe, named by ``--cfg`` or by the one word without ``=``, and the overrides.

    Raises:
        UsageError: two recipes are named.
    """
    from zoo_core.errors import UsageError

    names = [] if cfg else [word for word in words if "=" not in word]
    if len(names) > 1:
        raise UsageError(f"one recipe at a time, not {' and '.join(names)}", hint="changes to it read KEY=VALUE")
    # Beside --cfg a word without `=` is an override that is written wrong, and is reported with the recipe's faults.
    return (names[0], tuple(word for word in words if "=" in word)) if names else (cfg, words)


def required(cfg: str | None) -> str:
    """Return the recipe that was named.

    Raises:
        UsageError: none was.
    """
    from zoo_core.errors import UsageError

    if not cfg:
        raise UsageError("which recipe?", hint="name one of those that 'zoo recipes' lists")
    return cfg


def load(cfg: str | None, words: tuple[str, ...], *, registry: Registry | None = None) -> LoadedRecipe:
    """Load the recipe that was named, and print its warnings; with ``registry`` check it, too.

    Raises:
        UsageError: none or several were named, or there is none of that name.
        RecipeError: it is wrong.
    """
    from zoo.recipes.loading import load_recipe

    cfg, overrides = split_recipe(cfg, words)
    return _warned(load_recipe(required(cfg), overrides, registry=registry))


def load_of_run(
    run: RunFolder,
    overrides: tuple[str, ...],
    *,
    registry: Registry | None = None,
    installed: Registry | None = None,
    strict: bool = False,
) -> LoadedRecipe:
    """Load the recipe of a run, and print its warnings; see ``load_run_recipe``.

    Raises:
        RecipeError: it is wrong.
        ComponentError: a plugin is not installed, or, with ``strict``, of another version.
    """
    from zoo.recipes.loading import load_run_recipe

    return _warned(load_run_recipe(run, overrides, registry=registry, installed=installed, strict=strict))


def open_run(name: str | None) -> RunFolder:
    """Open the run that was named, else the latest.

    Raises:
        UsageError: there is none.
    """
    from zoo.runs import catalog

    return catalog.open_run(name or None)


def open_run_where_started(name: str | None) -> RunFolder:
    """Open the run that was named, else the latest, and change to the folder that its relative paths are relative to.

    Raises:
        UsageError: there is none, or its record is none.
    """
    from zoo.cli.output import say
    from zoo.runs.layout import RunFolder
    from zoo.runs.started import started_folder

    run = open_run(name)
    folder = started_folder(run)
    if folder is None or folder.samefile(Path.cwd()):
        return run
    run = RunFolder(run.path.absolute())
    say(f"paths in the recipe are relative to {folder}, where the run was started")
    os.chdir(folder)
    return run


def _warned(loaded: LoadedRecipe) -> LoadedRecipe:
    from zoo.cli.output import say, warn

    # Of a training on several devices, one process says it for all.
    if any(os.environ.get(rank, "0") != "0" for rank in ("LOCAL_RANK", "RANK")):
        return loaded
    for note in loaded.notes:
        say(f"note: {note}")
    for problem in loaded.warnings:
        warn(str(problem))
    return loaded
