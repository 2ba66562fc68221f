"""The facts of a run that its model card is made of, and what must be true before anything is published."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo.artifacts.layout import PRECISIONS
from zoo.artifacts.onnx_model import Graph, open_graph
from zoo.atomic import read_json
from zoo.publish.artifact_json import Config, ExportReport, Metrics, read_document
from zoo_core.errors import RunError, UsageError
from zoo_core.provenance import BuildRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zoo.artifacts.layout import ArtifactFolder
    from zoo.recipes.loading import LoadedRecipe
    from zoo.recipes.schema import Recipe
    from zoo.runs.layout import RunFolder

_AGAIN = "export it again: zoo export"


@dataclass(frozen=True)
class PublishedFile:
    """A file of the artifact, its name in the repository, and its hash; ``content``, if any, is sent instead."""

    name: str
    path: Path
    size: int
    sha256: str
    content: bytes | None = None

    @classmethod
    def of(cls, path: Path, name: str) -> PublishedFile:
        """Measure the file at ``path``."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(name, path, path.stat().st_size, digest)

    def saying(self, content: bytes) -> PublishedFile:
        """Return this file with another content, which is in memory only."""
        return replace(self, size=len(content), sha256=hashlib.sha256(content).hexdigest(), content=content)


@dataclass(frozen=True)
class Facts:
    """All that is known of a model; ``metrics`` is None when it is published without an evaluation."""

    recipe_name: str
    recipe: Recipe
    record: BuildRecord
    config: Mapping[str, Any]
    export: Mapping[str, Any]
    metrics: Mapping[str, Any] | None
    graph: Graph
    files: tuple[PublishedFile, ...]

    @property
    def license(self) -> str:
        """The licence of the weights; `gather` has refused a model without one."""
        return str(self.recipe.card.license)

    @property
    def base_model(self) -> str | None:
        """The model on the Hub whose weights training started from, if it did."""
        return self.record.weights["weights"] if "revision" in self.record.weights else None


def gather(run: RunFolder, loaded: LoadedRecipe, *, evaluated: bool = True) -> Facts:
    """Collect the facts of an exported run.

    Args:
        run: the run folder, with its artifact.
        loaded: the run's recipe.
        evaluated: publish the evaluation too; without it, nothing that tells of one is published.

    Raises:
        UsageError: there is no licence, no artifact or no evaluation.
        RunError: the export is not verified, or its files are not all of the same export and evaluation.
    """
    artifact = run.artifact
    for path in (artifact.onnx, artifact.export_report, artifact.config, artifact.recipe, artifact.weights):
        if not path.is_file():
            hint = f"export it first: zoo export --run {run.typed}"
            raise UsageError(f"{path}: missing, so there is nothing to publish", hint=hint)
    if not loaded.recipe.card.license:
        raise UsageError(
            f"{run.recipe}: card.license is not set, and a model is not published without a licence",
            hint="add card.license=apache-2.0 (or yours) to the command, and to the recipe",
        )
    if evaluated and not artifact.metrics.is_file():
        hint = (
            f"run 'zoo eval --run {run.typed}' and 'zoo export --run {run.typed}', "
            "or publish without the evaluation (--no-eval, in Python evaluated=False)"
        )
        raise UsageError(f"{artifact.metrics}: missing: the model was exported without an evaluation", hint=hint)
    export, report = read_document(artifact.export_report, ExportReport, hint=_AGAIN)
    _check_export(artifact, report)
    config, described = read_document(artifact.config, Config, hint=_AGAIN)
    metrics = None
    if evaluated:
        metrics, measured = read_document(artifact.metrics, Metrics, hint=_AGAIN)
        _check_evaluation(run, report, measured, described)
    files = _files(artifact, evaluated=evaluated)
    if not evaluated and described.zoo.threshold:
        # The threshold is a figure of the evaluation too; the file in the run folder keeps it.
        config = {**config, "zoo": {**config["zoo"], "threshold": None}}
        silent = (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
        files = tuple(file.saying(silent) if file.path == artifact.config else file for file in files)
    return Facts(
        recipe_name=loaded.name,
        recipe=loaded.recipe,
        record=BuildRecord.from_json(read_json(run.record)),
        config=config,
        export=export,
        metrics=metrics,
        graph=open_graph(artifact.onnx),
        files=files,
    )


def _check_export(artifact: ArtifactFolder, export: ExportReport) -> None:
    if not export.verified:
        raise RunError(f"{artifact.export_report}: the export was not verified", hint=_AGAIN)
    verified = {artifact.graph(name): entry.sha256 for name, entry in export.smaller_files().items()}
    verified |= {artifact.onnx: export.sha256, artifact.weights: export.weights_sha256}
    for path in map(artifact.graph, PRECISIONS):
        if path.is_file() and path not in verified:
            raise RunError(f"{path}: is not of the export that was verified", hint=_AGAIN)
    for path, expected in verified.items():
        if not path.is_file():
            raise RunError(f"{path}: missing, though it was verified", hint=_AGAIN)
        found = PublishedFile.of(path, path.name).sha256
        if found != expected:
            message = f"{path}: is not the file that was verified (sha256 {found}, not {expected})"
            raise RunError(message, hint=_AGAIN)


def _check_evaluation(run: RunFolder, export: ExportReport, metrics: Metrics, config: Config) -> None:
    """Refuse figures that are not those of these weights: a card must not promise what another model can do."""
    artifact, newest = run.artifact, run.evaluation / "metrics.json"
    if metrics.weights_sha256 not in {None, export.weights_sha256}:
        raise RunError(f"{artifact.metrics}: is the evaluation of other weights", hint=_AGAIN)
    if newest.is_file() and newest.read_bytes() != artifact.metrics.read_bytes():
        raise RunError(f"{artifact.metrics}: is not the run's evaluation, {newest}", hint=_AGAIN)
    threshold = config.zoo.threshold
    if threshold and (threshold.fpr_target, threshold.value) not in {
        (point.fpr_target, point.threshold) for point in metrics.thresholds
    }:
        message = f"{artifact.config}: its threshold {threshold.value:g} is not that of {artifact.metrics}"
        raise RunError(message, hint=_AGAIN)


def _files(artifact: ArtifactFolder, *, evaluated: bool) -> tuple[PublishedFile, ...]:
    names = sorted(
        path.relative_to(artifact.path) for path in artifact.path.rglob("*") if path.is_file() and path != artifact.card
    )
    return tuple(
        PublishedFile.of(artifact.path / name, name.as_posix())
        for name in names
        if not any(segment.startswith(".") for segment in name.parts)
        and (evaluated or name.parts[0] not in {artifact.metrics.parent.name, artifact.assets.name})
    )
