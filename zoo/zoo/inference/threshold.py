"""From which score on two pictures count as the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zoo.artifacts.layout import ArtifactFolder
from zoo.artifacts.thresholds import ModelThreshold, finite, read_thresholds
from zoo.atomic import read_json
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_HOW = "give --threshold X (a cosine in -1..1), or run 'zoo eval' and export again"


def known_threshold(model: Path, fpr: float | None = None) -> ModelThreshold:
    """Return the threshold that the model was evaluated with, its own or that at a false positive rate of ``fpr``.

    Raises:
        UsageError: ``model`` (an artifact folder or an ``.onnx`` file) knows none, or none for ``fpr``, or what it
            says is not a finite number.
    """
    if not model.is_dir():
        msg = f"{model}: no threshold is known for a bare .onnx file"
        raise UsageError(msg, hint="give --threshold X (a cosine in -1..1), or the artifact's folder as --model")
    artifact = ArtifactFolder(model)
    return _own(artifact) if fpr is None else _at(artifact, fpr)


def _own(artifact: ArtifactFolder) -> ModelThreshold:
    try:
        said = read_json(artifact.config)["zoo"]["threshold"]
        value = said["value"]
    except (LookupError, TypeError):
        msg = f"{artifact.config}: knows no threshold, because the model was exported without an evaluation"
        raise UsageError(msg, hint=_HOW) from None
    return ModelThreshold.of(said, finite(artifact.config, "zoo.threshold.value", value, hint=_HOW))


def _at(artifact: ArtifactFolder, fpr: float) -> ModelThreshold:
    if not artifact.metrics.is_file():
        msg = f"{artifact.path}: knows no threshold at a false positive rate of {fpr:g}, because it holds no evaluation"
        raise UsageError(msg, hint=_HOW)
    points = read_thresholds(artifact.metrics, hint=_HOW)
    for target, threshold in points.items():
        if math.isclose(target, fpr, rel_tol=1e-6):
            return ModelThreshold(threshold, target)
    msg = f"{artifact.metrics}: knows no threshold at a false positive rate of {fpr:g}"
    raise UsageError(msg, hint="it knows " + ", ".join(f"{target:g}" for target in sorted(points)))
