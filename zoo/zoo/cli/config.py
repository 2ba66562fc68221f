"""``zoo config``: recipes shown, checked, and described for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import cfg_option, json_option, load, recipe_argument, required, split_recipe

if TYPE_CHECKING:
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.config import KeyPath
    from zoo_core.errors import Problem, ZooError
    from zoo_core.registry import Registry

DEFAULT = "default"


@click.group("config", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show and check recipes, or write their JSON Schema.

    \b
    From weak to strong: defaults, bases (extends), the recipe's file,
    the environment (ZOO_RECIPE__data__loader__batch_size=64), KEY=VALUE.
    """  # noqa: D301 - click's mark, not a backslash


@command.command("show")
@cfg_option
@click.option("--origin", is_flag=True, help="Say where each value was written.")
@json_option
@recipe_argument
def show(cfg: str | None, origin: bool, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Print a recipe with all its bases, references and overrides resolved."""
    from zoo.cli.output import print_columns, print_json
    from zoo_core.config import dotted, dump, leaves

    loaded = load(cfg, overrides)
    values = {dotted(path): (value, _origin(loaded, path)) for path, value in leaves(loaded.recipe.model_dump())}
    if as_json:
        origins = {"origins": {key: written for key, (_, written) in values.items()}} if origin else {}
        print_json({"name": loaded.name, "recipe": loaded.recipe.model_dump(mode="json"), **origins})
    elif origin:
        print_columns([(key, in_line(value), written) for key, (value, written) in values.items()])
    else:
        click.echo(dump(loaded.recipe), nl=False)


@command.command("check")
@cfg_option
@click.option("--all", "check_all", is_flag=True, help="Check all recipes that are found by name.")
@click.option("--strict", is_flag=True, help="Make warnings errors.")
@json_option
@recipe_argument
def check(cfg: str | None, check_all: bool, strict: bool, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Check recipes against what is installed, without building anything; tell all problems at once."""
    from zoo.cli.output import open_registry, print_json
    from zoo.recipes.loading import recipe_names
    from zoo_core.errors import UsageError

    cfg, overrides = split_recipe(cfg, overrides)
    if check_all and cfg:
        raise UsageError("a recipe and --all exclude each other")
    names = recipe_names() if check_all else [required(cfg)]
    registry = open_registry()
    reports = []
    failures: list[ZooError] = []
    for name in names:
        report, error = _checked(name, overrides, registry, strict=strict)
        reports.append(report)
        if error:
            failures.append(error)
        if not as_json:
            click.echo(f"{name}: {_verdict(error)}")
    if as_json:
        print_json({"recipes": reports})
    if failures:
        raise _together(failures)


@command.command("schema")
@click.option("--json", "as_json", is_flag=True, help="Add zoo's own schema number, as all commands do.")
def schema(as_json: bool) -> None:
    """Print the JSON Schema of recipes, with the names of the installed components, for an editor.

    \b
    zoo config schema > recipe.schema.json
    Then let a recipe start with: # yaml-language-server: $schema=recipe.schema.json
    """  # noqa: D301 - click's mark, not a backslash
    import json

    from zoo.cli.output import open_registry, print_json
    from zoo.recipes.json_schema import json_schema

    document = json_schema(open_registry())
    if as_json:
        print_json(document)
    else:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _checked(
    name: str, overrides: tuple[str, ...], registry: Registry, *, strict: bool
) -> tuple[dict[str, Any], ZooError | None]:
    from zoo.cli.output import warn
    from zoo.recipes.loading import load_recipe
    from zoo_core.errors import ComponentError, RecipeError

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    failure: ZooError | None = None
    try:
        warnings = load_recipe(name, overrides, registry=registry).warnings
    except (RecipeError, ComponentError) as error:
        failure, problems = error, error.problems
    if strict and warnings:
        failure, problems, warnings = RecipeError(warnings), warnings, ()
    for warning in warnings:
        warn(str(warning))
    report = {
        "name": name,
        "ok": failure is None,
        "problems": list(map(_plain, problems)),
        "warnings": list(map(_plain, warnings)),
    }
    return report, failure


def _plain(problem: Problem) -> dict[str, str | int | None]:
    location = problem.location
    return {
        "file": location.file if location else None,
        "line": location.line if location else None,
        "column": location.column if location else None,
        "key": location.key if location else None,
        "message": problem.message,
        "hint": problem.hint,
    }


def _verdict(error: ZooError | None) -> str:
    if error is None:
        return "ok"
    count = len(error.problems)
    return f"{count} problem{'' if count == 1 else 's'}"


def _together(failures: list[ZooError]) -> ZooError:
    """Make one error of all: a wrong recipe weighs more than a missing component."""
    from zoo_core.errors import ComponentError

    worst = next((error for error in failures if not isinstance(error, ComponentError)), failures[0])
    # Recipes share bases, and so their problems.
    return worst.with_problems(dict.fromkeys(problem for error in failures for problem in error.problems))


def in_line(value: object) -> str:
    """Return a value as text of one line."""
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _origin(loaded: LoadedRecipe, path: KeyPath) -> str:
    """Say where a value was written; an item of a list may have come from elsewhere."""
    marks = loaded.document.marks
    if path not in marks:
        return DEFAULT
    own = marks[path]
    items = [mark for below, mark in marks.items() if below[: len(path)] == path and mark.file != own.file]
    locations = [
        _short(mark.file) if mark.line is None else f"{_short(mark.file)}:{mark.line}" for mark in (own, *items)
    ]
    return ", ".join(dict.fromkeys(locations))


def _short(file: str) -> str:
    """Name a shipped file as ``zoo:base/embedding.yaml``: its folder is the same in every line."""
    from pathlib import Path

    from zoo.recipes.loading import shipped

    path = Path(file).absolute()
    return f"zoo:{path.relative_to(shipped()).as_posix()}" if path.is_relative_to(shipped()) else file
