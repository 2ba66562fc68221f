"""The thresholds of an evaluation, checked: no score is above NaN, so that every image would be unknown."""

from __future__ import annotations

import math
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


def finite(path: Path, key: str, value: object, *, hint: str) -> float:
    """Return ``value`` of ``key`` in the file at ``path``.

    Raises:
        UsageError: it is not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{path}: {key} is {value!r}, not a finite number", hint=hint)
    return float(value)
