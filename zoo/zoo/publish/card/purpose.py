"""What a model is for, what it is not for, and in one sentence how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.publish.card.tables import metric_title, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.publish.artifact_facts import ArtifactFacts

# Below these a model is of no use: guessing has an AUC of 0.5, and accepts as many genuine pairs as it does others.
_POOR_AUC, _POOR_TPR = 0.8, 0.1
_JUDGED = ("auc", "rank1", "tpr_at_fpr_1e-3")


def summary(facts: ArtifactFacts) -> str:
    """Return what the model does, and how well, with the figures that say so."""
    size = facts.config["zoo"]["embedding_dim"]
    said = facts.recipe.card.summary or (
        f"Maps a picture to an embedding of {size} numbers, to compare pictures by the cosine of their embeddings."
    )
    if facts.metrics is None:
        return f"{said}\n\n**It is published without an evaluation: nothing here says how good it is.**"
    warning = verdict(facts.metrics)
    return "\n\n".join([said, *([f"**{warning}**"] if warning else []), _figure(facts, facts.metrics)])


def verdict(metrics: Mapping[str, Any]) -> str | None:
    """Return a warning that the figures of a poor model deserve; None of any other."""
    figures, untrained = metrics["metrics"], metrics.get("untrained") or {}
    auc, tpr = figures.get("auc"), figures.get("tpr_at_fpr_1e-3")
    if auc is not None and (auc < _POOR_AUC or (tpr is not None and tpr < _POOR_TPR)):
        at = (
            ""
            if tpr is None
            else f", and at a false positive rate of 0.1 % it finds {percent(tpr)} of the genuine pairs"
        )
        return (
            f"It hardly tells classes apart: its ROC AUC is {auc:.2f}, where guessing has 0.50{at}. Do not rely on it."
        )
    worse = [name for name in _JUDGED if name in figures and name in untrained and figures[name] < untrained[name]]
    if len(worse) > 1:
        named = ", ".join(
            f"{metric_title(name)} {figures[name]:.4f}, untrained {untrained[name]:.4f}" for name in worse
        )
        return f"It is worse than it was before training: {named}."
    return None


def intended_use(facts: ArtifactFacts) -> str:
    """Return uses within and out of scope."""
    seen = "documents" if facts.is_synthetic("train") == 1 else "pictures like those it was trained on"
    good = facts.metrics is not None and verdict(facts.metrics) is None
    lines = [
        f"* For: recognising {seen} by comparing them with registered references, one picture per class or more."
        if good
        else "* For: nothing that matters, as long as its figures are no better. It shows how such a model is made.",
        "* First measure it on your own pictures (`zoo eval --model ... --data DIR`), and `zoo calibrate` a threshold.",
        "* Not for: deciding whether a document is genuine, reading its text, or telling people by their faces.",
        "* Not for decisions about people that no person checks: it errs, most of all between look-alikes.",
    ]
    if facts.is_synthetic("train"):
        lines.append(
            "* Trained on drawn pictures: how it does on photographs is only known where the evaluation has them."
        )
    return "\n".join(lines)


def _figure(facts: ArtifactFacts, metrics: Mapping[str, Any]) -> str:
    threshold, counts = facts.config["zoo"].get("threshold"), metrics["counts"]
    kind = "drawn images" if facts.is_synthetic("valid") else "images"
    where = f"{counts['images']:,} {kind} of {counts['classes']:,} classes"
    if metrics.get("unseen") is True:
        where += " that were not trained on"
    if threshold is None:
        return f"It was evaluated on {where}; there are too few pairs for a threshold."
    point = next(one for one in metrics["thresholds"] if one["fpr_target"] == threshold["fpr_target"])
    bounds = point.get("interval")
    sure = f" (95 % interval {percent(bounds[0])} to {percent(bounds[1])})" if bounds else ""
    return (
        f"On {where}, its threshold accepts {percent(point['tpr'])}{sure} of the pairs of one class and "
        f"{percent(point['fpr'])} of the pairs of two."
    )
