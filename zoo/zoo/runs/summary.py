"""What is known of a run from the files in its folder, without opening a checkpoint."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.atomic import read_json
from zoo.runs.catalog import recorded_at, tags, trained_at
from zoo.runs.lock import is_locked
from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from zoo.runs.layout import RunFolder


@dataclass(frozen=True)
class RunSummary:
    """A run in a few facts.

    Attributes:
        run: its folder.
        state: ``running``; ``exported`` or ``trained``, which ended with an evaluation; ``stopped`` with a checkpoint
            to resume from, and no export or evaluation since it was started or resumed last; ``empty`` without.
        trained_at: when it was started or resumed last.
        tags: names that a person gave it.
        curves: the last row of its curves: ``step``, ``epoch``, ``images_per_second`` and so on, as text.
        metrics: of the evaluation, else, or where the run was resumed since, of the last validation.
        untrained: the same of the model before its first step.
        record: what made it.
        protocol: tells figures apart that do not compare, by a short hash; empty where nothing tells.
        measured_on: the same for people.
    """

    run: RunFolder
    state: str
    trained_at: datetime
    tags: tuple[str, ...]
    curves: dict[str, str]
    metrics: dict[str, float]
    untrained: dict[str, float]
    record: dict[str, Any]
    protocol: str = ""
    measured_on: str = ""

    @property
    def steps(self) -> int | None:
        """The optimizer's steps at the last validation."""
        return int(self.curves["step"]) if self.curves.get("step", "").isdecimal() else None

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "path": str(self.run.path),
            "name": self.run.name,
            "state": self.state,
            "trained_at": self.trained_at.isoformat(),
            "tags": list(self.tags),
            "steps": self.steps,
            "metrics": self.metrics,
            "untrained": self.untrained,
            "protocol": self.protocol or None,
        }


def summarize(run: RunFolder) -> RunSummary:
    """Read what is known of ``run``; a file that is missing or damaged is left out."""
    curves = _last_row(run.metrics_csv)
    evaluation = _json(run.evaluation / "metrics.json")
    validated = {name.removeprefix("valid/"): value for name, value in curves.items() if name.startswith("valid/")}
    before = _json(run.evaluation / "untrained.json")
    untrained = evaluation.get("untrained") or before
    evaluated = _is_of_now(run, run.evaluation / "metrics.json") and evaluation.get("metrics")
    protocol, measured_on = _protocol(evaluation if evaluated else before)
    return RunSummary(
        run=run,
        state=_state(run),
        trained_at=trained_at(run),
        tags=tuple(tags(run)),
        curves=curves,
        metrics=_numbers(evaluated or validated),
        untrained=_numbers(untrained),
        record=_json(run.record),
        protocol=protocol,
        measured_on=measured_on,
    )


def _protocol(document: dict[str, Any]) -> tuple[str, str]:
    """Return what an evaluation, or the untrained model's, was measured by: its hash, and a text for people."""
    match document:
        case {"protocol": {"digest": str(digest), "name": name, "images": images, "classes": classes}}:
            return digest, f"{name}, {images} images of {classes} classes"
        case {"data": dict(data)}:
            # Of an older zoo: of the same data alone, and look-alikes counted as strangers.
            digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
            return f"older-{digest[:8]}", f"{data.get('name')}, evaluated by an older zoo"
    return "", ""


def _state(run: RunFolder) -> str:
    if is_locked(run):
        return "running"
    if _is_of_now(run, run.artifact.onnx):
        return "exported"
    if _is_of_now(run, run.evaluation / "metrics.json"):
        return "trained"
    return "stopped" if run.last.is_file() else "empty"


def _is_of_now(run: RunFolder, made: Path) -> bool:
    """Return whether ``made`` is there, and was written since the run was started or resumed last."""
    if not made.is_file():
        return False
    since = recorded_at(run)
    return since is None or made.stat().st_mtime >= since.timestamp()


def _last_row(path: Path) -> dict[str, str]:
    """Return the last row of the curves; values that a row lacks, of a run killed while it wrote, are left out."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return {}
    return {name: value for name, value in rows[-1].items() if name and value} if rows else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (OSError, UsageError):
        return {}
    return found if isinstance(found, dict) else {}


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    numbers = {}
    for name, value in values.items():
        try:
            numbers[name] = float(value)
        except (TypeError, ValueError):
            continue
    return numbers
