"""``zoo completion``: the shell's script, and what it may complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script that makes SHELL complete commands, recipes and components.

    \b
    bash: eval "$(zoo completion bash)" in ~/.bashrc
    zsh:  eval "$(zoo completion zsh)" in ~/.zshrc
    fish: zoo completion fish > ~/.config/fish/completions/zoo.fish
    """  # noqa: D301 - click's mark, not a backslash
    from click.shell_completion import get_completion_class

    from zoo.cli.main import cli

    script = get_completion_class(shell)
    if script is None:  # pragma: no cover: click knows all of SHELLS
        msg = f"click completes no {shell}"
        raise click.UsageError(msg)
    click.echo(script(cli, {}, "zoo", "_ZOO_COMPLETE").source())


def complete_recipes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a recipe, or the path of one."""
    from click.shell_completion import CompletionItem

    from zoo.recipes.loading import recipe_names

    names = [CompletionItem(name) for name in recipe_names() if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def complete_runs(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the tag of a run, or its folder."""
    from click.shell_completion import CompletionItem

    from zoo.runs.catalog import all_runs, tags

    runs = all_runs()
    names = [*(tag for run in runs for tag in tags(run)), *(str(run.path) for run in runs)]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_overrides(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``KEY=VALUE``: keys of the recipe that ``--cfg`` names, and after ``name=`` components."""
    from click.shell_completion import CompletionItem

    from zoo.recipes.loading import recipe_keys
    from zoo_core.errors import ZooError

    key, equals, text = incomplete.partition("=")
    try:
        if equals:
            return [CompletionItem(f"{key}={name}") for name in _component_names(key) if name.startswith(text)]
        keys = recipe_keys(ctx.params.get("cfg"))
    except ZooError:
        return []
    return [CompletionItem(f"{one}=") for one in map(".".join, keys) if one.startswith(key)]


def complete_recipe_words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a recipe where none is named yet, and ``KEY=VALUE``."""
    words = [word for word in ctx.params.get("overrides") or () if "=" not in word]
    if words:
        ctx.params["cfg"] = ctx.params.get("cfg") or words[0]
    recipes = [] if ctx.params.get("cfg") or "=" in incomplete else complete_recipes(ctx, param, incomplete)
    overrides = complete_overrides(ctx, param, incomplete)
    return [*(item for item in recipes if item.type != "file"), *overrides] or recipes


def _component_names(key: str) -> list[str]:
    from zoo.recipes.schema import component_paths
    from zoo_core.discovery import discover

    path = tuple(key.split("."))
    kind = component_paths().get(path[:-1]) if path[-1] == "name" else None
    return [one.qualified_name for one in discover().components(kind) if not one.is_family] if kind else []


def complete_components(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a component, with its plugin or without; the members of a family would take too long."""
    from click.shell_completion import CompletionItem

    from zoo_core.discovery import discover
    from zoo_core.errors import ZooError

    try:
        components = discover().components()
    except ZooError:
        # An error would be printed into the line that is being typed.
        return []
    return [
        CompletionItem(name, help=component.spec.summary)
        for component in components
        if not component.is_family
        for name in (component.qualified_name, component.name)
        if name.startswith(incomplete)
    ]


def complete_kinds(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the kind of a component."""
    from click.shell_completion import CompletionItem

    from zoo_core.components import KINDS

    return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


def complete_kinds_or_components(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete what may come first behind ``zoo list``."""
    return complete_kinds(ctx, param, incomplete) + complete_components(ctx, param, incomplete)
