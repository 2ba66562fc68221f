"""``zoo eval``: how well a model tells classes apart that it has never seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.image_options import revision_option
from zoo.cli.options import (
    json_option,
    load_of_run,
    open_run_where_started,
    overrides_argument,
    run_option,
    versions_option,
)

if TYPE_CHECKING:
    from zoo.evaluation.result import Evaluation

data_option = click.option(
    "--data",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Pictures: DIR/CLASS/*, or DIR/references/CLASS/* and DIR/queries/CLASS/*.",
)


@click.command(epilog="KEY=VALUE changes the recipe: data.valid.options.seed=7 data.valid_captures=8")
@run_option
@click.option(
    "--model", metavar="DIR|ORG/NAME|FILE.onnx", help="Instead of a run: a folder, a model on the Hub, a file."
)
@data_option
@click.option("-o", "--output", metavar="DIR", type=click.Path(path_type=Path), help="Write here instead.")
@revision_option
@versions_option
@json_option
@overrides_argument
def command(
    run_name: str | None,
    model: str | None,
    folder: Path | None,
    output: Path | None,
    revision: str | None,
    strict: bool,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Measure a model: all pairs of images, and identification by references.

    A run's checkpoint is measured on its validation data; figures and pictures go into its evaluation folder, from
    which 'zoo export' takes the threshold. A --model is measured on the validation data of its recipe; what is written
    lies below evaluations/. Other data have a folder of their own.
    """
    from zoo.cli.output import print_json, say, warn

    folder, output = (path.absolute() if path else None for path in (folder, output))
    if model is not None:
        if run_name:
            msg = "give --run or --model, not both"
            raise click.UsageError(msg)
        evaluation = _of_model(model, revision, folder, output, overrides, strict=strict)
        about, following = {"model": model}, None
    else:
        evaluation, about, following = _of_run(run_name, folder, output, overrides, strict=strict, quiet=as_json)
    if evaluation.unreadable:
        warn(evaluation.unreadable)
    worse = evaluation.worse_than_untrained
    files = [str(path) for path in evaluation.written]
    if as_json:
        print_json({**about, "written": files, "evaluation": evaluation.document, "worse_than_untrained": worse})
        return
    from zoo.cli.evaluation_table import print_evaluation

    print_evaluation(evaluation.document)
    if worse:
        warn(worse)
    say(f"written: {evaluation.path.parent} ({', '.join(path.name for path in evaluation.written)})")
    if following:
        say(following)


def _of_model(
    model: str,
    revision: str | None,
    folder: Path | None,
    output: Path | None,
    overrides: tuple[str, ...],
    *,
    strict: bool,
) -> Evaluation:
    from zoo.api.loading import locate
    from zoo.cli.output import open_registry, say, warn
    from zoo.evaluation.files import LabelledFiles
    from zoo.evaluation.model import evaluate_model
    from zoo.evaluation.progress import shown
    from zoo.evaluation.subjects import GraphSubject
    from zoo.evaluation.writing import can_draw
    from zoo.models.model import Model
    from zoo_core.errors import UsageError
    from zoo_core.extras import pip_line

    graph = locate(model, revision)
    subject = GraphSubject.named(model, Model.open(graph))
    if not can_draw():
        say(f"no pictures without matplotlib: {pip_line('train')}")
    if folder is not None:
        if overrides:
            raise UsageError("KEY=VALUE changes a recipe, which a folder of pictures does not need")
        return evaluate_model(subject, LabelledFiles.find(folder), output=output, advance=shown)
    from zoo.evaluation.checkpoint import recipe_data

    data = recipe_data(graph, overrides, open_registry(), strict=strict)
    for problem in data.loaded.warnings:
        warn(str(problem))
    return evaluate_model(subject, data, output=output, advance=shown)


def _of_run(
    run_name: str | None,
    folder: Path | None,
    output: Path | None,
    overrides: tuple[str, ...],
    *,
    strict: bool,
    quiet: bool,
) -> tuple[Evaluation, dict[str, str], str | None]:
    from zoo.cli.output import open_registry, say

    run = open_run_where_started(run_name)
    registry = open_registry()
    # What was trained has been checked; its training data need not be there any more.
    loaded = load_of_run(run, overrides, registry=registry if overrides else None, installed=registry, strict=strict)

    from zoo.evaluation.files import LabelledFiles
    from zoo.evaluation.progress import shown
    from zoo.evaluation.run import evaluate

    files = LabelledFiles.find(folder) if folder else None
    if not quiet:
        say(f"evaluating {run.best}")
    evaluation = evaluate(run, loaded, registry, files=files, output=output, advance=shown)
    own = evaluation.path.parent == run.evaluation
    return evaluation, {"run": str(run.path)}, f"next: zoo export --simplify --run {run.typed}" if own else None
