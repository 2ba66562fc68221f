"""``zoo new``: a plugin or a recipe to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from zoo.cli.completion import complete_recipes
from zoo_core.components import KINDS


@click.group("new", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Begin a plugin or a recipe from files that work."""


@command.command("plugin")
@click.argument("name")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(KINDS), metavar="KIND", help="One example of it; several times."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Instead of ./plugzoo-NAME.")
def plugin(name: str, kinds: tuple[str, ...], output: Path | None) -> None:
    """Write a pip package with an example of each --kind, by default a backbone and a head.

    It installs, lints, type-checks and passes its tests as written: change it from there.
    """
    from zoo.cli.output import say
    from zoo.scaffold.plugin import write_plugin

    folder = output or Path(f"plugzoo-{name.replace('_', '-')}")
    for path in write_plugin(folder, name, kinds or ("backbone", "head")):  # type: ignore[arg-type] # click has checked
        click.echo(path)
    say(f"next: pip install -e {shlex.quote(f'./{folder}' if not folder.is_absolute() else str(folder))}'[test]'")


@command.command("recipe")
@click.argument("name")
@click.option(
    "--from", "base", default="lcnet050_cosface_96", metavar="RECIPE", show_default=True,
    shell_complete=complete_recipes, help="What it begins as.",
)  # fmt: skip
def recipe(name: str, base: str) -> None:
    """Write NAME.yaml, which extends another recipe and shows its values as comments."""
    from zoo.cli.output import say
    from zoo.scaffold.recipe import write_recipe

    target = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    click.echo(write_recipe(target, base))
    say(f"next: edit {target}, then: zoo check {shlex.quote(str(target))}")
