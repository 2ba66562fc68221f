"""``zoo predict``: name images by comparing them with a gallery."""

from __future__ import annotations

from contextlib import closing
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.image_options import (
    images_argument,
    model_option,
    null_option,
    precision_option,
    revision_option,
    speed_options,
)
from zoo.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.artifacts.thresholds import CalibratedThreshold, ModelThreshold
    from zoo.inference.gallery import Gallery
    from zoo.models.model import Model, Speed
    from zoo_core.errors import ZooError
    from zoo_core.image_files import Skipped


def finite(_context: click.Context, _parameter: click.Parameter, value: float | Path | None) -> float | Path | None:
    """Refuse ``nan`` and ``inf``, which click takes for numbers in any range."""
    if isinstance(value, float) and not isfinite(value):
        message = f"{value} is not a finite number"
        raise click.BadParameter(message)
    return value


class ScoreOrFile(click.FloatRange):
    """A threshold: a score, or the file of 'zoo calibrate' that holds one."""

    name = "score or file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's
        """Return a number as it is written, and any other text as a path."""
        try:
            float(value)
        except ValueError:
            return Path(value)
        return super().convert(value, param, ctx)


@click.command("predict")
@model_option
@precision_option
@click.option(
    "--gallery",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of references: one picture a class, or one folder of pictures a class.",
)
@click.option(
    "--threshold",
    type=ScoreOrFile(-1),
    callback=finite,
    metavar="X|FILE.json",
    help="Score from which on it is a match, or a file of 'zoo calibrate' [default: the model's].",
)
@click.option(
    "--fpr",
    type=click.FloatRange(0, 1),
    callback=finite,
    help="Take the threshold evaluated at this false positive rate.",
)
@click.option("--top-k", type=click.IntRange(1), default=1, help="Show so many of the closest classes. [default: 1]")
@click.option(
    "--orientations",
    type=click.Choice(["1", "4"]),
    default="1",
    help="4: try each image turned by 90, 180 and 270 degrees, too. [default: 1]",
)
@json_option
@click.option("--jsonl", "kind", flag_value="jsonl", help="Print a line of JSON for each image.")
@click.option("--csv", "kind", flag_value="csv", help="Print CSV.")
@speed_options
@null_option
@revision_option
@images_argument
def command(
    model: str,
    precision: str | None,
    folder: Path,
    threshold: float | Path | None,
    fpr: float | None,
    top_k: int,
    orientations: str,
    kind: str | None,
    workers: int | None,
    batch_size: int,
    providers: tuple[str, ...],
    threads: int | None,
    revision: str | None,
    images: tuple[str, ...],
    *,
    as_json: bool,
    null: bool,
) -> None:
    """Name IMAGES by their closest reference, or as "unknown" below the threshold.

    IMAGES are files, folders, quoted patterns such as 'scans/**/*.jpg', or - for their names on stdin, one per line.
    Rows are printed as they come, except with --json.
    """
    from zoo.api.loading import load
    from zoo.cli.image_options import find_images, tracked, warn_of
    from zoo.cli.output import report_problems
    from zoo.cli.prediction_rows import print_results
    from zoo.inference.gallery import find_references
    from zoo.inference.prediction import predict
    from zoo.models.model import Speed
    from zoo_core.errors import RunError

    if threshold is not None and fpr is not None:
        msg = "give --threshold or --fpr, not both"
        raise click.UsageError(msg)
    if as_json and kind:
        msg = f"give --json or --{kind}, not both"
        raise click.UsageError(msg)
    references = find_references(folder)
    opened = load(model, precision=precision, providers=providers or None, threads=threads, revision=revision)
    limit = _limit(opened, threshold, fpr)
    turned, speed = orientations == "4", Speed(batch_size, workers)
    lost: list[ZooError] = []
    gallery = build_gallery(references, opened, speed, lost, quiet=as_json)
    if not as_json:
        _explain(limit, threshold, gallery)
    left_out: list[Skipped] = []
    paths = find_images(images, null=null, left_out=left_out)
    results = predict(paths, opened, gallery, limit.value, top_k=top_k, orientations=4 if turned else 1, speed=speed)
    with closing(results):
        form = "json" if as_json else kind or "table"
        lost += print_results(tracked(results, "images", shown=not as_json), form, top_k=top_k, turned=turned)
    warn_of(left_out)
    if lost:
        if as_json:
            report_problems(RunError.code, [problem for error in lost for problem in error.problems], as_json=True)
        raise click.exceptions.Exit(1)


def _limit(model: Model, threshold: float | Path | None, fpr: float | None) -> ModelThreshold | CalibratedThreshold:
    from zoo.artifacts.thresholds import ModelThreshold, read_calibration
    from zoo.inference.threshold import known_threshold

    if isinstance(threshold, Path):
        return read_calibration(threshold, model.graph.path)
    return known_threshold(model.path, fpr) if threshold is None else ModelThreshold(threshold)


def _explain(limit: ModelThreshold | CalibratedThreshold, threshold: float | Path | None, gallery: Gallery) -> None:
    """Say what the threshold means for the gallery, where that is known."""
    from zoo.artifacts.thresholds import ModelThreshold
    from zoo.cli.output import say, warn

    classes = len(set(gallery.labels))
    if isinstance(limit, ModelThreshold):
        meaning = limit.describe(len(gallery.labels))
        if meaning:
            say(meaning)
    elif classes > limit.classes:
        warn(
            f"{threshold} is for {limit.classes:,} classes, and the gallery has {classes:,}: it accepts more strangers"
        )


def build_gallery(
    references: Sequence[tuple[str, Path]], model: Model, speed: Speed, lost: list[ZooError], *, quiet: bool
) -> Gallery:
    """Embed the references; what cannot be read is added to ``lost`` and, unless ``quiet``, reported."""
    from zoo.cli.image_options import tracked
    from zoo.cli.output import report_problems, say, warn
    from zoo.inference.gallery import Gallery

    def unreadable(error: ZooError) -> None:
        lost.append(error)
        if not quiet:
            report_problems(error.code, error.problems, as_json=False)

    known = Gallery.build(tracked(references, "gallery", len(references), shown=False), model, unreadable, speed=speed)
    missing = sorted({label for label, _ in references} - set(known.labels))
    if missing:
        warn(f"no reference of {', '.join(missing)} can be read: predictions cannot name it")
    if not quiet:
        say(f"gallery: {len(set(known.labels))} classes, {len(known.labels)} references")
    return known
