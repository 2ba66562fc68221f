"""All runs below a folder: which was trained last, which has a name, and what it is called."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from zoo.atomic import read_json, write_json
from zoo.runs.layout import RUNS, RunFolder
from zoo_core.config.suggestions import did_you_mean
from zoo_core.errors import UsageError

HINT = "'zoo runs list' shows the runs"


def all_runs(root: Path = RUNS) -> list[RunFolder]:
    """Return the runs ``root/RECIPE/TIME`` and ``root/NAME``, the one that was trained last first."""
    named, timed = ([RunFolder(path.parent) for path in root.glob(f"{at}/recipe.yaml")] for at in ("*", "*/*"))
    # An artifact has a recipe too.
    artifacts = {run.artifact.path for run in named}
    found = [*named, *(run for run in timed if run.path not in artifacts)]
    return sorted(found, key=lambda run: (trained_at(run), run.path.name), reverse=True)


def open_run(run: str | os.PathLike[str] | None, root: Path = RUNS) -> RunFolder:
    """Return the run of that path, tag or folder below ``root`` (see `find`); the latest where none is named.

    Raises:
        UsageError: there is none, or there are several.
    """
    return latest(root) if run is None else find(os.fspath(run), root)


def latest(root: Path = RUNS) -> RunFolder:
    """Return the run below ``root`` that was started or resumed last, whatever its folder is called now.

    Raises:
        UsageError: there is none.
    """
    runs = all_runs(root)
    if not runs:
        msg = f"there is no run below {root.absolute()}"
        raise UsageError(msg, hint="train one with 'zoo train RECIPE', or name one by its folder")
    return runs[0]


def trained_at(run: RunFolder) -> datetime:
    """Return when the run was started or resumed last: as its record says, which a copy and a new name keep."""
    return recorded_at(run) or datetime.fromtimestamp(run.recipe.stat().st_mtime, UTC)


def recorded_at(run: RunFolder) -> datetime | None:
    """Return when the record says that the run was started or resumed last, if it does."""
    try:
        record = read_json(run.record)
        last = [record, *record.get("resumes", [])][-1]
        found = datetime.fromisoformat(last.get("trained_at") or last["created"])
    except (UsageError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def find(name: str, root: Path = RUNS) -> RunFolder:
    """Return the run with the path, the tag, or else the folder (``TIME`` or ``RECIPE/TIME`` below ``root``) ``name``.

    Of a folder of runs, such as ``runs/RECIPE``, it is the one that was trained last.

    Raises:
        UsageError: there is none, or there are several.
    """
    if RunFolder(Path(name)).recipe.is_file():
        return RunFolder(Path(name))
    runs = all_runs(root)
    for matching in (
        [run for run in runs if name in tags(run)],
        [run for run in runs if name in {run.path.name, short_name(run, root)}],
    ):
        if len(matching) > 1:
            paths = ", ".join(str(run.path) for run in matching)
            raise UsageError(f"{name} names {len(matching)} runs: {paths}", hint="give the path of one")
        if matching:
            return matching[0]
    below = [run for run in runs if run.path.absolute().is_relative_to(Path(name).absolute())]
    if below and Path(name).is_dir():
        return below[0]
    if Path(name).exists():
        # Says what is wrong with it.
        return RunFolder.open(Path(name))
    known = [*(tag for run in runs for tag in tags(run)), *(short_name(run, root) for run in runs)]
    raise UsageError(f"there is no run {name!r}, neither a folder nor a tag", hint=did_you_mean(name, known) or HINT)


def short_name(run: RunFolder, root: Path = RUNS) -> str:
    """Return ``RECIPE/TIME`` of a run below ``root``; the path of any other."""
    return run.path.relative_to(root).as_posix() if run.path.is_relative_to(root) else str(run.path)


def tags(run: RunFolder) -> list[str]:
    """Return the names that a person gave the run."""
    try:
        return [str(tag) for tag in read_json(run.tags)]
    except (UsageError, TypeError):
        return []


def add_tag(run: RunFolder, tag: str, root: Path = RUNS) -> list[RunFolder]:
    """Give ``run`` the name ``tag``, and take it from the runs below ``root`` that had it, which are returned.

    Raises:
        UsageError: the name could be taken for a path or an override, or would not be found: only runs below ``root``
            are searched.
    """
    if not tag or tag.strip() != tag or tag.startswith("-") or any(sign in tag for sign in "/\\="):
        raise UsageError(f"{tag!r} cannot be a tag", hint="take a word without /, \\ and =")
    runs = all_runs(root)
    if not any(other.path.samefile(run.path) for other in runs):
        hint = f"name it by its path, or move it to {root / run.path.absolute().name}"
        raise UsageError(f"{run.path} is no run below {root.absolute()}, where tags are looked for", hint=hint)
    before = [other for other in runs if tag in tags(other) and not other.path.samefile(run.path)]
    for other in before:
        remove_tag(other, tag)
    if tag not in tags(run):
        write_json(run.tags, [*tags(run), tag])
    return before


def remove_tag(run: RunFolder, tag: str) -> None:
    """Take the name ``tag`` from ``run``.

    Raises:
        UsageError: it is not called so.
    """
    left = [other for other in tags(run) if other != tag]
    if left == tags(run):
        raise UsageError(f"{run.path} has no tag {tag!r}", hint=did_you_mean(tag, left))
    if left:
        write_json(run.tags, left)
    else:
        run.tags.unlink()
