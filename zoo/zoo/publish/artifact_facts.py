"""What an artifact says of itself: the facts of a card that need no run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from zoo.artifacts.digests import sha256
from zoo.artifacts.manifest import MANIFEST
from zoo.artifacts.onnx_model import open_graph
from zoo.publish.artifact_json import Config, ExportReport, Metrics, read_document
from zoo.recipes.loading import load_run_recipe
from zoo.runs.layout import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zoo.artifacts.layout import ArtifactFolder
    from zoo.artifacts.manifest import Manifest
    from zoo.artifacts.onnx_model import Graph
    from zoo.recipes.schema import Recipe

_DAMAGED = "an older zoo wrote it, or somebody has edited it: ask its owner to export and push it again"


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
        return cls(name, path, path.stat().st_size, sha256(path))

    def saying(self, content: bytes) -> PublishedFile:
        """Return this file with another content, which is in memory only."""
        return replace(self, size=len(content), sha256=hashlib.sha256(content).hexdigest(), content=content)


@dataclass(frozen=True)
class ArtifactFacts:
    """What an artifact says of itself.

    Attributes:
        recipe: what is published of its recipe.
        config: ``config.json``.
        export: ``onnx/export.json``.
        metrics: ``eval/metrics.json``; None when it is published without an evaluation.
        graph: the float32 graph.
        files: all that is published but the card.
    """

    recipe: Recipe
    config: Mapping[str, Any]
    export: Mapping[str, Any]
    metrics: Mapping[str, Any] | None
    graph: Graph
    files: tuple[PublishedFile, ...]

    @classmethod
    def read(cls, artifact: ArtifactFolder, manifest: Manifest) -> ArtifactFacts:
        """Read them from a folder that its manifest describes.

        Raises:
            RunError: a file is not what its name says.
            RecipeError: the recipe is wrong.
        """
        names = [*sorted(manifest.files), MANIFEST]
        evaluated = artifact.metrics.is_file()
        return cls(
            recipe=load_run_recipe(RunFolder(artifact.path)).recipe,
            config=read_document(artifact.config, Config, hint=_DAMAGED)[0],
            export=read_document(artifact.export_report, ExportReport, hint=_DAMAGED)[0],
            metrics=read_document(artifact.metrics, Metrics, hint=_DAMAGED)[0] if evaluated else None,
            graph=open_graph(artifact.onnx, threads=1),
            files=tuple(PublishedFile.of(artifact.path / name, name) for name in names),
        )

    def is_synthetic(self, part: Literal["train", "valid"]) -> float:
        """Return which share, 0..1, of the images of training or validation is drawn."""
        data = self.recipe.data
        if part == "valid":
            return float(self._is_drawn(data.valid.name))
        shares = [(data.train.name, 1 - sum(one.share for one in data.train_also))]
        shares += [(one.name, one.share) for one in data.train_also]
        return round(sum(share for name, share in shares if self._is_drawn(name)), 6)

    def _is_drawn(self, name: str) -> bool:
        return name.rpartition("/")[2] == "synthetic"
