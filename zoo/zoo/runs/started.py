"""The folder that the relative paths of a run's recipe are relative to."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.runs.layout import RunFolder


def place_of(run: RunFolder) -> dict[str, str | None]:
    """Return what the record of a run says that is started here: the current folder, and where in it the run lies."""
    here, path = Path.cwd(), run.path.resolve()
    return {"folder": str(here), "run": path.relative_to(here).as_posix() if path.is_relative_to(here) else None}


def started_folder(run: RunFolder) -> Path | None:
    """Return the folder that ``run`` was started in; of a project that was moved or copied with it, that project's.

    A run that was moved out of its project still belongs to it. ``None``: nobody knows, or it is gone.

    Raises:
        UsageError: the record is none.
    """
    record = run.read_record() if run.record.is_file() else {}
    started, below = record.get("folder"), record.get("run")
    before = Path(started) if isinstance(started, str) and Path(started).is_dir() else None
    if not isinstance(below, str) or not below:
        return before
    path, inside = run.path.resolve(), PurePosixPath(below)
    if path.parts[-len(inside.parts) :] != inside.parts or (before and not (before / inside).exists()):
        return before
    return path.parents[len(inside.parts) - 1]
