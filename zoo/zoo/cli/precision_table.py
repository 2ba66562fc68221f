"""The table of precisions: what each file of a model weighs, takes and loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.cli.output import print_columns, print_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN = ("tpr_at_fpr_1e-3", "tpr_at_fpr_1e-4")
_HEADER = ("precision", "KB", "p50 ms", "cosine mean", "lowest", "TPR@1e-3", "@1e-4", "TPIR@1%", "")


def print_precisions(report: Mapping[str, Any] | None) -> None:
    """Print the ``precisions`` of an export report: a row for each file, and what it was measured on."""
    if not report or len(report.get("files", ())) < 2:  # noqa: PLR2004 - float32 alone is compared with nothing
        return
    print_line("")
    print_columns([_HEADER, *(_row(name, entry) for name, entry in report["files"].items())])
    protocol = report["protocol"]
    print_line(
        f"one image on one thread; {protocol['name']}, {protocol['images']:,} images (protocol {protocol['digest']})"
    )


def _row(name: str, entry: Mapping[str, Any]) -> list[str]:
    cosines = [_number(entry.get(key), 5) for key in ("mean_cosine", "lowest_cosine")]
    rates = [_number(entry["tpr"].get(key), 4) for key in _SHOWN]
    tpir = _number((entry["tpir"] or {}).get("fpir_1e-2"), 4)
    size, speed = f"{entry['bytes'] / 1000:,.0f}", f"{entry['p50_ms']:.2f}"
    return [name, size, speed, *cosines, *rates, tpir, "" if name == "fp32" else entry["verdict"]]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
