"""``zoo predict``: name images by comparing them with a gallery."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from zoo.cli.options import json_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zoo.inference.prediction import Prediction, Unreadable
    from zoo_core.errors import ZooError

Item = TypeVar("Item")
UNKNOWN = "unknown"


def finite(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse ``nan`` and ``inf``, which click takes for numbers in any range."""
    if value is not None and not isfinite(value):
        message = f"{value} is not a finite number"
        raise click.BadParameter(message)
    return value


@click.command("predict")
@click.option(
    "--model", required=True, metavar="DIR|ORG/NAME|FILE.onnx", help="A folder, a model on the Hub, or a file."
)
@click.option(
    "--gallery",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of references: one picture a class, or one folder of pictures a class.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(-1),
    callback=finite,
    help="Score from which on it is a match [default: the model's].",
)
@click.option(
    "--fpr",
    type=click.FloatRange(0, 1),
    callback=finite,
    help="Take the threshold evaluated at this false positive rate.",
)
@click.option("--revision", help="Branch, tag or commit of a model on the Hub.")
@json_option
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
def command(
    model: str,
    gallery: Path,
    threshold: float | None,
    fpr: float | None,
    revision: str | None,
    images: tuple[Path, ...],
    *,
    as_json: bool,
) -> None:
    """Name IMAGES (files or folders) by their closest reference, or as "unknown" below the threshold."""
    from zoo.cli.output import report_problems, say, warn
    from zoo.inference.gallery import Gallery, find_references
    from zoo.inference.prediction import Prediction, Unreadable, find_queries, predict
    from zoo.inference.threshold import known_threshold
    from zoo.models.onnx_embedder import Embedder
    from zoo_core.errors import RunError

    if threshold is not None and fpr is not None:
        msg = "give --threshold or --fpr, not both"
        raise click.UsageError(msg)
    references, queries = find_references(gallery), find_queries(images)
    path = locate_model(model, revision)
    limit = known_threshold(path, fpr) if threshold is None else threshold
    embedder = Embedder.open(path)
    lost: list[ZooError] = []
    known = Gallery.build(tracked(references, "gallery"), embedder, lost.append)
    missing = sorted({label for label, _ in references} - set(known.labels))
    if missing:
        warn(f"no reference of {', '.join(missing)} can be read: predictions cannot name it")
    if not as_json:
        say(f"gallery: {len(set(known.labels))} classes, {len(known.labels)} references")
    results = list(predict(tracked(queries, "images"), embedder, known, limit))
    predictions = [result for result in results if isinstance(result, Prediction)]
    failures = [result for result in results if isinstance(result, Unreadable)]
    show(predictions, failures, as_json=as_json)
    if failures or lost:
        problems = [problem for error in (*lost, *(one.error for one in failures)) for problem in error.problems]
        report_problems(RunError.code, problems, as_json=as_json)
        raise click.exceptions.Exit(1)


def locate_model(model: str, revision: str | None) -> Path:
    """Return where the model is on this machine; one on the Hub is downloaded unless the cache has it."""
    from zoo.runs.layout import RunFolder
    from zoo_core.errors import RemoteError, UsageError

    path = Path(model)
    if path.exists():
        run = RunFolder(path)
        return run.artifact.path if run.artifact.onnx.is_file() else path
    if model.count("/") != 1 or model.startswith((".", "~", "/")) or path.suffix == ".onnx":
        msg = f"{model}: no such folder or file"
        raise UsageError(msg, hint="give a folder, an .onnx file, or a model on the Hub as ORG/NAME")
    from zoo.publish.pull import FOR_PREDICTION, pull

    try:
        return pull(model, revision=revision, patterns=FOR_PREDICTION)
    except RemoteError as error:
        # ORG/NAME may as well have been meant as a path.
        here = f"nor is there a folder {path} in {Path.cwd()}"
        raise error.with_problems(replace(one, message=f"{one.message}; {here}") for one in error.problems) from None


def show(predictions: Sequence[Prediction], failures: Sequence[Unreadable], *, as_json: bool) -> None:
    """Print the predictions on stdout."""
    from zoo.cli.output import print_columns, print_json

    if not as_json:
        rows = [[str(p.path), p.label or UNKNOWN, f"{p.score:.4f}", f"{p.threshold:.4f}"] for p in predictions]
        print_columns([["PATH", "LABEL", "SCORE", "THRESHOLD"], *rows] if rows else [])
        return
    found = [{"path": str(p.path), "label": p.label, "score": p.score, "threshold": p.threshold} for p in predictions]
    lost = [{"path": str(failure.path), "message": str(failure.error)} for failure in failures]
    print_json({"predictions": found, "errors": lost})


def tracked(items: Sequence[Item], name: str) -> Iterable[Item]:
    """Show on stderr how far ``items`` are, when it is a terminal."""
    import sys

    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, name, console=Console(stderr=True), transient=True)
