"""What people call figures, and the models of a comparison."""

from __future__ import annotations

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NAMES = {"auc": "AUC", "rank1": "rank-1"}


def metric_name(name: str) -> str:
    """Name a figure as people do: ``TPR@1e-4``."""
    return _NAMES.get(name, name.replace("tpr_at_fpr_", "TPR@"))
