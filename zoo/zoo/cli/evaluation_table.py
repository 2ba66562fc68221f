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
    if document.get("open_set"):
        click.echo()
        print_columns(_open_set(document))
    click.echo()
    for line in _about(document):
        print_line(line)


def _rates(document: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each false positive rate: of strangers, and at the same threshold of look-alikes."""
    untrained = document["untrained"] or {}
    pairs, points = document["counts"]["impostor_pairs"], document["thresholds"]
    alike, bounded = document.get("look_alikes"), any(point.get("interval") for point in points)
    header = ["FPR target", "TPR", "95% interval", "threshold", "false positives", "look-alike FPR", "untrained"]
    shown = [True, True, bounded, True, True, bool(alike), bool(untrained)]
    rows = [header]
    for point in points:
        target = point["fpr_target"]
        if point.get("too_few_pairs"):
            rows.append([f"{target:.0e}", "-", "-", "-", "too few pairs", "-", "-"])
            continue
        before = untrained.get(f"tpr_at_fpr_{target:.0e}".replace("e-0", "e-"))
        rows.append(
            [
                f"{target:.0e}",
                f"{point['tpr']:.4f}",
                "[{:.4f}, {:.4f}]".format(*point["interval"]) if point.get("interval") else "-",
                f"{point['threshold']:.6f}",
                f"{round(point['fpr'] * pairs):,} of {pairs:,}",
                f"{point['look_alike_fpr']:.4f}" if alike else "-",
                "-" if before is None else f"{before:.4f}",
            ]
        )
    return [[cell for cell, wanted in zip(row, shown, strict=True) if wanted] for row in rows]


def _others(document: Mapping[str, Any]) -> list[list[str]]:
    metrics, untrained = document["metrics"], document["untrained"] or {}
    names = {
        "auc": "AUC",
        "look_alike_auc": "AUC, look-alikes",
        "eer": "EER",
        "rank1": "rank-1",
        "map_at_r": "mAP@R",
        "r_precision": "R-precision",
    }
    rows = [
        [label, f"{metrics[key]:.6f}", f"(untrained {untrained[key]:.4f})" if key in untrained else ""]
        for key, label in names.items()
        if key in metrics
    ]
    if within := document.get("docclassifier"):
        told = f"at FPR {within['fpr']:.2e}, {within['pairs']:,} pairs in batches of {within['batch_size']}"
        rows.append(["DocClassifier's TPR@1e-4", f"{within['tpr']:.6f}", told])
    for metric, figures in document.get("plugin_metrics", {}).items():
        rows += [[name, f"{value:.6f}", f"({metric})"] for name, value in figures.items()]
    return rows


def _open_set(document: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each size of gallery."""
    header = ["registered classes", "references", "rank-1", "rank-5", "TPIR at FPIR 1%", "at FPIR 5%", "strangers"]
    rows = []
    for one in document["open_set"]:
        rates = [_spread(point["tpir"]) for point in one["points"]]
        ranks = [f"{one[name]['mean']:.4f}" for name in ("rank1", "rank5")]
        rows.append([f"{one['registered']:,}", str(one["references"]), *ranks, *rates, f"{one['strangers']:,.0f}"])
    return [header, *rows]


def _spread(found: Mapping[str, float] | None) -> str:
    return "too few" if found is None else f"{found['mean']:.4f} ± {found['deviation']:.4f}"


def _about(document: Mapping[str, Any]) -> list[str]:
    counts, protocol = document["counts"], document.get("protocol")
    alike = counts.get("look_alike_pairs", 0)
    lines = [
        f"{counts['images']:,} images of {counts['classes']:,} classes: {counts['genuine_pairs']:,} genuine, "
        f"{counts['impostor_pairs']:,} impostor pairs"
        + (f" of strangers and {alike:,} of look-alikes" if alike else "")
    ]
    if any(point.get("too_few_pairs") for point in document["thresholds"]):
        lines.append("too few pairs: a rate is known from 10 / FPR impostor pairs on")
    return [*lines, *([f"{protocol['name']}, protocol {protocol['digest']}"] if protocol else [])]
