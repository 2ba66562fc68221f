"""Thresholds in files, checked: no score is above NaN, so that every image would be unknown."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.atomic import read_json
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def read_thresholds(path: Path, *, hint: str) -> dict[float, float]:
    """Read the thresholds in a ``metrics.json``, each by its false positive rate; points without one are left out.

    Raises:
        UsageError: the file is missing, is not what an evaluation writes, or holds a number that is not finite.
    """
    try:
        points = [(point["fpr_target"], point["threshold"]) for point in read_json(path)["thresholds"]]
    except (LookupError, TypeError):
        msg = f"{path}: not what 'zoo eval' writes: thresholds has to list fpr_target and threshold"
        raise UsageError(msg, hint=hint) from None
    return {
        finite(path, "fpr_target", target, hint=hint): finite(path, "threshold", threshold, hint=hint)
        for target, threshold in points
        if threshold is not None
    }


@dataclass(frozen=True)
class CalibratedThreshold:
    """The threshold that ``zoo calibrate`` has written, and for a gallery of how many classes it holds."""

    value: float
    classes: int


def read_calibration(path: Path, graph: Path) -> CalibratedThreshold:
    """Read what ``zoo calibrate`` has written for the graph at ``graph``.

    Raises:
        UsageError: the file is missing, is something else, or was written for another model.
    """
    hint = "write one with: zoo calibrate -o FILE.json"
    document = read_json(path)
    try:
        value, classes = document["threshold"], int(document["gallery"]["classes"])
        written_for = document["model"]["graph_sha256"]
    except (LookupError, TypeError, ValueError):
        raise UsageError(f"{path}: not what 'zoo calibrate' writes", hint=hint) from None
    with graph.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if written_for != found:
        raise UsageError(f"{path}: is the threshold of another model than {graph}", hint=hint)
    return CalibratedThreshold(finite(path, "threshold", value, hint=hint), classes)


def finite(path: Path, key: str, value: object, *, hint: str) -> float:
    """Return ``value`` of ``key`` in the file at ``path``.

    Raises:
        UsageError: it is not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{path}: {key} is {value!r}, not a finite number", hint=hint)
    return float(value)
