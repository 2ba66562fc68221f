"""The folders in which stages meet: a run, and the artifact that is published."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = Path("runs")
# What a disk says that has no room for a file, or a user that may not have more.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write to, beside ``path``; move it into place at the end, drop it on any error.

    A reader sees the old file or the whole new one, never half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        # mkstemp makes files for the owner alone; give what any new file here would get.
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)
        beside.replace(path)
    except OSError as error:
        if error.errno in DISK_FULL:  # and does not say where
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, all or nothing."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, document: object) -> None:
    """Write ``document`` as indented JSON, all or nothing."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON is whatever was written
    """Read a JSON document.

    Raises:
        UsageError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"{path}: no such file"
        raise UsageError(msg) from None
    except ValueError as error:
        msg = f"{path}: not a JSON file: {error}"
        raise UsageError(msg) from error


@dataclass(frozen=True)
class ArtifactFolder:
    """Exactly what is published."""

    path: Path

    @property
    def card(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    @property
    def config(self) -> Path:
        """Architecture, preprocessing and what ``zoo predict`` needs to know."""
        return self.path / "config.json"

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def preprocessor(self) -> Path:
        """Preprocessing in the form that transformers and Transformers.js read."""
        return self.path / "preprocessor_config.json"

    @property
    def weights(self) -> Path:
        """Weights of backbone and head."""
        return self.path / "model.safetensors"

    @property
    def onnx(self) -> Path:
        """The verified graph."""
        return self.path / "onnx" / "model.onnx"

    @property
    def export_report(self) -> Path:
        """How the graph was verified."""
        return self.path / "onnx" / "export.json"

    @property
    def metrics(self) -> Path:
        """The evaluation of the weights."""
        return self.path / "eval" / "metrics.json"

    @property
    def assets(self) -> Path:
        """Pictures that the card shows."""
        return self.path / "assets"


@dataclass(frozen=True)
class RunFolder:
    """All that one training wrote."""

    path: Path

    @classmethod
    def create(cls, recipe_name: str, *, root: Path = RUNS) -> RunFolder:
        """Make a new run folder ``root/recipe_name/<time>``; never one that exists."""
        parent = root / recipe_name
        parent.mkdir(parents=True, exist_ok=True)
        started = datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        for suffix in ["", *(f"_{count}" for count in range(2, 1000))]:
            path = parent / (started + suffix)
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return cls(path)
        msg = f"{parent}: too many runs were started in this second"
        raise UsageError(msg)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open the run folder at ``path``.

        Raises:
            UsageError: there is no run at ``path``.
        """
        run = cls(path)
        if not run.recipe.is_file():
            msg = f"{path}: not a run folder (it holds no recipe.yaml)"
            raise UsageError(msg, hint="give a folder made by 'zoo train', such as runs/RECIPE/TIME")
        return run

    @classmethod
    def latest(cls, *, root: Path = RUNS) -> RunFolder:
        """Open the run that was started last below ``root``.

        Raises:
            UsageError: there is none.
        """
        recipes = sorted(root.glob("*/*/recipe.yaml"), key=lambda path: (path.parent.name, path.stat().st_mtime))
        if not recipes:
            msg = f"there is no run below {root.absolute()}"
            raise UsageError(msg, hint="train one with 'zoo train --cfg RECIPE', or name one with --run DIR")
        return cls(recipes[-1].parent)

    @property
    def name(self) -> str:
        """The recipe's name: as the record says, else the folder's above this one."""
        recorded = read_json(self.record).get("name") if self.record.is_file() else None
        return str(recorded or self.path.absolute().parent.name)

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def record(self) -> Path:
        """The BuildRecord: what exactly made this model."""
        return self.path / "record.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint that validated best."""
        return self.checkpoints / "best.ckpt"

    @property
    def last(self) -> Path:
        """The newest checkpoint, from which training resumes."""
        return self.checkpoints / "last.ckpt"

    @property
    def skipped(self) -> Path:
        """The list of samples that could not be read."""
        return self.path / "skipped.csv"

    @property
    def metrics_csv(self) -> Path:
        """Training curves."""
        return self.path / "metrics.csv"

    @property
    def tensorboard(self) -> Path:
        """Training curves for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def evaluation(self) -> Path:
        """The folder of the evaluation: metrics.json, thresholds.csv and pictures."""
        return self.path / "evaluation"

    @property
    def artifact(self) -> ArtifactFolder:
        """What is published of this run."""
        return ArtifactFolder(self.path / "artifact")
