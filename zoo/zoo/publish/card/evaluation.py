"""The figures of a card, each with its protocol, its pairs and its interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.publish.card.tables import count, interval, metric_title, percent, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.publish.artifact_facts import ArtifactFacts

_ALTERNATIVES = {
    "roc": "ROC curve: true positive rate over the logarithm of the false positive rate",
    "scores": "histogram of the cosines of genuine and of impostor pairs",
    "embedding": "embeddings of some classes on their two main axes",
}


def evaluation(facts: ArtifactFacts) -> str | None:
    """Return the section, None of a model that is published without an evaluation."""
    if facts.metrics is None:
        return None
    metrics = facts.metrics
    pictures = [Path(file.name) for file in facts.files if file.name.startswith("assets/")]
    shown = "\n".join(f"![{_ALTERNATIVES.get(path.stem, path.stem)}]({path})" for path in pictures)
    parts = [
        _protocol(facts, metrics),
        _figures(metrics),
        _points(metrics),
        _threshold(facts),
        _look_alikes(metrics),
        _open_set(metrics),
        _caveats(facts, metrics),
        shown,
    ]
    return "\n\n".join(part for part in parts if part)


def _protocol(facts: ArtifactFacts, metrics: Mapping[str, Any]) -> str:
    counts, protocol = metrics["counts"], metrics.get("protocol") or {}
    unseen = " that were not trained on" if metrics.get("unseen") is True else ""
    kind = "drawn images" if facts.is_synthetic("valid") else "images"
    digest = f", protocol `{protocol['digest']}`" if protocol.get("digest") else ""
    text = (
        f"On {counts['images']:,} {kind} of {counts['classes']:,} classes{unseen} "
        f"(`{metrics['data']['name']}`{digest}): all {counts['genuine_pairs']:,} pairs of the same class and "
        f"{counts['impostor_pairs']:,} pairs of different classes, scored by the cosine."
    )
    if captures := metrics["data"].get("captures"):
        text += f" Each image counts as it is and in {captures} simulated photographs."
    if protocol.get("references"):
        text += f" References of rank-1: {protocol['references']}."
    return text


def _figures(metrics: Mapping[str, Any]) -> str:
    untrained, bounds = metrics.get("untrained") or {}, metrics.get("intervals") or {}
    header = ["Metric", "Value", *(["95 % interval"] if bounds else []), *(["Untrained"] if untrained else [])]
    rows = []
    for name, value in metrics["metrics"].items():
        row = [metric_title(name), f"{value:.4f}"]
        row += [interval(bounds.get(name))] if bounds else []
        row += [f"{untrained[name]:.4f}" if name in untrained else ""] if untrained else []
        rows.append(row)
    return table(header, rows)


def _points(metrics: Mapping[str, Any]) -> str:
    known = [point for point in metrics["thresholds"] if point.get("threshold") is not None]
    rows = [
        (
            f"{point['fpr_target']:g}",
            f"{point['fpr']:.3g}",
            f"{point['tpr']:.4f}",
            f"{point['threshold']:.6f}",
            "too few pairs to know" if point.get("too_few_pairs") else "",
        )
        for point in known
    ]
    header = ("FPR aimed at", "FPR", "TPR", "Threshold", "")
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]  # type: ignore[assignment,misc]
    return table(header, rows)


def _threshold(facts: ArtifactFacts) -> str | None:
    threshold = facts.config["zoo"].get("threshold")
    if not threshold:
        return None
    text = (
        f"`zoo predict` accepts a score from {threshold['value']:.6f} on "
        f"(a false positive rate of {threshold['fpr_target']:g}); `--fpr` and `--threshold` choose another."
    )
    if expected := threshold.get("expected_fpir"):
        rows = [(f"{int(size):,}", percent(rate)) for size, rate in expected.items()]
        text += (
            " Each reference of a gallery is one more chance for a stranger to be accepted (FPIR), on these data:\n\n"
            + table(("References", "Strangers accepted"), rows)
        )
    return text


def _look_alikes(metrics: Mapping[str, Any]) -> str | None:
    alike = metrics.get("look_alikes")
    if not alike:
        return None
    rates = [one for one in metrics["thresholds"] if one.get("look_alike_fpr") is not None]
    rows = [(f"{one['fpr_target']:g}", f"{one['look_alike_fpr']:.4f}") for one in rates]
    return (
        f"Look-alikes (different classes that are nearly the same picture) count apart: {alike['pairs']:,} pairs, "
        f"ROC AUC {alike['auc']:.4f}. Of these pairs the thresholds above accept:\n\n"
        + table(("FPR of strangers", "Look-alikes accepted"), rows)
    )


def _open_set(metrics: Mapping[str, Any]) -> str | None:
    rows = [
        (
            f"{one['registered']:,}",
            f"{one['references']}",
            f"{point['fpir_target']:g}",
            f"{point['tpir']['mean']:.4f}",
            count(one.get("galleries")),
        )
        for one in metrics.get("open_set") or []
        for point in one["points"]
        if isinstance(point.get("tpir"), dict) and "mean" in point["tpir"]
    ]
    if not rows:
        return None
    header = ("Classes registered", "References each", "FPIR", "TPIR", "Random galleries")
    return f"Identification where most queries may be strangers:\n\n{table(header, rows)}"


def _caveats(facts: ArtifactFacts, metrics: Mapping[str, Any]) -> str:
    chosen = facts.recipe.checkpoint.monitor
    lines = [f"The same data chose the checkpoint (by `{chosen}`) and thresholds: other data may give lower figures."]
    if facts.is_synthetic("valid"):
        lines.append("The images are drawn, not photographed: what the model does on photographs is not measured here.")
    if metrics.get("unseen") is not True:
        lines.append("It is not known that training saw none of these classes.")
    return " ".join(lines)
