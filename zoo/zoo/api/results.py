"""What the functions return: a run and an artifact, by the files in their folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.artifacts.layout import ArtifactFolder
from zoo.atomic import read_mapping
from zoo.runs.layout import RunFolder


@dataclass(frozen=True, repr=False)
class _Folder:
    path: Path

    def __post_init__(self) -> None:
        # Still the same folder when the process goes elsewhere; text is taken, too.
        object.__setattr__(self, "path", Path(self.path).absolute())

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"


class Run(_Folder):
    """One training: a folder, which ``os.fspath`` returns. All else is read from its files when it is asked for.

    Attributes:
        path: the folder.
    """

    @property
    def name(self) -> str:
        """The recipe's name."""
        return RunFolder(self.path).name

    @property
    def state(self) -> str:
        """``running``, ``exported``, ``trained`` (and evaluated), ``stopped`` (can be resumed) or ``empty``."""
        from zoo.runs.summary import summarize

        return summarize(RunFolder(self.path)).state

    @property
    def metrics(self) -> dict[str, float]:
        """Figures of the evaluation, else of the last validation, each 0..1: ``auc``, ``rank1``, ``tpr_at_fpr_...``."""
        from zoo.runs.summary import summarize

        return summarize(RunFolder(self.path)).metrics

    @property
    def untrained(self) -> dict[str, float]:
        """The same of the model before its first step."""
        from zoo.runs.summary import summarize

        return summarize(RunFolder(self.path)).untrained

    @property
    def recipe(self) -> Path:
        """The recipe, resolved."""
        return RunFolder(self.path).recipe

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint that validated best, which is evaluated and exported."""
        return RunFolder(self.path).best

    @property
    def last_checkpoint(self) -> Path:
        """The newest checkpoint, from which a training is resumed."""
        return RunFolder(self.path).last


class Artifact(_Folder):
    """A model as it is published: a folder, which ``os.fspath`` returns.

    Attributes:
        path: the folder.
    """

    @property
    def onnx(self) -> Path:
        """The verified graph."""
        return ArtifactFolder(self.path).onnx

    @property
    def weights(self) -> Path:
        """The weights of backbone and head, as safetensors."""
        return ArtifactFolder(self.path).weights

    @property
    def report(self) -> dict[str, Any]:
        """How the graph was verified, its size in bytes, operations an image, input and versions.

        Raises:
            UsageError: there is no report, or it is damaged.
        """
        return read_mapping(ArtifactFolder(self.path).export_report)
