"""The run folder: where each file of one training lies."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from zoo.artifacts.layout import ArtifactFolder
from zoo.artifacts.swap import recover_folder
from zoo.atomic import read_json
from zoo_core.errors import UsageError

RUNS = Path("runs")


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
        recover_folder(run.artifact.path)
        return run

    @property
    def name(self) -> str:
        """The recipe's name: as the record says, if it can be read, else the folder's above this one."""
        try:
            recorded = self.read_record().get("name")
        except (OSError, UsageError):
            recorded = None
        return str(recorded or self.path.absolute().parent.name)

    @property
    def typed(self) -> str:
        """The folder as it is typed in a shell."""
        return shlex.quote(str(self.path))

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def record(self) -> Path:
        """The BuildRecord: what exactly made this model."""
        return self.path / "record.json"

    def read_record(self) -> dict[str, Any]:
        """Read the record.

        Raises:
            UsageError: there is none, or it is no record.
        """
        record = read_json(self.record)
        if not isinstance(record, dict):
            hint = "restore it from a copy, or delete it: the run then resumes without comparison"
            raise UsageError(f"{self.record}: not the record of a training", hint=hint)
        return record

    @property
    def classes(self) -> Path:
        """The names of the classes of training and validation."""
        return self.path / "classes.json"

    @property
    def tags(self) -> Path:
        """The names that a person gave this run."""
        return self.path / "tags.json"

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
    def unreadable(self) -> Path:
        """The list of samples that could not be read."""
        return self.path / "skipped.csv"

    @property
    def left_out(self) -> Path:
        """The list of what lies in the data's folders and is no part of them."""
        return self.path / "left_out.csv"

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
