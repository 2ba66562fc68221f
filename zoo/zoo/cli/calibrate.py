"""``zoo calibrate``: a threshold from one's own pictures."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.image_options import model_option, revision_option, speed_options
from zoo.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.calibration.price import Price
    from zoo.calibration.result import Calibration, Rate
    from zoo_core.errors import ZooError


@click.command("calibrate")
@model_option
@click.option(
    "--data", required=True, metavar="DIR", type=click.Path(path_type=Path),
    help="Pictures of strangers, or without --gallery one folder of pictures a class.",
)  # fmt: skip
@click.option("--gallery", metavar="DIR", type=click.Path(path_type=Path), help="References, as of 'zoo predict'.")
@click.option("--fpir", type=float, default=0.01, show_default=True, help="Rate of accepted strangers to promise.")
@click.option(
    "--confidence", type=float, default=0.95, show_default=True, help="Share of calibrations that keep the promise."
)
@click.option(
    "-o", "--output", metavar="FILE.json", type=click.Path(path_type=Path, dir_okay=False),
    help="Write a file for 'zoo predict --threshold'.",
)  # fmt: skip
@json_option
@speed_options
@revision_option
def command(
    model: str,
    data: Path,
    gallery: Path | None,
    fpir: float,
    confidence: float,
    output: Path | None,
    workers: int | None,
    batch_size: int,
    providers: tuple[str, ...],
    threads: int | None,
    revision: str | None,
    *,
    as_json: bool,
) -> None:
    """Find the threshold from which on a match is one, by pictures of strangers: things that are in no gallery.

    A picture in a folder is of the class named like the folder. Pictures of one class count as one stranger. Without
    --gallery each class is a stranger to the others, and all pictures are references of their class.
    """
    from zoo.api.loading import load
    from zoo.calibration.run import Promise, calibrate
    from zoo.cli.image_options import tracked
    from zoo.cli.output import print_json, say, warn
    from zoo.inference.gallery import find_references
    from zoo.models.model import Speed

    promise = Promise(fpir, confidence)
    pictures = find_references(data)
    references = None if gallery is None else find_references(gallery)

    def unreadable(error: ZooError) -> None:
        warn(f"left out: {error}")

    def shown(items: Iterable[Any]) -> Iterable[Any]:
        return tracked(items, "pictures", shown=False)

    opened = load(model, providers=providers or None, threads=threads, revision=revision)
    speed = Speed(batch_size, workers)
    found = calibrate(opened, pictures, references, promise, speed=speed, unreadable=unreadable, advance=shown)
    if output:
        found.write(output)
    if as_json:
        print_json({**found.document, "written": [str(output)] if output else []})
        return
    _print(found, promise)
    nearest = ", ".join(f"{path} {score:.4f}" for path, score in found.closest)
    say(f"closest strangers, to be looked at: {nearest}")
    if output:
        say(f"written: {output}")
    threshold = shlex.quote(str(output)) if output else f"{found.threshold:.6f}"
    folder = shlex.quote(str(gallery or data))
    say(f"next: zoo predict --model {shlex.quote(model)} --gallery {folder} --threshold {threshold} IMAGES")


def _print(found: Calibration, promise: Any) -> None:  # noqa: ANN401 - imported on use
    from zoo.cli.output import print_columns

    gallery = found.document["gallery"]
    sure = f"{promise.confidence:g}"
    rows = [
        ["threshold", f"{found.threshold:.6f}"],
        ["promise", f"FPIR at most {promise.fpir:g} in {sure} of calibrations"],
        ["FPIR", _rate(found.fpir, f"at most {found.fpir.high:.3g} and at least {found.fpir.low:.3g}, each", sure)],
    ]
    if found.tpir:
        rows.append(["TPIR", _rate(found.tpir, f"{found.tpir.low:.4f} to {found.tpir.high:.4f}", sure)])
    if found.price:
        rows.append(["price", _price(found.price, found.fpir.classes)])
    sizes = ", ".join(f"{rate:.2g} with {size:,}" for size, rate in found.expected_fpir.items())
    rows += [
        ["gallery", f"{gallery['classes']:,} classes, {gallery['references']:,} references"],
        ["expected FPIR", f"{sizes} classes in the gallery"],
    ]
    print_columns(rows)


def _rate(rate: Rate, bounds: str, sure: str) -> str:
    return f"{rate.measured:.4g} of {rate.classes:,} classes, {rate.pictures:,} pictures; {bounds} at {sure}"


def _price(price: Price, classes: int) -> str:
    shown = f"TPIR {price.tpir_behind:.4f} behind the best guess without a promise"
    if price.classes_for_little <= classes:
        return shown
    return f"{shown}; about {_two_digits(price.classes_for_little):,} classes of strangers bring it to {price.little:g}"


def _two_digits(number: int) -> int:
    return round(number, 2 - len(str(number)))
