"""Tables and numbers of a card, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; a ``|`` within a cell is escaped."""
    columns = list(header)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def facts_table(rows: Mapping[str, str | None]) -> str:
    """Return a table of two columns without those rows that say nothing."""
    return table(("", ""), ((name, value) for name, value in rows.items() if value))


def options(values: Mapping[str, Any]) -> str:
    """Write a component's options into one cell."""
    return ", ".join(f"`{key}={value}`" for key, value in values.items())


def count(value: float | None) -> str:
    """Write a number with separators; nothing where it is not known."""
    return "" if value is None else f"{value:,}"


def listed(values: Iterable[float]) -> str:
    """Write numbers in a row."""
    return ", ".join(f"{value:g}" for value in values)


def percent(share: float) -> str:
    """Write a share as people do: 97.9 %, 0.1 %, 0.001 %."""
    return f"{100 * share:.3g} %"


def interval(bounds: Sequence[float] | None) -> str:
    """Write the bounds of a figure; nothing where they are not known."""
    return "" if not bounds else f"{bounds[0]:.4f} to {bounds[1]:.4f}"


def metric_title(metric: str) -> str:
    """Write ``tpr_at_fpr_1e-3`` as people do."""
    names = {
        "auc": "ROC AUC",
        "rank1": "Rank-1",
        "eer": "Equal error rate",
        "map_at_r": "mAP@R",
        "r_precision": "R-precision",
        "look_alike_auc": "ROC AUC against look-alikes",
    }
    return names.get(metric) or metric.replace("tpr_at_fpr_", "TPR@FPR=")
