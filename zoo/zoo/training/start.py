"""Where a training writes, and what is left of one that never began."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from zoo.runs.layout import RUNS, RunFolder
from zoo.training.run import train
from zoo.training.trainer import is_first_rank

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.training.plan import TrainingPlan
    from zoo.training.run import TrainingOutcome


def new_folder(name: str, folder: Path | None) -> RunFolder:
    """Return the folder of a new run: ``folder``, else a new one below ``runs/name``."""
    if not is_first_rank():
        # The first rank writes and tells Lightning where; this path is never used.
        return RunFolder(RUNS / name / "other-ranks")
    return RunFolder(folder) if folder else RunFolder.create(name)


def train_or_leave_nothing(plan: TrainingPlan, folder: RunFolder, *, named: bool, show: bool = True) -> TrainingOutcome:
    """Train what is planned into ``folder``, and remove what a training leaves that never made a step.

    Args:
        plan: what to train.
        folder: of the run.
        named: somebody chose the folder; the ones above it stay.
        show: show progress on stderr.

    Raises:
        UsageError: the folder is not free.
        RunError: training failed; the folder keeps the last checkpoint.
        SystemExit: a signal ended it at once.
    """
    # Of a folder that is refused, nothing is ours to remove.
    is_new = not folder.tensorboard.exists()
    try:
        return train(plan, folder, show=show)
    except BaseException:
        began = folder.record.is_file() or folder.last.is_file()
        if is_first_rank() and is_new and not began:
            _remove_unbegun(folder, named=named)
        raise


def _remove_unbegun(folder: RunFolder, *, named: bool) -> None:
    """Leave nothing of a training that never made a step; a folder that holds more, or that was ``named``, stays."""
    # Curves are opened before the untrained model is validated.
    shutil.rmtree(folder.tensorboard, ignore_errors=True)
    with suppress(OSError):
        for empty in (folder.path, *([] if named else folder.path.parents[:2])):
            empty.rmdir()
