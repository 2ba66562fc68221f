"""``zoo data``: a recipe's data, looked at before anything is trained on it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from zoo.cli.options import cfg_option, json_option, load, recipe_argument, strict_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zoo.inspection.check import Report
    from zoo.recipes.loading import LoadedRecipe
    from zoo_core.registry import Registry

_PICTURE = click.Path(path_type=Path, dir_okay=False)


@click.group("data", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look at a recipe's data, and check it, before training."""


@command.command("preview")
@cfg_option
@click.option("--part", type=click.Choice(["train", "valid"]), default="train", help="Which data; else train.")
@click.option("--augmented/--plain", default=True, help="With captures, as the network sees them, or without.")
@click.option("--classes", type=click.IntRange(min=1), default=12, show_default=True, help="How many classes.")
@click.option("-o", "--output", type=_PICTURE, metavar="FILE", help="Picture to write; else RECIPE-PART.png.")
@recipe_argument
def preview(
    cfg: str | None,
    part: Literal["train", "valid"],
    augmented: bool,
    classes: int,
    output: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Write a contact sheet: a row for each class, with its name, captures, and the class that looks most like it."""
    from zoo.cli.output import say

    loaded, registry = _load(cfg, overrides)
    path = output or Path(f"{loaded.name}-{part}.png")
    _check_suffix(path)

    from zoo.inspection.preview import preview as draw
    from zoo.inspection.preview import save

    drawn = draw(loaded, registry, side=part, augmented=augmented, rows=classes)
    how = "replaced" if save(drawn.sheet, path) else "written"
    click.echo(path)
    say(f"{how}: {path} ({drawn.shown} of {drawn.classes:,} classes)")
    say(f"next: look at it, then zoo data check {_typed(cfg, overrides)}")


@command.command("check")
@cfg_option
@click.option("--picture", type=_PICTURE, metavar="FILE", help="Draw the duplicates that were found.")
@strict_option
@json_option
@recipe_argument
def check(cfg: str | None, picture: Path | None, strict: bool, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Read all data once: counts, sizes, balance, duplicates, leaks from training into validation.

    Exits with 1 if anything cannot be read or leaks, or if more than data.unreadable_share of a data set is left out.
    """
    from zoo.cli.output import print_json, say, warn

    loaded, registry = _load(cfg, overrides)
    if picture:
        _check_suffix(picture)

    from zoo.inspection.check import check as read

    report = read(loaded, registry, advance=_progress)
    document = report.document
    if as_json:
        print_json(document)
    else:
        _print(document)
    if picture:
        _draw(report, picture)
    lines = [line for one in report.left_out for line in one.lines]
    for line in [*lines, *([str(report.leak)] if report.leak else [])]:
        warn(line)
    if not document["ok"] or (strict and (lines or loaded.warnings)):
        raise click.exceptions.Exit(1)
    say(f"next: zoo train {_typed(cfg, overrides)}")


def _load(cfg: str | None, overrides: tuple[str, ...]) -> tuple[LoadedRecipe, Registry]:
    from zoo.cli.output import open_registry

    # Only what is built here is checked: the model and the trainer take seconds to import, and their faults no harm.
    return load(cfg, overrides), open_registry()


def _typed(cfg: str | None, words: tuple[str, ...]) -> str:
    """Return recipe and overrides as they are typed in a shell."""
    return shlex.join([*([cfg] if cfg else []), *words])


def _check_suffix(path: Path) -> None:
    from zoo_core.errors import UsageError

    if path.suffix.lower() not in {".png", ".jpg", ".jpeg", ".webp"}:
        msg = f"{path}: a picture is written as .png, .jpg or .webp"
        raise UsageError(msg)


def _print(document: dict[str, Any]) -> None:
    """Print a report as a person reads it."""
    from zoo.cli.output import print_columns, print_line

    for part in document["parts"]:
        click.echo(f"{part['part']}: {part['name']}")
        rows = [["samples", f"{part['samples']:,}"], ["classes", f"{part['classes']:,}"]]
        if part["empty_classes"]:
            names = ", ".join(part["empty_classes_listed"][:3])
            rows[-1][1] += f", {part['empty_classes']:,} of them without a sample: {names}"
        for name, label in (("samples_per_class", "a class"), ("width", "width"), ("height", "height")):
            spread = part[name]
            rows.append([label, f"{spread['min']:,} .. {spread['median']:,g} .. {spread['max']:,}"])
        rows.append(["repeated", f"{part['repeated_samples']:,} samples are another one to the bit"])
        rows.append(["unreadable", f"{sum(one['samples'] for one in part['unreadable']):,} samples"])
        print_columns([["", *row] for row in rows])
        for one in part["unreadable"]:
            print_line(f"    {one['source']}: {one['reason']}")
    duplicates = document["duplicates"]
    click.echo(
        f"{duplicates['pairs']:,} pairs of classes look the same ({duplicates['compared']:,} samples compared), "
        f"{duplicates['leaks']:,} of them between training and validation"
    )
    for pair in duplicates["listed"]:
        first, second = (
            f"{one['part']} {one['class']} (sample {one['index']})" for one in pair.values() if "part" in one
        )
        print_line(f"  {pair['kind']:<5}  {first}  =  {second}")


def _draw(report: Report, path: Path) -> None:
    from zoo.cli.output import say
    from zoo.inspection.duplicate_sheet import draw

    sheet = draw(report)
    if sheet is None:
        say("no duplicates: no picture")
        return
    sheet.save(path)
    say(f"written: {path}")


def _progress(batches: Iterable[list[Any]], name: str, total: int | None) -> Iterator[list[Any]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("reading {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(name, total=total)
        for batch in batches:
            progress.advance(task, len(batch))
            yield batch
