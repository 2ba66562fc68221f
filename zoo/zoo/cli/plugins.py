"""``zoo plugins``: the installed plugins, those that failed too; ``zoo plugins check`` for their authors."""

from __future__ import annotations

import click

from zoo.cli.options import json_option


@click.group("plugins", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """List the installed plugins; one that failed is listed with its reason."""
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    from zoo.cli.output import print_columns, print_json
    from zoo_core.discovery import discover, reserved_package
    from zoo_core.manifest import hook_names

    # Without `open_registry`: the table names the failures, and once is enough.
    registry = discover()
    if as_json:
        plugins = [
            {
                "id": plugin.id,
                **vars(plugin.provenance),
                "components": len(plugin.components),
                "hooks": hook_names(plugin.manifest),
            }
            for plugin in registry.plugins
        ]
        failures = [
            {"id": failure.id, **vars(failure.provenance), "reason": failure.reason} for failure in registry.failures
        ]
        print_json({"plugins": plugins, "failures": failures, "disabled": dict(registry.disabled)})
        return
    rows = [["PLUGIN", "DISTRIBUTION", "VERSION", "API", "COMPONENTS", "HOOKS", "NOTE"]]
    for plugin in registry.plugins:
        source = plugin.provenance
        counted = str(len(plugin.components))
        renamed = reserved_package(source)
        note = f"names of zoo_* are reserved: rename {renamed[0]} to {renamed[1]}" if renamed else ""
        hooks = ",".join(name.removeprefix("zoo_") for name in hook_names(plugin.manifest) if name != "zoo_components")
        version = str(source.api_version)
        rows.append([plugin.id, source.distribution, source.version, version, counted, hooks or "-", note])
    for failure in registry.failures:
        source = failure.provenance
        rows.append([failure.id, source.distribution, source.version, "-", "-", "-", f"failed: {failure.reason}"])
    rows += ([name, "-", "-", "-", "-", "-", f"left out by {variable}"] for name, variable in registry.disabled.items())
    print_columns(rows)


@command.command("check")
@json_option
@click.argument("distribution", required=False, metavar="[DIST]")
def check(distribution: str | None, *, as_json: bool) -> None:
    """Check the plugins of a distribution, by default of all but zoo's own: what they import, load and take.

    Imports every component. An error, such as a factory that cannot be imported, exits with 4; what only annoys others,
    such as a manifest that imports torch, is a warning.
    """
    from zoo.cli.output import print_json
    from zoo.inspection.plugins import check_plugins
    from zoo_core.discovery import discover

    found = check_plugins(discover(), distribution)
    errors = sum(finding.level == "error" for findings in found.values() for finding in findings)
    if as_json:
        plugins = {name: [vars(finding) for finding in findings] for name, findings in found.items()}
        print_json({"plugins": plugins, "ok": not errors})
    else:
        for name, findings in found.items():
            click.echo(f"{name}: {'nothing to say' if not findings else ''}".rstrip())
            for finding in findings:
                click.echo(f"  {finding.level}: {finding}")
        if not found:
            click.echo("only zoo's own plugins are installed")
    if errors:
        raise click.exceptions.Exit(4)
