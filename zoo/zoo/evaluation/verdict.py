"""A model that ends worse than it began, and the likely reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.runs.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.runs.layout import RunFolder

# With less, from random weights, a shipped recipe has not yet passed its untrained network.
FEW_STEPS, FEW_IMAGES_PER_CLASS = 500, 50


def worse_than_untrained(document: Mapping[str, Any], run: RunFolder, monitor: str) -> str | None:
    """Return a sentence where most of monitored metric, rank-1 and AUC fell below the untrained model's.

    Args:
        document: an evaluation, as in ``metrics.json``.
        run: the run that was evaluated.
        monitor: the metric that decides what the best checkpoint is.
    """
    metrics, untrained = document["metrics"], document["untrained"] or {}
    compared = [name for name in dict.fromkeys((monitor, "rank1", "auc")) if name in untrained and name in metrics]
    lower = [name for name in compared if metrics[name] < untrained[name]]
    if not compared or 2 * len(lower) <= len(compared):
        return None
    figures = ", ".join(f"{_label(name)} {metrics[name]:.4f} (untrained {untrained[name]:.4f})" for name in lower)
    return f"worse than the untrained model: {figures}; {_likely_reason(run)}"


def _likely_reason(run: RunFolder) -> str:
    summary = summarize(run)
    record, steps = summary.record, summary.steps or 0
    classes, images = record.get("classes"), steps * record.get("images_per_step", 0)
    if steps < FEW_STEPS or (classes and images < FEW_IMAGES_PER_CLASS * classes):
        shown = f", {images / classes:.0f} images of each of {classes:,} classes" if classes and images else ""
        return f"likely too short a training: {steps:,} steps{shown}; train longer, as with --max-time 15m"
    if record.get("weights", {}).get("weights", "random") != "random":
        return "likely too high a learning rate for pretrained weights; try a tenth of optimizer.options.lr"
    return (
        "likely too high a learning rate, or training data unlike those of the validation; "
        "lower optimizer.options.lr, and look at both: zoo data preview"
    )


def _label(name: str) -> str:
    return {"rank1": "rank-1", "auc": "AUC"}.get(name, name.replace("tpr_at_fpr_", "TPR@"))
