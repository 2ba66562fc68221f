"""``zoo recipes``: what can be trained by name."""

from __future__ import annotations

import click

from zoo.cli.options import json_option


@click.command("recipes")
@json_option
def command(as_json: bool) -> None:
    """List the recipes of ./configs and those that ship, each with the first comment of its file."""
    from zoo.cli.output import print_columns, print_json
    from zoo.recipes.loading import about_recipe, find_recipe, recipe_names

    found = [(name, find_recipe(name)) for name in recipe_names()]
    if as_json:
        print_json({"recipes": [{"name": n, "path": str(path), "about": about_recipe(path)} for n, path in found]})
        return
    print_columns([["RECIPE", "ABOUT"], *([name, about_recipe(path)] for name, path in found)])
