"""``zoo plugins``: the installed plugins, those that failed too."""

from __future__ import annotations

import click

from zoo.cli.options import json_option


@click.command("plugins")
@json_option
def command(*, as_json: bool) -> None:
    """List the installed plugins; one that failed is listed with its reason."""
    from zoo.cli.output import print_columns, print_json
    from zoo_core.discovery import discover, reserved_package

    # Without `open_registry`: the table names the failures, and once is enough.
    registry = discover()
    if as_json:
        plugins = [
            {"id": plugin.id, **vars(plugin.provenance), "components": len(plugin.components)}
            for plugin in registry.plugins
        ]
        failures = [
            {"id": failure.id, **vars(failure.provenance), "reason": failure.reason} for failure in registry.failures
        ]
        print_json({"plugins": plugins, "failures": failures, "disabled": dict(registry.disabled)})
        return
    rows = [["PLUGIN", "DISTRIBUTION", "VERSION", "API", "COMPONENTS", "NOTE"]]
    for plugin in registry.plugins:
        source = plugin.provenance
        counted = str(len(plugin.components))
        renamed = reserved_package(source)
        note = f"names of zoo_* are reserved: rename {renamed[0]} to {renamed[1]}" if renamed else ""
        rows.append([plugin.id, source.distribution, source.version, str(source.api_version), counted, note])
    for failure in registry.failures:
        source = failure.provenance
        rows.append([failure.id, source.distribution, source.version, "-", "-", f"failed: {failure.reason}"])
    rows += ([name, "-", "-", "-", "-", f"left out by {variable}"] for name, variable in registry.disabled.items())
    print_columns(rows)
