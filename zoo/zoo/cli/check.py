"""``zoo check``: one real batch through a recipe, from the data to the export."""

from __future__ import annotations

import click

from zoo.cli.options import cfg_option, json_option, load, recipe_argument, strict_option


@click.command(epilog="KEY=VALUE changes the recipe: model.head.name=acme/pool data.image_size='[64, 64]'")
@cfg_option
@strict_option
@json_option
@recipe_argument
def command(cfg: str | None, strict: bool, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Run one small batch of real samples through a recipe: every component must keep what it promises.

    Samples are read and augmented, go forward and backward through copies of backbone, head and loss, and the export
    wrapper is exported. 'zoo train' does the same before it begins; 'zoo config check' builds nothing.
    """
    from zoo.api.loading import fetch_whole
    from zoo.cli.output import open_registry, print_columns, print_json, say, warn
    from zoo.onnx_export.rehearsal import rehearse_export
    from zoo.training.plan import plan_training

    registry = open_registry()
    loaded = load(cfg, overrides, registry=registry)
    plan = plan_training(loaded, registry, strict=strict, fetch=fetch_whole)
    wrapper = rehearse_export(plan.model, loaded, registry)
    checked = plan.first_batch
    warnings = [*plan.report.lines, *checked.warnings]
    components = {**checked.components, "onnx": wrapper}
    if as_json:
        facts = {"images": checked.images, "loss": checked.loss, "warnings": warnings}
        print_json({"name": loaded.name, "components": components, **facts})
        return
    for line in warnings:
        warn(line)
    print_columns(list(components.items()))
    say(f"{checked.images} images went through all of it and back; loss before training: {checked.loss:.3g}")
    say(f"next: zoo train --cfg {loaded.name}")
