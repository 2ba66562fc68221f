"""The figures of an evaluation as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


def print_evaluation(document: Mapping[str, Any]) -> None:
    """Print what is in ``metrics.json``: verification, identification, and what was measured."""
    from zoo.cli.output import print_columns, print_line

    print_columns(_rates(document))
    click.echo()
    print_columns(_others(document))
    click.echo()
    for line in _about(document):
        print_line(line)


def _rates(document: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each false positive rate: of strangers, and at the same threshold of look-alikes."""
    untrained = document["untrained"] or {}
    pairs = document["counts"]["impostor_pairs"]
    alike = document.get("look_alikes")
    header = ["FPR target", "TPR", "threshold", "false positives"]
    header += ["look-alike FPR"] if alike else []
    header += ["untrained TPR"] if untrained else []
    rows = [header]
    for point in document["thresholds"]:
        target = point["fpr_target"]
        if point.get("too_few_pairs"):
            needed = f"too few pairs: {10 / target:,.0f} needed"
            rows.append([f"{target:.0e}", "-", "-", needed, *["-"] * (len(header) - 4)])
            continue
        row = [f"{target:.0e}", f"{point['tpr']:.4f}", f"{point['threshold']:.6f}"]
        row.append(f"{round(point['fpr'] * pairs):,} of {pairs:,}")
        row += [f"{point['look_alike_fpr']:.4f}"] if alike else []
        if untrained:
            before = untrained.get(f"tpr_at_fpr_{target:.0e}".replace("e-0", "e-"))
            row.append("-" if before is None else f"{before:.4f}")
        rows.append(row)
    return rows


def _others(document: Mapping[str, Any]) -> list[list[str]]:
    metrics, untrained = document["metrics"], document["untrained"] or {}
    names = {"auc": "AUC", "look_alike_auc": "AUC, look-alikes", "rank1": "rank-1"}
    return [
        [label, f"{metrics[key]:.6f}", f"(untrained {untrained[key]:.4f})" if key in untrained else ""]
        for key, label in names.items()
        if key in metrics
    ]


def _about(document: Mapping[str, Any]) -> list[str]:
    counts, protocol = document["counts"], document.get("protocol")
    alike = counts.get("look_alike_pairs", 0)
    lines = [
        f"{counts['images']:,} images of {counts['classes']:,} classes: {counts['genuine_pairs']:,} genuine, "
        f"{counts['impostor_pairs']:,} impostor pairs"
        + (f" of strangers and {alike:,} of look-alikes" if alike else "")
    ]
    return [*lines, *([f"{protocol['name']}, protocol {protocol['digest']}"] if protocol else [])]
