"""``zoo show``: one component, its options and where it comes from."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.completion import complete_components, complete_kinds
from zoo.cli.options import json_option
from zoo_core.components import KINDS, WIRED

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

    from zoo_core.components import Kind
    from zoo_core.registry import Component, Registry

WIRED_BY_ZOO = "(passed by zoo)"


@click.command("show")
@click.argument("name", shell_complete=complete_components)
@click.option("--kind", shell_complete=complete_kinds, metavar="KIND", help="Where several kinds have the name.")
@json_option
def command(name: str, kind: str | None, *, as_json: bool) -> None:
    """Show the component NAME: its plugin, its licence, its options, its source."""
    from zoo.cli.list import described, find_kind, no_match
    from zoo.cli.output import open_registry, print_columns, print_json, warn
    from zoo_core.errors import ComponentError

    wanted = find_kind(kind)
    if kind and wanted is None:
        raise no_match(f"no kind {kind!r}", kind, KINDS)
    registry = open_registry()
    component = find(registry, name, wanted)
    facts: dict[str, Any] = described(component)
    try:
        factory = registry.load(component)
        facts |= {"source": source_of(factory), "options": options_of(component, factory)}
    except ComponentError as error:
        # The manifest is still worth showing where torch is not installed.
        warn(str(error))
        facts |= {"source": None, "options": None}
    if as_json:
        print_json({"component": facts})
        return
    shown = {
        "kind": facts["kind"],
        "name": facts["name"],
        "summary": facts["summary"],
        "licence": facts["license"],
        "tags": ", ".join(facts["tags"]),
        "plugin": f"{component.plugin} ({component.provenance})",
        "source": facts["source"],
    }
    print_columns([[label, value] for label, value in shown.items() if value])
    options = facts["options"] or []
    rows = [[one["name"], one["default"], one["type"]] for one in options if one["default"] != WIRED_BY_ZOO]
    if rows:
        click.echo()
        print_columns([["OPTION", "DEFAULT", "TYPE"], *rows])
        if component.kind == "export_wrapper":
            click.echo("\nset in a recipe under onnx.wrapper_options; onnx.options are those of torch.onnx.export")
    wired = [one["name"] for one in options if one["default"] == WIRED_BY_ZOO]
    if wired:
        click.echo(f"\npassed by zoo, not by a recipe: {', '.join(wired)}")


def find(registry: Registry, name: str, kind: Kind | None) -> Component:
    """Return the component called ``name``, whatever its kind; looks into families only where no other has the name.

    Raises:
        ComponentError: there is none, or there are several.
    """
    from zoo.cli.list import no_match
    from zoo_core.errors import ComponentError

    plugin, slash, _ = name.partition("/")
    if slash:
        registry.require_plugin(plugin, repr(name))
    everything = registry.components(kind)
    found = [component for component in everything if name in {component.name, component.qualified_name}]
    if len(found) > 1:
        msg = f"{name!r} is ambiguous: {', '.join(f'{one.kind} {one.qualified_name}' for one in found)}"
        raise ComponentError(msg, hint="add the plugin or --kind")
    if found:
        return found[0]
    if kind:
        return registry.find(kind, name)
    refused: ComponentError | None = None
    for family in everything:
        if family.is_family and (not slash or family.plugin == plugin):
            try:
                return registry.find(family.kind, name)
            except ComponentError as error:
                refused = refused or error
    if slash and refused:
        raise refused
    known = [known for component in everything for known in (component.qualified_name, component.name)]
    raise no_match(f"there is no component {name!r}", name, known)


def source_of(factory: Callable[..., Any]) -> str | None:
    """Return file and line of a factory, where it has any."""
    while isinstance(factory, partial):
        factory = factory.func
    try:
        return f"{inspect.getsourcefile(factory)}:{inspect.getsourcelines(factory)[1]}"
    except (OSError, TypeError):
        return None


def options_of(component: Component, factory: Callable[..., Any]) -> list[dict[str, str]]:
    """Return name, type and default of each option, and of what zoo passes itself.

    Raises:
        ComponentError: the plugin breaks the contract.
    """
    from zoo.cli.option_types import default_text, fields_of
    from zoo_core.signatures import accepted, option_schema

    parameters = accepted(component, factory)
    wired = [name for name in WIRED[component.kind] if name in parameters]
    options = [
        {"name": name, "type": type_of(parameters.get(name), field), "default": default_text(field)}
        for name, field in fields_of(option_schema(component, factory, wired))
    ]
    return options + [{"name": name, "type": written_type(parameters[name]), "default": WIRED_BY_ZOO} for name in wired]


def type_of(parameter: inspect.Parameter | None, field: FieldInfo) -> str:
    """Return an option's type with its bounds; as the author wrote it where it could not be resolved."""
    from zoo.cli.option_types import field_text

    return written_type(parameter) if field.annotation is Any and parameter is not None else field_text(field)


def written_type(parameter: inspect.Parameter) -> str:
    """Return a type as the author wrote it."""
    if parameter.annotation is parameter.empty:
        return "Any"
    written = parameter.annotation
    return written if isinstance(written, str) else inspect.formatannotation(written)
