"""``zoo eval``: how well a run's best checkpoint tells classes apart that it has never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import json_option, load_of_run, open_run_where_started, overrides_argument, run_option

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command(epilog="KEY=VALUE changes the recipe: data.valid.options.seed=7 data.valid_captures=8")
@run_option
@json_option
@overrides_argument
def command(run_name: str | None, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Measure a trained model: all pairs of its validation images, and rank-1 against one reference a class.

    Writes figures and pictures into the run's evaluation folder; 'zoo export' takes the threshold from there.
    """
    from zoo.cli.output import open_registry, print_json, say, warn

    folder = open_run_where_started(run_name)
    registry = open_registry()
    # What was trained has been checked; its training data need not be there any more.
    loaded = load_of_run(folder, overrides, registry=registry if overrides else None)

    from zoo.evaluation.progress import shown
    from zoo.evaluation.run import evaluate

    if not as_json:
        say(f"evaluating {folder.best}")
    evaluation = evaluate(folder, loaded, registry, advance=shown)
    if evaluation.unreadable:
        warn(evaluation.unreadable)
    worse = evaluation.worse_than_untrained
    files = [str(path) for path in evaluation.written]
    if as_json:
        results = {"evaluation": evaluation.document, "worse_than_untrained": worse}
        print_json({"run": str(folder.path), "written": files, **results})
        return
    print_evaluation(evaluation.document)
    if worse:
        warn(worse)
    say(f"written: {', '.join(files)}")
    say(f"next: zoo export --simplify --run {folder.typed}")


def print_evaluation(document: Mapping[str, Any]) -> None:
    """Print what is in ``evaluation/metrics.json`` as a person reads it."""
    from zoo.cli.output import print_columns

    print_columns(_table(document))
    counts, untrained = document["counts"], document["untrained"] or {}
    click.echo()
    rows = [("AUC", "auc"), ("rank-1", "rank1")]
    for label, key in rows:
        before = f"  (untrained {untrained[key]:.4f})" if key in untrained else ""
        click.echo(f"{label:<7}{document['metrics'][key]:.6f}{before}")
    click.echo(
        f"{counts['images']:,} images of {counts['classes']:,} classes: "
        f"{counts['genuine_pairs']:,} genuine and {counts['impostor_pairs']:,} impostor pairs"
    )


def _table(document: Mapping[str, Any]) -> list[list[str]]:
    untrained = document["untrained"] or {}
    table = [["FPR target", "FPR", "TPR", "threshold", *(["untrained TPR"] if untrained else [])]]
    for point, (key, _) in zip(document["thresholds"], document["metrics"].items(), strict=False):
        row = [f"{point['fpr_target']:.0e}", f"{point['fpr']:.2e}", f"{point['tpr']:.4f}", f"{point['threshold']:.6f}"]
        if untrained:
            row.append(f"{untrained[key]:.4f}" if key in untrained else "")
        table.append(row)
    return table
