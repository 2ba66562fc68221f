"""``zoo list``: what the installed plugins provide, answered from their manifests."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.completion import complete_components, complete_kinds_or_components
from zoo.cli.options import json_option
from zoo_core.components import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo_core.components import Kind
    from zoo_core.registry import Component, Registry


@click.command("list")
@click.argument("kind", required=False, shell_complete=complete_kinds_or_components)
@click.argument("glob", required=False, shell_complete=complete_components)
@json_option
def command(kind: str | None, glob: str | None, *, as_json: bool) -> None:
    """List components: all, those of a KIND, those whose name matches GLOB.

    A family such as all timm models is one line, unless GLOB asks for it:

    \b
    zoo list heads
    zoo list backbone 'timm/lcnet*'
    """  # noqa: D301 - click's mark, not a backslash
    from zoo.cli.output import open_registry, print_columns, print_json

    wanted = find_kind(kind)
    if kind and wanted is None:
        if glob:
            raise no_match(f"no kind {kind!r}", kind, KINDS)
        glob = kind
    registry = open_registry()
    components = registry.components(wanted) if glob is None else matching(registry, wanted, glob)
    if glob and not components:
        known = [name for one in registry.components(wanted) for name in (one.name, one.qualified_name)]
        raise no_match(f"no component matches {glob!r}", glob, known if wanted else [*KINDS, *known])
    if as_json:
        print_json({"components": [described(component) for component in components]})
    else:
        rows = [[component.kind, component.qualified_name, component.spec.summary] for component in components]
        print_columns([["KIND", "NAME", "SUMMARY"], *rows])


def find_kind(text: str | None) -> Kind | None:
    """Return the kind that ``text`` names, in the singular or the plural."""
    name = (text or "").lower().replace("-", "_")
    return next((kind for kind in KINDS if name in {kind, f"{kind}s", f"{kind}es"}), None)


def no_match(message: str, name: str, known: Iterable[str]) -> Exception:
    """Return the error for a name that nothing has."""
    from zoo_core.config.suggestions import did_you_mean
    from zoo_core.errors import ComponentError

    return ComponentError(message, hint=did_you_mean(name, known))


def matching(registry: Registry, kind: Kind | None, glob: str) -> list[Component]:
    """Return the components whose name, with its plugin or without, matches; looks into families that may have some."""
    from zoo.cli.output import warn
    from zoo_core.errors import ComponentError

    plugin_glob, slash, _ = glob.partition("/")
    found: list[Component] = []
    for component in registry.components(kind):
        if not component.is_family:
            found.append(component)
        elif not slash or fnmatchcase(component.plugin, plugin_glob):
            try:
                found += registry.members(component)
            except ComponentError as error:
                if slash:
                    raise
                # The glob does not ask for this family by name, and others may match.
                warn(str(error))
    return [one for one in found if fnmatchcase(one.qualified_name, glob) or fnmatchcase(one.name, glob)]


def described(component: Component) -> dict[str, Any]:
    """Return what a manifest says of a component, for JSON."""
    return {
        "kind": component.kind,
        "name": component.qualified_name,
        "family": component.is_family,
        "summary": component.spec.summary,
        "license": component.spec.license,
        "tags": list(component.spec.tags),
        "plugin": component.plugin,
        "distribution": component.provenance.distribution,
        "version": component.provenance.version,
    }
