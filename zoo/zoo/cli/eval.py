"""``zoo eval``: how well a run's best checkpoint tells classes apart that it has never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import json_option, load_of_run, open_run_where_started, overrides_argument, run_option

if TYPE_CHECKING:
    from collections.abc import Iterable


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

    from zoo.evaluation.run import evaluate_run
    from zoo.evaluation.verdict import worse_than_untrained
    from zoo.runs.unreadable import summarize

    if not as_json:
        say(f"evaluating {folder.best}")
    document, written = evaluate_run(folder, loaded, registry, advance=_progress)
    if unreadable := summarize(folder.unreadable, "valid"):
        warn(unreadable)
    worse = worse_than_untrained(document, folder, loaded.recipe.checkpoint.monitor)
    if as_json:
        files = [str(path) for path in written]
        print_json({"run": str(folder.path), "written": files, "evaluation": document, "worse_than_untrained": worse})
        return
    print_evaluation(document)
    if worse:
        warn(worse)
    say(f"written: {', '.join(str(path) for path in written)}")
    say(f"next: zoo export --simplify --run {folder.typed}")


def print_evaluation(document: dict[str, Any]) -> None:
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


def _table(document: dict[str, Any]) -> list[list[str]]:
    untrained = document["untrained"] or {}
    table = [["FPR target", "FPR", "TPR", "threshold", *(["untrained TPR"] if untrained else [])]]
    for point, (key, _) in zip(document["thresholds"], document["metrics"].items(), strict=False):
        row = [f"{point['fpr_target']:.0e}", f"{point['fpr']:.2e}", f"{point['tpr']:.4f}", f"{point['threshold']:.6f}"]
        if untrained:
            row.append(f"{untrained[key]:.4f}" if key in untrained else "")
        table.append(row)
    return table


def _progress(batches: Iterable[Any]) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(batches, "embedding", console=console, disable=not console.is_terminal, transient=True)
